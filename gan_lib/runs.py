"""A training run in a folder: samples, curves, a film, checkpoints. Interrupted, it goes on exactly where it stopped.

`python -m gan_lib train` calls it, and so does tools/make_reference.py.
"""

import contextlib
import dataclasses
import os
import signal
from pathlib import Path

import filelock
import numpy as np
import torch
from tqdm import tqdm

from gan_lib import UserError, checkpoint, data, hardware, pictures, plotting, recipes, reference, training
from gan_lib.files import write_atomically
from gan_lib.studies.diagnosis import diagnose


class Run:
    """A folder and the run in it: `game`, `recipe`, `records`, the last checkpoint `saved`, and `steps`, its planned length.

    `remark` is what the diagnosis finds at the end, or None.
    """

    remark = None

    def __init__(self, folder, game, recipe, steps, notes, resumed=None):
        self.folder, self.game, self.recipe, self.steps, self.notes = Path(folder), game, recipe, steps, notes
        self.saved, self.keep = (resumed.path, resumed.header["notes"].get("keep", True)) if resumed else (None, True)
        self.records = [r for r in checkpoint.load_records(self.folder / "records.csv") if r.step <= game.step]

    @property
    def finished(self):
        """Whether it has reached its planned length: not if Ctrl-C stopped it."""
        return self.game.step >= self.steps

    def save(self, epoch, keep):
        """Write samples, records and a checkpoint; the checkpoint before is deleted, unless it was to be kept.

        Raises `training.Diverged`, and writes nothing, where a number of the game is not finite.
        """
        content = checkpoint.serialise(self.game, self.recipe, keep=keep, **self.notes)
        if not self.game.team.first:
            return
        samples = pictures.tile(self.game.sampler().sample(100))
        pictures.save_picture(samples, self.folder / "samples" / f"epoch_{epoch}.png")
        checkpoint.save_records(self.records, self.folder / "records.csv")
        path = self.folder / "checkpoints" / f"step_{self.game.step:07d}.safetensors"
        write_atomically(path, content)
        if self.saved not in (None, path) and not self.keep:
            self.saved.unlink()
        self.saved, self.keep = path, keep

    def draw(self):
        """Write the pictures of the whole run, from the samples of its epochs."""
        paths = sorted(self.folder.glob("samples/epoch_*.png"), key=epoch_of)
        frames = [pictures.untile(pictures.load_picture(path)) for path in paths]
        choose = lambda n: sorted({round(i) for i in np.linspace(0, len(paths) - 1, n)})
        labels = [f"epoch {epoch_of(path)}" for path in paths]
        ax = plotting.rows([frames[i] for i in choose(10)], [labels[i] for i in choose(10)])
        plotting.save_figure(ax, self.folder / "visualization_across_epochs.png", close=True)
        ax = plotting.curves(self.records, reference=self.band())[0]
        plotting.save_figure(ax, self.folder / "curves.png", close=True)
        for name in ("progress.gif", "progress.mp4"):
            some = choose(60)
            pictures.save_animation([frames[i] for i in some], self.folder / name, labels=[labels[i] for i in some])

    def band(self):
        """The name of the reference runs to compare with; None where this run has another recipe, data or learning-rate decay."""
        known = recipes.RECIPES.get(self.recipe.name)
        same = (
            known and self.notes["data"] == "mnist" and known == dataclasses.replace(self.recipe, epochs=known.epochs)
        )
        if same and (not known.anneal or set(self.notes["planned"]) == {known.steps}):
            return known.name if known.name in reference.names() else None
        return None


def epoch_of(path):
    return int(path.stem.split("_")[1])


def train(recipe, out, *, dataset="mnist", device="auto", seed=None, epochs=None, steps=None,
          resume=False, quiet=False):  # fmt: skip
    """Train `recipe` into the folder `out`, for `steps` iterations, or `epochs`, or its own epochs. Returns the `Run`.

    `resume` goes on with the run in `out`, to its planned end or to a new one; its `seed` (None: 0) can't change. Learning
    rates that decay do so over the planned length. Ctrl-C stops at the next record, with everything saved. Raises `UserError`
    where `out` and `resume` do not fit together or another process trains into `out`, and `training.Diverged`.
    """
    out, team = Path(out), hardware.team(device)
    device = hardware.pick_device(device)
    check_folder(out, resume)  # before the lock, so that a refused command leaves nothing behind
    with lock(out, team, device):
        check_folder(out, resume)
        saved = checkpoint.read(checkpoint.latest(out)) if resume else None
        run, digits = start(recipe, out, team, device, saved, dataset, seed, epochs, steps)
        del saved  # a copy of every weight
        follow(run, digits, quiet)
        return run


