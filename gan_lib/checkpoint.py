"""Save a whole game in one file and go on from it exactly; save its records in another. Introduced in lesson 04.

A checkpoint is a `.safetensors`: named tensors and a JSON header, nothing that could run code when it is opened.
"""

import csv
import json
from pathlib import Path

import safetensors
import safetensors.torch

from gan_lib.files import write_atomically
from gan_lib.training import Record

NETS = ("generator", "discriminator", "average")
OPTIMIZERS = ("g_optimizer", "d_optimizer")


def save(game, path, **notes):
    """Write nets, average, both optimisers, random state and step of `game` to `path`, atomically.

    `notes` are kept in the header, as JSON (a recipe, the seed, what you like). Raises `OSError` where the disk is full or
    not writable; a file that was there before is then unharmed.
    """
    tensors = {"rng": game.rng.get_state()}
    header = {"step": game.step, "seconds": game.seconds, "seed": game.seed, "rates": game.rates, "notes": notes}
    for name in NETS:
        tensors |= {f"{name}.{key}": value for key, value in getattr(game, name).state_dict().items()}
    for name in OPTIMIZERS:
        state = getattr(game, name).state_dict()
        header[name] = state["param_groups"]
        tensors |= {f"{name}.{i}.{key}": value for i, slots in state["state"].items() for key, value in slots.items()}
    tensors = {key: value.detach().cpu().contiguous() for key, value in tensors.items()}
    write_atomically(path, safetensors.torch.save(tensors, {"gan_lib": json.dumps(header)}))


def load(game, path):
    """Put the state saved in `path` into `game`, whose nets must have the same shapes. Returns `game`.

    On the same kind of CPU, training then continues bit for bit as if it had never stopped; a run from another kind of device
    continues with new noise. Raises as `header` does, and `ValueError` where the file holds other nets; `game` is then
    unchanged.
    """
    about = header(path)
    tensors = safetensors.torch.load(Path(path).read_bytes())  # not mapped: the file may be replaced
    state = {name: {} for name in (*NETS, *OPTIMIZERS)}
    for key, value in tensors.items():
        name, _, rest = key.partition(".")
        if name in state:
            state[name][rest] = value
    for name in NETS:
        expected = {key: value.shape for key, value in getattr(game, name).state_dict().items()}
        if expected != {key: value.shape for key, value in state[name].items()}:
            raise ValueError(f"{path} holds another {name} than this game: start it with the same recipe.")
    for name in NETS:
        getattr(game, name).load_state_dict(state[name])
    for name in OPTIMIZERS:
        slots = {}
        for key, value in state[name].items():
            i, _, slot = key.partition(".")
            slots.setdefault(int(i), {})[slot] = value
        getattr(game, name).load_state_dict({"state": slots, "param_groups": about[name]})
    if tensors["rng"].shape == game.rng.get_state().shape:
        game.rng.set_state(tensors["rng"])
    else:  # it was saved on another kind of device, whose random state means nothing here
        game.rng.manual_seed(1_000_003 * about["seed"] + about["step"])
    game.step, game.seconds, game.seed = about["step"], about["seconds"], about["seed"]
    game.rates = tuple(about.get("rates", game.rates))  # files of older versions have none
    return game


def header(path):
    """What `save` wrote beside the tensors: step, seconds, seed, notes. Reads the first bytes of the file only.

    Raises `FileNotFoundError` where there is no such file, `ValueError` where it is truncated or not a checkpoint of ours.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"There is no checkpoint {path}.")
    try:
        with safetensors.safe_open(path, "pt") as file:
            return json.loads(file.metadata()["gan_lib"])
    except (safetensors.SafetensorError, TypeError, KeyError, ValueError) as error:
        raise ValueError(
            f"{path} is not a whole checkpoint of gan_lib: it is truncated, or another kind of file."
        ) from error


def latest(folder):
    """The newest checkpoint in `folder` by its step, or None."""
    return max(Path(folder).glob("*.safetensors"), key=lambda path: header(path)["step"], default=None)


def save_records(records, path):
    """Write `training.Record`s as CSV with a header line, atomically."""
    lines = [",".join(Record._fields), *(",".join(map(str, record)) for record in records)]
    write_atomically(path, ("\n".join(lines) + "\n").encode())


def load_records(path):
    """The records that `save_records` wrote; [] where there is no such file. Raises `ValueError` where it is another file."""
    if not Path(path).exists():
        return []
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    try:
        kinds = {key: kind for key, kind in Record.__annotations__.items() if rows and key in rows[0]}
        return [Record(**{key: kind(row[key]) for key, kind in kinds.items()}) for row in rows]
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is not a records.csv of gan_lib: move it away to go on without it.") from error
