"""A training run in a folder: samples, curves, a film, checkpoints. An interrupted run continues exactly where it stopped.

`python -m gan_lib train` and tools/make_reference.py use it.
"""

import contextlib
import csv
import dataclasses
import hashlib
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from tqdm import tqdm

from gan_lib import UserError, checkpoint, data, files, pictures, plotting, processes, recipes, reference, training
from gan_lib.hardware import pick_device
from gan_lib.studies import films
from gan_lib.studies.diagnosis import diagnose

FULL = "The GPU's memory is full: end what else uses it, or take --device cpu; --resume continues a run, there too."
AT_STAKE = 110  # seconds between checkpoints, at most: nobody loses two minutes of training


class Run:
    """A training run and its folder, at step 0 or at the last checkpoint in it. The arguments are those of `train`.

    `steps` is its planned length, `remark` what the diagnosis finds at the end. Raises `UserError` if `folder` holds another run.
    """

    def __init__(self, folder, team, recipe, dataset, device, seed, epochs, steps, resume):
        last = last_checkpoint(folder, recipe, dataset, seed) if resume else None
        self.digits = data.load(dataset, device=device)
        mark = None if dataset in data.SETS else fingerprint(self.digits)
        if last and last.notes["pictures"] != mark:
            raise UserError(f"{folder} was trained on other pictures than {dataset} holds now: choose another --out.")
        # A run goes on with its recipe as it was, even if this version has changed it.
        self.recipe = last.recipe if last else with_classes(recipe, self.digits, dataset)
        self.per_epoch = len(self.digits.images) // (batch := self.recipe.batch_size)
        if not self.per_epoch:
            raise UserError(f"A batch of {batch} needs more images than the {len(self.digits.images)} of {dataset}.")
        planned = last.notes["planned"] if last else []
        if epochs or not (steps or planned):
            steps = (epochs or self.recipe.epochs) * self.per_epoch
        self.steps = steps or planned[-1]
        planned = planned if planned[-1:] == [self.steps] else [*planned, self.steps]
        self.folder, self.notes = folder, {"data": dataset, "planned": planned, "pictures": mark}
        self.temporary = last.path if last and not last.notes["keep"] else None  # the next checkpoint replaces it
        self.game = last.game(device) if last else self.recipe.game(seed or 0, device, horizon=self.steps)
        self.game.horizon = self.steps if self.recipe.anneal else self.game.horizon
        processes.join(self.game, team)
        self.records = [r for r in load_records(folder / "records.csv") if r.step <= self.game.step]
        self.remark = None

    def save(self, epoch, keep):
        """Write samples, records and a checkpoint; without `keep` the next checkpoint replaces it.

        Raises `training.Diverged`, and writes nothing, if a number of the game is not finite.
        """
        content = checkpoint.serialise(self.game, self.recipe, keep=keep, **self.notes)
        if not self.game.team.first:
            return
        samples = pictures.tile(self.game.sampler().sample(100))
        pictures.save_picture(samples, self.folder / "samples" / f"epoch_{epoch}.png")
        save_records(self.records, self.folder / "records.csv")
        path = self.folder / "checkpoints" / f"step_{self.game.step:07d}.safetensors"
        files.write_atomically(path, content)
        if self.temporary not in (None, path):
            self.temporary.unlink(missing_ok=True)
        self.temporary = None if keep else path

    def frames(self, n):
        """The samples of up to n epochs, evenly spaced from the first to the last, and a label for each epoch."""
        epochs = sorted(int(path.stem.removeprefix("epoch_")) for path in self.folder.glob("samples/epoch_*.png"))
        epochs = sorted({epochs[round(i * (len(epochs) - 1) / (n - 1))] for i in range(n) if epochs})
        paths = [self.folder / "samples" / f"epoch_{epoch}.png" for epoch in epochs]
        images = [untile(np.array(Image.open(path).convert("L"))) for path in paths]
        return images, [f"epoch {epoch}" for epoch in epochs]

    def draw(self):
        """Write the pictures of the whole run, from its records and the samples of its epochs, where these were not deleted."""
        curves, _ = plotting.curves(self.records, reference=self.reference())
        plotting.save_figure(curves, self.folder / "curves.png", close=True)
        images, labels = self.frames(60)
        if not images:
            return
        rows = plotting.rows(*self.frames(10))
        plotting.save_figure(rows, self.folder / "visualization_across_epochs.png", close=True)
        for name in ("progress.gif", "progress.mp4"):
            films.save(images, self.folder / name, labels=labels)

    def reference(self):
        """The reference runs to compare with; None if this run has another recipe, data or learning-rate decay."""
        known, notes = recipes.RECIPES.get(self.recipe.name), self.notes
        same = known and known == dataclasses.replace(self.recipe, epochs=known.epochs) and notes["data"] == "mnist"
        same = same and (not known.anneal or set(notes["planned"]) == {known.steps})
        return reference.Reference(known.name) if same and known.name in reference.names() else None


def untile(picture, scale=1):
    """The images uint8 [N, 28, 28], as a tensor, of a picture that `pictures.tile` made without empty places."""
    gap, cell = pictures.GAP, pictures.CELL
    cells = torch.tensor(picture[::scale, ::scale]).unfold(0, cell + gap, cell).unfold(1, cell + gap, cell)
    return cells[..., gap:-gap, gap:-gap].flatten(0, 1)


