"""`live`: a dashboard that follows a training loop (lesson 02), or trains itself by buttons and sliders (lessons 04, 06)."""

import asyncio
import threading

import ipywidgets as widgets
import torch
from IPython import get_ipython

from gan_lib import UserError, evaluation, training
from gan_lib.pictures import tile
from gan_lib.studies import dry_run
from gan_lib.studies.diagnosis import SPAN, diagnose
from gan_lib.widgets.explorer import WRAP, button
from gan_lib.widgets.html import classes_svg, curves_svg, failure, img, move_svg

COUNTED = 100  # samples in the class counts
BREAK = 0.005  # seconds between two records in which the kernel handles other messages


@torch.no_grad()
def opinion(game, real, z, y=None):
    """A `training.Record` of the nets as they are now, for `real` and G(z). Changes nothing."""
    with dry_run.untouched(game):  # a forward pass updates BatchNorm's statistics
        logits = real_logits, fake_logits = game.judge_both(real, game.generate(z, y), y)
    losses = game.loss.discriminator(*logits), game.loss.generator(*logits)
    means = (number.item() for number in (*losses, real_logits.sigmoid().mean(), fake_logits.sigmoid().mean()))
    return training.Record(game.step, game.step * game.batch_size, game.seconds, *means)


class Live(widgets.VBox):
    """A dashboard of training: samples of one fixed z, both losses, D(x) and D(G(z)).

    `show = widgets.live(game)` follows a loop over `training.train`: display it, and call `show.update(record)` in the loop.
    It is drawn again at every `every`-th record. Outside a notebook it prints a line instead.

    `widgets.live(game, images)` trains: it has buttons for start, pause and single steps of D and of G, sliders for both
    learning rates, and class counts. `images` are as `training.real_batches` takes them. For a world of points give a
    `picture` too, a function of the game that returns uint8 [height, width, 3]; it is shown `size` pixels wide.
    """

    playing = None  # the one that trains: a cell that runs again replaces its dashboard, and the old one must stop

    def __init__(self, game, images=None, n=32, every=1, *, record_every=5, picture=None, size=240):
        if hasattr(images, "sample") and picture is None:
            raise UserError("Points are not images: give `live` a picture, a function of the game that draws them.")
        self.game, self.images, self.every, self.record_every, self.size = game, images, every, record_every, size
        self.records, self.remark, self.diagnosed = [], None, 0  # what `diagnose` found last, and at which step
        self.task, self.half = None, (None, None)  # half: the moment after D's step, and what G's step needs
        self.picture = picture or (lambda game: tile(game.sampler().sample(n), 8))
        self.counts = images is not None and not picture
        self.on_screen = getattr(get_ipython(), "kernel", None) is not None
        self.line, self.move, self.samples, self.curves, self.classes = (widgets.HTML() for _ in range(5))
        pictures = widgets.HBox([self.samples, widgets.VBox([self.curves, self.classes])], layout=WRAP)
        super().__init__([self.line, pictures])
        self.line.value = "waiting for the first record"
        if images is not None:
            self.add_controls()

    def add_controls(self):
        """Put buttons and sliders above the pictures."""
        act = lambda text, act: button(text, lambda: self.attempt(act))
        self.button = act("start", lambda: self.pause() if self.task else self.start())
        self.d_step, self.g_step = act("D: 1 step", lambda: self.step("D")), act("G: 1 step", lambda: self.step("G"))
        look = {"min": -5, "max": -1, "step": 0.05, "readout_format": ".1e"}
        self.rates = []
        for i, player in enumerate("GD"):
            slider = widgets.FloatLogSlider(self.game.rates[i], description=f"rate of {player}", **look)
            slider.observe(lambda change, i=i: self.set_rate(i, change["new"]), "value")
            self.rates.append(slider)
        rows = [self.button, self.d_step, self.g_step], self.rates[::-1]
        self.move.layout.min_height = "76px"
        self.children = [*(widgets.HBox(row, layout=WRAP) for row in rows), self.line, self.move, self.children[-1]]
        self.line.value = "Press start, or let one player make a step."
        if Live.playing:
            Live.playing.pause()
        self.draw()

    def update(self, record):
        """Show a new `training.Record`, or print it as a line where there is no notebook."""
        self.records = [old for old in self.records if old.step < record.step] + [record]  # the game may have gone back
        if self.diagnosed >= record.step:
            self.remark, self.diagnosed = None, 0
        if record.step - self.diagnosed >= SPAN:
            new = [each for each in self.records if each.step >= self.diagnosed]
            self.remark, self.diagnosed = diagnose(new, self.game, self.images), record.step
        if (len(self.records) - 1) % self.every:
            return
        line = (
            f"step {record.step:,} · {record.seconds:.0f} s · d_loss {record.d_loss:.3f} · g_loss {record.g_loss:.3f} · "
            f"D(x) {record.d_real:.2f} · D(G(z)) {record.d_fake:.2f}" + (f" · {self.remark}" if self.remark else "")
        )
        if self.on_screen:
            self.line.value = line
            self.draw()
        else:
            print(line)

    def draw(self):
        """Show samples and curves as they are now; count classes less often during training."""
        self.curves.value = curves_svg(self.records)
        self.samples.value = img(self.picture(self.game), self.size, f"samples at step {self.game.step}")
        if self.counts and (not self.task or (len(self.records) - 1) % (10 * self.every) == 0):
            self.classes.value = classes_svg(evaluation.class_counts(self.game.sampler().sample(COUNTED)).tolist())

    def attempt(self, act):
        """Call `act`. An error stops training and appears in the line, because notebooks hide the errors of callbacks."""
        try:
            act()
        except Exception as error:
            self.end(failure(error))

    def start(self):
        """Train until `pause`. Raises `RuntimeError` without an event loop, or if buttons run on another thread."""
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("This kernel runs buttons on another thread: install ipykernel<7, and restart.")
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            raise RuntimeError("Start works in a notebook only; elsewhere, loop over training.train.") from None
        if Live.playing:
            Live.playing.pause()
        self.half = None, None  # the fakes of a step of D hold operations that would keep a GPU from recording its own
        self.task = loop.create_task(self.play())
        Live.playing, self.button.description, self.move.value = self, "pause", ""

    def pause(self):
        """Stop at the last record. The game can then be saved, sampled, or trained by a cell."""
        if self.task:
            self.end(f"paused at step {self.game.step:,}")
            self.draw()

    def end(self, line):
        """Cancel the task, if there is one. It is between two records. Show `line`."""
        if self.task:
            self.task.cancel()
            self.task = Live.playing = None
            self.button.description = "start"
        self.line.value = line

    async def play(self):
        """The task: train to the next record, let the kernel handle buttons and cells, and so on, until it is cancelled."""
        while self.task:  # in the kernel's own thread: no button and no cell meets a game in the middle of an iteration
            self.attempt(self.advance)
            await asyncio.sleep(BREAK)

    def advance(self):
        """Train to the next record."""
        steps = self.record_every - self.game.step % self.record_every
        for record in training.train(self.game, self.images, steps, self.record_every):
            self.update(record)

    def step(self, player):
        """Make one step of "D" or "G"; show D's mean output and the losses before and after it, for the same images and z.

        D's step begins an iteration with the next batch and new z, and G's step ends it: D, then G is one `training.iteration`.
        A second step of D begins the next iteration. G alone is an iteration too.
        """
        self.pause()
        game = self.game
        moment = lambda: (game, game.step, [weights._version for weights in game.generator.parameters()])
        begun = self.half[0] == moment()  # nothing has trained, loaded or exchanged the game since D's step
        if player == "D" or not begun:
            game.step += begun  # without G
            (real, y), z = next(training.real_batches(game, self.images)), game.noise(game.batch_size)
            self.half = moment(), (game.generate(z, y), real, z, y)
        fake, real, z, y = self.half[1]
        training.set_learning_rates(game)
        before = opinion(game, real, z, y)
        if player == "D":
            training.discriminator_step(game, real, fake, y)
        else:
            self.half = None, None
            training.generator_step(game, real, fake, y)
            training.update_average(game)
            game.step += 1
        after = opinion(game, real, z, y)
        self.move.value = move_svg(before, after, len(real))
        self.line.value = (
            f"step {game.step:,} · {player} made one step: d_loss {before.d_loss:.3f} → {after.d_loss:.3f} · "
            f"g_loss {before.g_loss:.3f} → {after.g_loss:.3f}"
        )
        self.draw()

    def set_rate(self, i, rate):
        """Set the learning rate of G (0) or D (1), from the next step on."""
        self.game.rates = tuple(rate if k == i else other for k, other in enumerate(self.game.rates))
        training.set_learning_rates(self.game)
