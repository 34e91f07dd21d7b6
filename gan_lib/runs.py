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

import filelock
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
        """Samples, records and a checkpoint; the checkpoint before goes, unless it was to be kept.

        Raises `training.Diverged`, and writes nothing, where a number of the game is not finite.
        """
        checkpoint.check_finite(checkpoint.state(self.game))
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
        if known.anneal:  # the learning rates are those of the reference only if they always fell over the same length
            same = same and set(self.about["planned"]) == {known.steps}
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
    """Train `recipe` into the folder `out`, for `steps` iterations, or `epochs`, or its own. Returns the `Run`.

    `resume` goes on with the run that `out` holds, to the end that was planned, or to a new one; `seed` (None: 0) cannot change
    then. Learning rates that anneal fall over the planned length. Raises `ValueError` where `out` and `resume` do not fit
    together or another process trains into `out`, `training.Diverged`, and `SystemExit` after Ctrl-C, with everything saved.
    """
    out, team = Path(out), parallel.team(device)
    device = data.pick_device(device)
    last_checkpoint(out, resume)  # before the lock, so that what is refused leaves nothing behind
    with lock(out, team, device):
        last = last_checkpoint(out, resume)
        return play(recipe, out, team, device, last, dataset, seed, epochs, steps, quiet)


def last_checkpoint(out, resume):
    """The newest checkpoint of the run in `out`, or None. Raises `ValueError` where `resume` asks for the other."""
    last = checkpoint.latest(out / "checkpoints")
    if last and not resume:
        raise ValueError(f"{out} already holds a run: add --resume to go on with it, or choose another --out.")
    if resume and not last:
        raise ValueError(
            f"{out} holds no checkpoint to go on from: leave out --resume, or give the run's folder with --out."
        )
    return last


@contextlib.contextmanager
def lock(out, team, device="cpu"):
    """Keep other processes from training into the folder `out`. Raises `ValueError` where one does so already.

    The operating system takes the lock back when the process ends, however it ends. Does nothing on a file system without locks.
    """
    out.mkdir(parents=True, exist_ok=True)
    mine, taken = filelock.FileLock(out / ".lock"), []
    try:
        if team.first:
            mine.acquire(blocking=False)
    except filelock.Timeout:
        taken.append(True)
    except (OSError, NotImplementedError):
        pass
    try:
        if anyone(taken, team, device):
            raise ValueError(f"Another process is training into {out}: wait for it to end, or choose another --out.")
        yield
    finally:
        mine.release()


def anyone(flags, team, device):
    """Whether `flags` is not empty in any process of the team, which all wait for each other here."""
    return team.mean(torch.tensor([float(len(flags))], device=device)).item() > 0


def play(recipe, out, team, device, last, dataset, seed, epochs, steps, quiet):
    """What `train` does once the folder is its own; `last` is the checkpoint to go on from, or None."""
    planned = []
    if last:
        notes = checkpoint.header(last)["notes"]
        game = recipes.resume(last, device)
        was = notes["recipe"]["name"], notes.get("data", dataset)
        if was != (recipe.name, dataset):
            raise ValueError(f"{out} holds a run of {was[0]} on {was[1]}: resume it as that.")
        if seed not in (None, game.seed):
            raise ValueError(f"{out} holds a run of seed {game.seed}, not {seed}: leave out --seed.")
        recipe = recipes.from_json(notes["recipe"])  # as it was, should the one of that name have changed
        planned = list(notes.get("planned", []))
    digits = data.load(dataset, device=device)
    per_epoch = len(digits.images) // recipe.batch_size
    if per_epoch == 0:
        raise ValueError(
            f"A batch of {recipe.batch_size} needs more images than the {len(digits.images)} of {dataset}."
        )
    if epochs or not (steps or planned):
        steps = (epochs or recipe.epochs) * per_epoch
    steps = steps or planned[-1]
    planned = [*planned, steps] if planned[-1:] != [steps] else planned
    if last and recipe.anneal:
        game.horizon = steps
    elif not last:
        game = recipe.game(seed or 0, device, horizon=steps)
    parallel.join(game, team)
    epochs = -(-steps // per_epoch)

    run = Run(out, game, recipe, {"data": dataset, "planned": planned})
    anyone([], team, device)  # waits for the others, before the first writes what they look for above
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
                    if stop := anyone(asked, team, device):
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