def check_folder(out, resume):
    """Raise `UserError` where `out` holds a run and is not to be resumed, or the other way round."""
    last = checkpoint.latest(out)
    if last and not resume:
        raise UserError(f"{out} already holds a run: add --resume to go on with it, or choose another --out.")
    if resume and not last:
        raise UserError(
            f"{out} holds no checkpoint to go on from: leave out --resume, or give the run's folder with --out."
        )


@contextlib.contextmanager
def lock(out, team, device="cpu"):
    """Keep other processes from training into the folder `out`. Raises `UserError` where one does so already.

    The operating system releases the lock when the process ends, however it ends. Does nothing on a file system without locks.
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
            raise UserError(f"Another process is training into {out}: wait for it to end, or choose another --out.")
        yield
    finally:
        mine.release()


def anyone(flags, team, device):
    """Whether `flags` is not empty in any process of the team, which all wait for each other here."""
    return team.mean(torch.tensor([float(len(flags))], device=device)).item() > 0


def start(recipe, out, team, device, saved, dataset, seed, epochs, steps):
    """The `Run` that `train` goes on with, from the `Checkpoint` saved (None: from the beginning), and its images."""
    planned = []
    if saved:
        notes, before = saved.header["notes"], saved.recipe  # as it was, in case the one of that name has changed
        was = before.name, notes.get("data", dataset)
        if was != (recipe.name, dataset):
            raise UserError(f"{out} holds a run of {was[0]} on {was[1]}: resume it as that.")
        if seed not in (None, saved.header["seed"]):
            raise UserError(f"{out} holds a run of seed {saved.header['seed']}, not {seed}: leave out --seed.")
        recipe, planned = before, list(notes.get("planned", []))
    digits = data.load(dataset, device=device)
    per_epoch = len(digits.images) // recipe.batch_size
    if per_epoch == 0:
        raise UserError(f"A batch of {recipe.batch_size} needs more images than the {len(digits.images)} of {dataset}.")
    if epochs or not (steps or planned):
        steps = (epochs or recipe.epochs) * per_epoch
    steps = steps or planned[-1]
    planned = [*planned, steps] if planned[-1:] != [steps] else planned
    game = saved.game(device) if saved else recipe.game(seed or 0, device, horizon=steps)
    game.horizon = steps if recipe.anneal else game.horizon
    hardware.join(game, team)
    return Run(out, game, recipe, steps, {"data": dataset, "planned": planned}, saved), digits


def follow(run, digits, quiet):
    """Train `run` on `digits` to its end, and write what belongs to it."""
    game, team, steps, per_epoch = run.game, run.game.team, run.steps, len(digits.images) // run.recipe.batch_size
    epochs = -(-steps // per_epoch)
    anyone([], team, game.device)  # waits for the others, before the first writes what they look for above
    if team.first:
        pictures.save_picture(pictures.tile(digits.images[:100]), run.folder / "real_images.png")
    if game.step == 0:
        run.save(0, keep=True)
    stop, bar = False, tqdm(total=steps, initial=game.step, unit=" steps", disable=quiet or not team.first)
    try:
        with bar, interrupts() as requests:
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
                    if stop := anyone(requests, team, game.device):
                        break
                run.save(epoch, keep=game.step == end and epoch % -(-epochs // 10) == 0)
    except (training.Diverged, ConnectionError) as error:
        raise type(error)(f"{error} The last good checkpoint is {checkpoint.latest(run.folder)}.") from error
    if team.first:
        run.draw()
        run.remark = diagnose(run.records, game, digits)


@contextlib.contextmanager
def interrupts():
    """A list that stays empty until Ctrl-C: the run then stops at a record, never inside a step. A second Ctrl-C is final."""
    requests = []

    def request(number, _):
        signal.signal(signal.SIGINT, before)
        os.write(2, b"\nStopping at the next record ...\n")  # print could be what was interrupted
        requests.append(number)

    before = signal.signal(signal.SIGINT, request)
    try:
        yield requests
    finally:
        signal.signal(signal.SIGINT, before)
