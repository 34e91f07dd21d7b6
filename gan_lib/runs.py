"""A training run in a folder, with all that it makes; interrupted, it goes on exactly where it stopped.

What `python -m gan_lib train` does, and what made the reference runs.
"""

import contextlib
import dataclasses
import os
import shlex
import signal
import sys
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from gan_lib import checkpoint, data, diagnosis, parallel, plotting, recipes, reference, training


class Run:
    """A folder with what a training run makes; `remark` is what the diagnosis found at its end, if anything."""

    remark = None

    def __init__(self, folder, game, recipe, about):
        self.folder, self.game, self.recipe, self.about = Path(folder), game, recipe, about
        self.saved = checkpoint.latest(self.folder / "checkpoints")
        self.records = [r for r in checkpoint.load_records(self.folder / "records.csv") if r.step <= game.step]

    def save(self, epoch, keep):
        """Samples, records and a checkpoint; the checkpoint before goes, unless it was to be kept."""
        if not self.game.team.first:
            return
        pixels = plotting.pixels(self.game.sampler().sample(100))
        plotting.save_picture(plotting.tile(pixels), self.folder / "samples" / f"epoch_{epoch}.png")
        checkpoint.save_records(self.records, self.folder / "records.csv")
        path = self.folder / "checkpoints" / f"step_{self.game.step:07d}.safetensors"
        recipes.save(self.game, self.recipe, path, keep=keep, **self.about)
        if self.saved and self.saved != path and not checkpoint.header(self.saved)["notes"].get("keep", True):
            self.saved.unlink()
        self.saved = path

    def draw(self):
        """The pictures of the whole run, from the samples of its epochs."""
        paths = sorted(self.folder.glob("samples/epoch_*.png"), key=epoch_of)
        frames = [plotting.untile(plotting.load_picture(path)) for path in paths]
        few = sorted({round(i) for i in np.linspace(0, len(paths) - 1, 10)})
        ax = plotting.rows([frames[i] for i in few], [f"epoch {epoch_of(paths[i])}" for i in few])
        plotting.save_figure(ax, self.folder / "visualization_across_epochs.png", close=True)
        known = recipes.RECIPES.get(self.recipe.name, self.recipe)
        same = self.about["data"] == "mnist" and known == dataclasses.replace(self.recipe, epochs=known.epochs)
        band = known.name if same and known.name in reference.names() else None
        plotting.save_figure(plotting.curves(self.records, reference=band)[0], self.folder / "curves.png", close=True)
        some = sorted({round(i) for i in np.linspace(0, len(paths) - 1, 60)})
        labels = [f"epoch {epoch_of(paths[i])}" for i in some]
        for name in ("progress.gif", "progress.mp4"):
            plotting.save_animation([frames[i] for i in some], self.folder / name, labels=labels)


def epoch_of(path):
    return int(path.stem.split("_")[1])


def train(recipe, out, *, dataset="mnist", device="auto", seed=None, epochs=None, steps=None,
          resume=False, quiet=False):  # fmt: skip
    """Train `recipe` into the folder `out`, for `steps` pairs of steps, or `epochs`, or its own. Returns the `Run`.

    `resume` goes on with the run that `out` holds; `seed` (None: 0) cannot change then. Raises `ValueError` where `out` and
    `resume` do not fit together, `training.Diverged`, and `SystemExit` after Ctrl-C, with everything saved.
    """
    out, team = Path(out), parallel.team(device)
    device = data.pick_device(device)
    recipe = dataclasses.replace(recipe, epochs=epochs or recipe.epochs)
    last = checkpoint.latest(out / "checkpoints")
    if last and not resume:
        raise ValueError(f"{out} already holds a run: add --resume to go on with it, or choose another --out.")
    if resume and not last:
        raise ValueError(
            f"{out} holds no checkpoint to go on from: leave out --resume, or give the run's folder with --out."
        )
    game = recipes.resume(last, device) if last else recipe.game(seed or 0, device)
    parallel.join(game, team)
    if last:
        notes = checkpoint.header(last)["notes"]
        was = notes["recipe"]["name"], notes.get("data", dataset)
        if was != (recipe.name, dataset):
            raise ValueError(f"{out} holds a run of {was[0]} on {was[1]}: resume it as that.")
        if seed not in (None, game.seed):
            raise ValueError(f"{out} holds a run of seed {game.seed}, not {seed}: leave out --seed.")
        recipe = recipes.from_json(notes["recipe"])  # as it was, should the one of that name have changed
    digits = data.load(dataset, device=device)
    per_epoch = len(digits.images) // game.batch_size
    steps = steps or (epochs or recipe.epochs) * per_epoch
    epochs = -(-steps // per_epoch)

    run = Run(out, game, recipe, {"data": dataset})
    anyone = lambda flags: team.mean(torch.tensor([float(len(flags))], device=device)).item() > 0
    anyone([])  # waits for the others, before the first writes what they look for above
    if team.first:
        plotting.save_picture(plotting.tile(digits.images[:100]), out / "real_images.png")
    if game.step == 0:
        run.save(0, keep=True)
    stop, bar = False, tqdm(total=steps, initial=game.step, unit=" steps", disable=quiet or not team.first)
    try:
        with bar, interrupts() as asked:
            while game.step < steps and not stop:
                epoch = game.step // per_epoch + 1
                end = min(epoch * per_epoch, steps)
                for record in training.train(game, digits, end - game.step):
                    run.records.append(record)
                    bar.update(record.step - bar.n)
                    bar.set_postfix_str(
                        f"epoch {epoch}/{epochs}, d_loss {record.d_loss:.3f}, g_loss {record.g_loss:.3f}, "
                        f"D(x) {record.d_real:.2f}, D(G(z)) {record.d_fake:.2f}"
                    )
                    if stop := anyone(asked):
                        break
                run.save(epoch, keep=game.step == end and epoch % -(-epochs // 10) == 0)
    except (training.Diverged, ConnectionError) as error:
        raise type(error)(f"{error} The last good checkpoint is {checkpoint.latest(out / 'checkpoints')}.") from error
    if not team.first:
        return run
    run.draw()
    run.remark = diagnosis.diagnose(run.records, game, digits)
    if game.step < steps:
        launch = ["accelerate", "launch", "--multi_gpu", "--num_processes", str(team.size)]
        again = launch if team.size > 1 else ["python"]
        again += ["-m", "gan_lib", "train", recipe.name, "--steps", str(steps), "--data", dataset]
        again += ["--out", str(out), "--device", device.type, "--resume"]
        print(f"Stopped after step {game.step} of {steps}; everything is in {out}. To go on:", file=sys.stderr)
        print(f"  {shlex.join(again)}", file=sys.stderr)
        raise SystemExit(130)
    return run


@contextlib.contextmanager
def interrupts():
    """A list that is empty until Ctrl-C: so the run stops at a record, with no step cut in two. A second one is final."""
    asked = []

    def ask(number, _):
        signal.signal(signal.SIGINT, before)
        os.write(2, b"\nStopping at the next record ...\n")  # print could be what was interrupted
        asked.append(number)

    before = signal.signal(signal.SIGINT, ask)
    try:
        yield asked
    finally:
        signal.signal(signal.SIGINT, before)
