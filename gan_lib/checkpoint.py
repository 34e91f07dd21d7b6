"""Save a whole game in one file and go on from it exactly; save its records in another. Introduced in lesson 04.

A checkpoint is a `.safetensors`: named tensors and a JSON header, nothing that could run code when it is opened.
"""

import csv
import json
from pathlib import Path

import safetensors
import safetensors.torch
import torch

from gan_lib.files import write_atomically
from gan_lib.settings import check
from gan_lib.training import Diverged, Record, anneal

NETS = ("generator", "discriminator", "average")
OPTIMIZERS = ("g_optimizer", "d_optimizer")


def save(game, path, **notes):
    """Write nets, average, both optimisers, random state and step of `game` to `path`, atomically.

    `notes` are kept in the header, as JSON (a recipe, the seed, what you like). Raises `training.Diverged` as `check_finite`
    does, and `OSError` where the disk is full or not writable; a file that was there before is then unharmed.
    """
    tensors = check_finite(state(game)) | {"rng": game.rng.get_state().cpu()}
    header = {key: getattr(game, key) for key in ("step", "seconds", "seed", "rates", "horizon")} | {"notes": notes}
    header["betas"] = [getattr(game, name).param_groups[0]["betas"] for name in OPTIMIZERS]
    write_atomically(path, safetensors.torch.save(tensors, {"gan_lib": json.dumps(header)}))


def state(game):
    """Every tensor of the nets, the average and both optimisers, on the CPU: {name: tensor}."""
    tensors = {}
    for name in NETS:
        tensors |= {f"{name}.{key}": value for key, value in getattr(game, name).state_dict().items()}
    for name in OPTIMIZERS:
        slots = getattr(game, name).state_dict()["state"]
        tensors |= {f"{name}.{i}.{key}": value for i, each in slots.items() for key, value in each.items()}
    return {key: value.detach().cpu().contiguous() for key, value in tensors.items()}


def check_finite(tensors):
    """Returns `tensors`. Raises `training.Diverged` with the name of the first that holds an infinite number, or nan."""
    for key, value in tensors.items():
        if not value.isfinite().all():
            raise Diverged(f"{key} is not finite any more: this training run has diverged.")
    return tensors


def load(game, path):
    """Put the state saved in `path` into `game`, whose nets must have the same shapes. Returns `game`.

    On the same kind of CPU, training then continues bit for bit as if it had never stopped; a run from another kind of device
    continues with new noise. Raises as `read` does; `game` is then unchanged.
    """
    about, tensors = read(path, (game.generator, game.discriminator), game.rng)
    parts = {name: {} for name in (*NETS, *OPTIMIZERS)}
    for key, value in tensors.items():
        name, _, rest = key.partition(".")
        if name in parts:
            parts[name][rest] = value
    for name in NETS:
        getattr(game, name).load_state_dict(parts[name])
    for name, betas in zip(OPTIMIZERS, about["betas"], strict=True):
        optimizer, slots = getattr(game, name), {}
        for key, value in parts[name].items():
            i, _, slot = key.partition(".")
            slots.setdefault(int(i), {})[slot] = value
        optimizer.load_state_dict(optimizer.state_dict() | {"state": slots})
        optimizer.param_groups[0]["betas"] = tuple(betas)
    if tensors["rng"].shape == game.rng.get_state().shape:
        game.rng.set_state(tensors["rng"])
    else:  # it was saved on another kind of device, whose random state means nothing here
        game.rng.manual_seed(1_000_003 * about["seed"] + about["step"])
    game.step, game.seconds, game.seed = about["step"], about["seconds"], about["seed"]
    game.rates, game.horizon = tuple(about["rates"]), about["horizon"]
    anneal(game)
    return game


