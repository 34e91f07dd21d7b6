"""The dashboard that follows a training run (lesson 02), and one with buttons and sliders that play it (lesson 04).

Only core widgets that ipywidgets 7.7.1 (Colab) and 8 both have.
"""

import asyncio
import threading

import ipywidgets as widgets
import torch
from IPython import get_ipython

from gan_lib import UserError, evaluation, training
from gan_lib.pictures import tile
from gan_lib.studies import dry_run
from gan_lib.studies.diagnosis import SPAN, diagnose
from gan_lib.widgets.explorer import button
from gan_lib.widgets.html import classes_svg, curves_svg, failure, img, move_svg

COUNTED = 100  # samples whose classes are counted
BREATH = 0.005  # seconds between two records, in which the kernel reads what the front end says


class Live:
    """What `live` returns. `update(record)` shows the newest record and the samples of the same z as always."""

    def __init__(self, game, n, every, picture=None, size=240):
        self.game, self.images, self.every, self.records, self.size = game, None, every, [], size
        self.remark, self.diagnosed = None, 0  # what the last diagnosis found, and how many records it knew
        self.picture = picture or (lambda game: tile(game.sampler().sample(n), 8))
        self.line = widgets.HTML("waiting for the first record")
        self.samples, self.curves = widgets.HTML(), widgets.HTML()
        self.widget = widgets.VBox([self.line, widgets.HBox([self.samples, self.curves])])
        self.on_screen = getattr(get_ipython(), "kernel", None) is not None

    def _ipython_display_(self):
        from IPython.display import display

        display(self.widget) if self.on_screen else print("step by step, as text:")

    def update(self, record):
        """Take one `training.Record`; redraw, or print a line where there is no notebook around."""
        while self.records and self.records[-1].step >= record.step:  # the game has gone back
            self.records.pop()
        if self.diagnosed > len(self.records):
            self.remark, self.diagnosed = None, 0
        self.records.append(record)
        new = self.records[max(self.diagnosed - 1, 0) :]
        if record.step - (new[0].step if self.diagnosed else 0) >= SPAN:
            self.remark, self.diagnosed = diagnose(new, self.game, self.images), len(self.records)
        if (len(self.records) - 1) % self.every:
            return
        line = (
            f"step {record.step:,} · {record.seconds:.0f} s · d_loss {record.d_loss:.3f} · g_loss {record.g_loss:.3f} · "
            f"D(x) {record.d_real:.2f} · D(G(z)) {record.d_fake:.2f}"
        )
        if self.remark:
            line += f" · {self.remark}"
        if not self.on_screen:
            print(line)
            return
        self.line.value = line
        self.draw()

    def draw(self):
        """Show the samples of now, and the curves of all records."""
        self.curves.value = curves_svg(self.records)
        self.samples.value = img(self.picture(self.game), self.size, f"samples at step {self.game.step}")


@torch.no_grad()
def opinion(game, real, z, y=None):
    """A `training.Record` of the nets as they stand now, on `real` and on the G(z) of now. Nothing changes."""
    with dry_run.untouched(game):  # to look moves BatchNorm's statistics
        logits = real_logits, fake_logits = game.judge_both(real, game.generate(z, y), y)
    losses = game.loss.discriminator(*logits), game.loss.generator(*logits)
    means = (number.item() for number in (*losses, real_logits.sigmoid().mean(), fake_logits.sigmoid().mean()))
    return training.Record(game.step, game.step * game.batch_size, game.seconds, *means)