def last_checkpoint(folder, recipe, dataset, seed):
    """The newest checkpoint in `folder`. Raises `UserError` if it is of another recipe, data or seed (None: any)."""
    last = checkpoint.read(checkpoint.latest(folder))
    old = last.recipe.name, last.notes["data"] or dataset, last.header["seed"]
    if old != (recipe.name, dataset, old[2] if seed is None else seed):
        raise UserError(f"{folder} holds a run of {old[0]} on {old[1]} with seed {old[2]}: resume it with these.")
    return last


def with_classes(recipe, digits, dataset):
    """The recipe with as many classes as the labels have, if it is class-conditional. Raises `UserError` if they have one."""
    if not recipe.classes:
        return recipe
    recipe = dataclasses.replace(recipe, classes=int(digits.labels.max()) + 1)
    if recipe.classes == 1:
        raise UserError(f"{recipe.name} needs classes: put each one's pictures into a sub-folder of {dataset}.")
    return recipe


def fingerprint(digits):
    """The SHA-256 of images and labels."""
    return hashlib.sha256(b"".join(each.cpu().numpy().tobytes() for each in digits)).hexdigest()


def train(recipe, out, dataset="mnist", device="auto", seed=None, epochs=None, steps=None, resume=False, quiet=False):
    """Train `recipe` into the folder `out`, for `steps` iterations, or `epochs`, or the recipe's epochs. Returns the `Run`.

    `dataset` is as `data.load` takes it; a class-conditional recipe gets as many classes as it has.
    `resume` continues the run in `out`, to its planned end or to a new one; its `seed` (None: 0) can't change. With None a run
    continues if there is one. Learning rates that decay do so over the planned length. After Ctrl-C the run stops at the next
    record, with everything saved. Raises `UserError` if `out` and `resume` do not fit together or another process trains into
    `out`, and `training.Diverged`.
    """
    out, team = Path(out), processes.team(device)
    device = pick_device(device)
    check_folder(out, resume)  # before the lock, so that a refused command leaves no file behind
    with processes.lock(out, team, device):
        resume = check_folder(out, resume)
        run = Run(out, team, recipe, dataset, device, seed, epochs, steps, resume)
        follow(run, quiet)
        return run


def check_folder(out, resume):
    """Whether to resume. Raises `UserError` if `out` holds a run and `resume` is False, or the other way round."""
    last = checkpoint.latest(out)
    if resume is None:
        return last is not None
    if last and not resume:
        raise UserError(f"{out} already holds a run: add --resume to continue it, or choose another --out.")
    if resume and not last:
        raise UserError(f"{out} holds no checkpoint: leave out --resume, or give the folder of a run with --out.")
    return resume


def follow(run, quiet):
    """Train `run` to its end, and write its files."""
    game, team, steps, epochs = run.game, run.game.team, run.steps, -(-run.steps // run.per_epoch)
    processes.in_any_process(False, team, game.device)  # waits until every process has passed `check_folder`
    if team.first:
        pictures.save_picture(pictures.tile(run.digits.images[:100]), run.folder / "real_images.png")
    if game.step == 0:
        run.save(0, keep=True)
    stop, saved = False, time.monotonic()
    bar = tqdm(total=steps, initial=game.step, unit=" steps", disable=quiet or not team.first)
    try:
        with processes.interrupts(alone=team.size == 1) as requests:
            while game.step < steps and not stop:
                epoch = game.step // run.per_epoch + 1
                end = min(epoch * run.per_epoch, steps)
                for record in training.train(game, run.digits, end - game.step):
                    run.records.append(record)
                    show(bar, record, f"epoch {epoch}/{epochs}")
                    if stop := processes.in_any_process(bool(requests), team, game.device):
                        break
                    if game.step < end and time.monotonic() > saved + AT_STAKE:
                        run.save(epoch, keep=False)
                        saved = time.monotonic()
                run.save(epoch, keep=game.step == end and epoch % -(-epochs // 10) == 0)
                saved = time.monotonic()
    except (training.Diverged, ConnectionError) as error:
        raise type(error)(f"{error} The last good checkpoint is {checkpoint.latest(run.folder)}.") from error
    finally:
        with contextlib.suppress(OSError):
            bar.close()
    if team.first:
        run.draw()
        run.remark = diagnose(run.records, game, run.digits)


def show(bar, record, words):
    """Move the progress bar to a record. The terminal may be closed, which must not end the run."""
    means = "".join(f", {label} {getattr(record, key):.3f}" for key, label in reference.LABELS.items())
    with contextlib.suppress(OSError, ValueError):
        bar.set_postfix_str(words + means, refresh=False)
        bar.update(record.step - bar.n)


def save_records(records, path):
    """Write `Record`s as CSV with a header line, atomically."""
    lines = [",".join(training.Record._fields), *(",".join(map(str, record)) for record in records)]
    files.write_atomically(path, ("\n".join(lines) + "\n").encode())


def load_records(path):
    """The records that `save_records` wrote; [] where there is no such file. Raises `UserError` where it is another file."""
    if not Path(path).exists():
        return []
    try:
        with open(path, newline="") as file:
            rows, fields = list(csv.DictReader(file)), training.Record.__annotations__.items()
        return [training.Record(**{key: kind(row[key]) for key, kind in fields}) for row in rows]
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        raise UserError(f"{path} is not a records.csv of gan_lib: move it away to go on without it.") from error