def read(path, nets, rng=None):
    """The header of the checkpoint `path` and its tensors, which fit `nets`: a generator and a discriminator.

    The nets may be on the device "meta". Raises as `header` does, and `ValueError` where the name, the shape or the dtype of a
    tensor is not what these nets and their optimisers need, where a number is not finite, or where `rng`, a
    `torch.Generator`, can't take its state. It changes nothing.
    """
    about = header(path)
    tensors = safetensors.torch.load(Path(path).read_bytes())  # not mapped: the file may be replaced
    needed = {f"{name}.{key}": value for name, net in zip(NETS, (*nets, nets[0]), strict=True)
              for key, value in net.state_dict().items()}  # fmt: skip
    for name, net in zip(OPTIMIZERS, nets, strict=True):
        for i, weights in enumerate(net.parameters()):
            slots = {"exp_avg": weights, "exp_avg_sq": weights, "step": torch.tensor(0.0)}
            slots = {f"{name}.{i}.{slot}": value for slot, value in slots.items()}
            needed |= slots if slots.keys() & tensors.keys() else {}  # Adam has none before its first step
    needed["rng"] = tensors.get("rng", torch.zeros(0)).byte().flatten()  # its length depends on the device
    expected, found = ({key: (each.shape, each.dtype) for key, each in parts.items()} for parts in (needed, tensors))
    if wrong := [key for key in sorted(needed | tensors) if expected.get(key) != found.get(key)]:
        raise ValueError(
            f"{path} holds another {wrong[0].partition('.')[0]} than this game: start it with the same recipe; a file "
            f"that says its recipe is damaged. ({wrong[0]} is missing, is one too many, or has another shape or dtype.)"
        )
    try:
        check_finite(tensors)
        if rng is not None and tensors["rng"].shape == rng.get_state().shape:
            torch.Generator(rng.device).set_state(tensors["rng"])
    except (Diverged, RuntimeError) as error:
        raise ValueError(f"{path} can't be used: {str(error).splitlines()[0]}") from error
    return about, tensors


def header(path):
    """What `save` wrote beside the tensors: step, seconds, seed, notes, ... Reads the first bytes of the file only.

    Raises `FileNotFoundError` where there is no such file, `ValueError` where it is truncated or not a checkpoint of ours.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"There is no checkpoint {path}.")
    try:
        with safetensors.safe_open(path, "pt") as file:
            about = json.loads(file.metadata()["gan_lib"])
        notes, (g_lr, d_lr), (g_betas, d_betas) = about["notes"], about["rates"], about["betas"]
        check(**{key: about[key] for key in ("step", "seconds", "seed")}, g_lr=g_lr, d_lr=d_lr, betas=g_betas)
        check(betas=d_betas, horizon=1 if about["horizon"] is None else about["horizon"])
        [check(horizon=length) for length in notes.get("planned", [])]  # `runs.train` notes both
        if not isinstance(notes.get("data", ""), str):
            raise ValueError("The name of a data set is text.")
        return about
    except (safetensors.SafetensorError, AttributeError, TypeError, LookupError, ValueError, RecursionError) as error:
        raise ValueError(
            f"{path} is not a whole checkpoint of gan_lib: it is truncated, or another kind of file."
        ) from error


def in_order(folder):
    """The checkpoints in `folder`, by their steps."""
    return sorted(Path(folder).glob("*.safetensors"), key=lambda path: header(path)["step"])


def latest(folder):
    """The newest checkpoint in `folder` by its step, or None."""
    return next(reversed(in_order(folder)), None)


def save_records(records, path):
    """Write `training.Record`s as CSV with a header line, atomically."""
    lines = [",".join(Record._fields), *(",".join(map(str, record)) for record in records)]
    write_atomically(path, ("\n".join(lines) + "\n").encode())


def load_records(path):
    """The records that `save_records` wrote; [] where there is no such file. Raises `ValueError` where it is another file."""
    if not Path(path).exists():
        return []
    try:
        with open(path, newline="") as file:
            rows = list(csv.DictReader(file))
        return [Record(**{key: kind(row[key]) for key, kind in Record.__annotations__.items()}) for row in rows]
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        raise ValueError(f"{path} is not a records.csv of gan_lib: move it away to go on without it.") from error