class Controls(Live):
    """What `live` returns when it is given images: `Live`, with buttons and sliders.

    Start lets `training.train` play from one record to the next, over and over, as a task of the kernel's own event loop.
    Between two records the kernel reads what buttons, sliders and other cells say. All is one thread: nothing meets a game
    that is half way through a step, and what is played is what a loop over `training.train` would play.
    """

    playing = None  # the one that trains now; another takes its place, for that of a cell run again is off the screen

    def __init__(self, game, images, n, every, record_every, picture, size):
        super().__init__(game, n, every, picture, size)
        self.images, self.record_every, self.task, self.round = images, record_every, None, None
        self.counts = not picture
        self.button = button("start", lambda: self.attempt(self.pause if self.task else self.start))
        self.d_step, self.g_step = (
            button(f"{p}: 1 step", lambda p=p: self.attempt(lambda: self.step(p))) for p in "DG"
        )
        self.rates = [
            widgets.FloatLogSlider(
                rate, min=-5, max=-1, step=0.05, description=f"rate of {player}", readout_format=".1e"
            )
            for player, rate in zip("GD", game.rates, strict=True)
        ]
        self.move, self.classes = widgets.HTML(layout=widgets.Layout(min_height="76px")), widgets.HTML()
        wrap = widgets.Layout(flex_flow="row wrap")
        buttons = widgets.HBox([self.button, self.d_step, self.g_step], layout=wrap)
        self.controls = widgets.VBox([buttons, widgets.HBox(self.rates[::-1], layout=wrap)])
        charts = widgets.VBox([self.curves, self.classes])
        self.widget = widgets.VBox([
            self.controls, self.line, self.move, widgets.HBox([self.samples, charts], layout=wrap)
        ])  # fmt: skip
        for i, slider in enumerate(self.rates):
            slider.observe(lambda change, i=i: self.attempt(lambda: self.set_rate(i, change["new"])), "value")
        if Controls.playing:
            Controls.playing.pause()
        self.line.value = "Press start, or let one player make a step."
        self.draw()

    def attempt(self, act):
        """Act; an error ends the play and appears in the line, for notebooks swallow those of callbacks."""
        try:
            act()
        except Exception as error:
            self.end()
            self.line.value = failure(error)

    def start(self):
        """Train until `pause`. Raises `RuntimeError` where no event loop runs, or buttons are heard by another thread."""
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("This kernel runs buttons on another thread: install ipykernel<7, and restart.")
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            raise RuntimeError("Start works in a notebook only; elsewhere, loop over training.train.") from None
        if Controls.playing:
            Controls.playing.pause()
        self.task = loop.create_task(self.play())
        Controls.playing, self.button.description, self.move.value = self, "pause", ""

    def pause(self):
        """Stop where the last record was; the game can be saved, sampled, or trained by a cell."""
        if self.task:
            self.end()
            self.line.value = f"paused at step {self.game.step:,}"
            self.draw()

    def end(self):
        """End the task, if there is one. It is waiting between two records, for only then does anything else run."""
        if self.task:
            self.task.cancel()
            self.task = Controls.playing = None
            self.button.description = "start"

    async def play(self):
        """The task: a record, a breath, a record … until it is cancelled, or a step fails."""
        while self.task:
            self.attempt(self.play_on)
            await asyncio.sleep(BREATH)

    def play_on(self):
        """Train until the next record."""
        steps = self.record_every - self.game.step % self.record_every
        for record in training.train(self.game, self.images, steps, self.record_every):
            self.update(record)

    def step(self, player):
        """Let one player, "D" or "G", make one step; show D's opinion before and after, of the same images and the same z.

        D's step opens a round with the next batch and new z, and G's ends it, so that D, then G is one pair of `train`, exactly.
        `game.step` counts the rounds: those that G ended, and those that D left for another.
        """
        self.pause()
        game = self.game
        opened = self.round is not None and self.round[0] == self.moment()  # by D, and nothing else was played since
        if player == "D" and opened:
            game.step += 1
        if player == "D" or not opened:
            (real, y), z = next(training.real_batches(game, self.images)), game.noise(game.batch_size)
            self.round = self.moment(), game.generate(z, y), real, z, y
        _, fake, real, z, y = self.round
        training.set_learning_rates(game)
        before = opinion(game, real, z, y)
        if player == "D":
            training.discriminator_step(game, real, fake, y)
        else:
            self.round = None
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

    def moment(self):
        """The game, its step, and how often G's weights were written to: fakes are G's as long as these stay the same."""
        return self.game, self.game.step, [weights._version for weights in self.game.generator.parameters()]

    def set_rate(self, player, rate):
        """Let player 0, G, or 1, D, learn at a rate from the next step on."""
        rates = list(self.game.rates)
        rates[player] = rate
        self.game.rates = tuple(rates)
        training.set_learning_rates(self.game)

    def draw(self):
        """Show the samples and the curves; and how many samples the digit net reads as each class, while playing less often."""
        super().draw()
        if self.counts and (not self.task or (len(self.records) - 1) % (10 * self.every) == 0):
            self.classes.value = classes_svg(evaluation.class_counts(self.game.sampler().sample(COUNTED)).tolist())


def live(game, images=None, n=32, every=1, *, record_every=5, picture=None, size=240):
    """A dashboard of training: samples of one fixed z, both losses, D(x) and D(G(z)).

    `show = widgets.live(game)` follows: display it, then call `show.update(record)` in the loop over `training.train`. It is
    drawn anew at every `every`-th record. Outside a notebook it prints a line instead.

    `widgets.live(game, images)` plays: it has buttons for start, pause and single steps of D and of G, sliders for both learning
    rates, and counts classes. `images` are as `training.real_batches` takes them; for a world of points give a `picture` too,
    a function of the game that returns uint8 [height, width, 3], shown `size` pixels wide.
    """
    if hasattr(images, "sample") and picture is None:
        raise UserError("Points are no images: give `live` a picture, a function of the game that draws them.")
    if images is None:
        return Live(game, n, every, picture, size)
    return Controls(game, images, n, every, record_every, picture, size)
