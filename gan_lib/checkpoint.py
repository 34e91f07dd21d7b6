"""Save a whole training run in one file and go on from it exactly; find a trained generator by its name. Introduced in lesson 04.

A checkpoint is a `.safetensors`: named tensors and a JSON header, nothing that could run code when it is opened.
"""

import json
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import safetensors
import safetensors.torch
import torch

from gan_lib import UserError, recipes
from gan_lib.files import write_atomically
from gan_lib.training import Diverged, check_settings, set_learning_rates

NETS = ("generator", "discriminator", "average")
OPTIMIZERS = ("g_optimizer", "d_optimizer")
SLOTS = ("step", "exp_avg", "exp_avg_sq")  # what Adam keeps for each tensor of weights, after its first step


def save(game, path, recipe=None, **notes):
    """Write nets, average, optimisers, random state and step of `game` to `path`, atomically.

    With its `recipe` the file alone is enough to `resume`; other `notes` are kept as JSON. On an error an old file is unharmed.
    """
    write_atomically(path, serialise(game, recipe, **notes))


def serialise(game, recipe=None, **notes):
    """The bytes of a checkpoint. Raises `Diverged` with the name of the first tensor that holds NaN or infinity."""
    tensors = {}
    for name in NETS:
        tensors |= {f"{name}.{key}": value for key, value in getattr(game, name).state_dict().items()}
    for name in OPTIMIZERS:
        slots = getattr(game, name).state_dict()["state"]
        tensors |= {f"{name}.{i}.{key}": value for i, each in slots.items() for key, value in each.items()}
    tensors["rng"] = game.rng.get_state()
    tensors = {key: value.detach().cpu().contiguous() for key, value in tensors.items()}
    if name := not_finite(tensors):
        raise Diverged(f"{name} is not finite: this training run has diverged.")
    header = {key: getattr(game, key) for key in ("step", "seconds", "seed", "rates", "horizon")}
    header["betas"] = [getattr(game, name).param_groups[0]["betas"] for name in OPTIMIZERS]
    header["notes"] = ({} if recipe is None else {"recipe": asdict(recipe)}) | notes
    return safetensors.torch.save(tensors, {"gan_lib": json.dumps(header)})


def not_finite(tensors):
    """The name of the first tensor that holds NaN or infinity, or None."""
    return next((name for name, value in tensors.items() if not value.isfinite().all()), None)


class Checkpoint(NamedTuple):
    """What a file holds: its path, the header (step, seconds, seed, rates, horizon, betas, notes) and the tensors."""

    path: Path
    header: dict
    tensors: dict

    @property
    def notes(self):
        """The notes in the header, with defaults for those that only `runs.train` writes."""
        return {"planned": [], "data": "", "pictures": None, "keep": True} | self.header["notes"]

    @property
    def recipe(self):
        """The `Recipe` of the run, as it was then. Raises `UserError` where the file has none, or one of another version."""
        if "recipe" not in self.notes:
            advice = "build its game, then use checkpoint.load(game, path)"
            raise UserError(f"{self.path} does not say its recipe: {advice}.")
        return recipes.from_json(self.notes["recipe"], self.path)

    def game(self, device="cpu"):
        """The saved `Game`, ready to go on. Nets are built only after the file is found to fit them."""
        with torch.device("meta"):  # shapes without memory
            check_fit(self, self.recipe.build_nets())
        return restore(self.recipe.game(device=device), self)


def read(path):
    """The `Checkpoint` in `path`. `FileNotFoundError` if it is missing, `UserError` if it is damaged, foreign, or holds NaN."""
    if not Path(path).is_file():
        raise FileNotFoundError(f"There is no checkpoint {path}.")
    try:
        with safetensors.safe_open(path, "pt") as file:
            header = json.loads(file.metadata()["gan_lib"])
            tensors = {key: file.get_tensor(key).clone() for key in file.keys()}  # noqa: SIM118  # the file may be replaced
        check_settings(**{key: header[key] for key in ("step", "seconds", "seed", "horizon")})
        for rate, betas in zip(header["rates"], header["betas"], strict=True):
            check_settings(g_lr=rate, betas=betas)
        saved = Checkpoint(Path(path), header, tensors)
        for length in saved.notes["planned"]:
            check_settings(horizon=length or 0)
        kinds = {"planned": list, "data": str, "pictures": (str, type(None)), "keep": bool}
        if wrong := [key for key, kind in kinds.items() if not isinstance(saved.notes[key], kind)]:
            raise UserError(f"The note {wrong[0]} is of another type.")
    except (safetensors.SafetensorError, AttributeError, TypeError, LookupError, ValueError, RecursionError) as error:
        words = "is not a whole checkpoint of gan_lib: it is truncated, or another kind of file"
        raise UserError(f"{path} {words}.") from error
    if name := not_finite(tensors):
        raise UserError(f"{path} can't be used: {name} is not finite: this training run has diverged.")
    return saved


def resume(path, device="cpu"):
    """The `Game` saved in `path` with its recipe, ready to go on. Raises as `read`, `Checkpoint.recipe` and `check_fit` do."""
    return read(path).game(device)


def load(game, path):
    """Put the state saved in `path` into `game`, whose nets must have the same shapes. Returns `game`.

    On the same kind of CPU training continues bit for bit as if it had never stopped, on another device with new noise. Raises
    as `read` and `check_fit` do; `game` is then unchanged.
    """
    saved = read(path)
    check_fit(saved, (game.generator, game.discriminator))
    return restore(game, saved)


def check_fit(saved, nets):
    """Raise `UserError` unless name, shape and dtype of each tensor are those of this generator and discriminator."""
    needed = {"rng": saved.tensors.get("rng", torch.zeros(0)).byte().flatten()}  # its length depends on the device
    for name, net in zip(NETS, (*nets, nets[0]), strict=True):
        needed |= {f"{name}.{key}": value for key, value in net.state_dict().items()}
    for name, net in zip(OPTIMIZERS, nets, strict=True):
        for i, weights in enumerate(net.parameters()):
            like = torch.tensor(0.0), weights, weights
            slots = {f"{name}.{i}.{slot}": value for slot, value in zip(SLOTS, like, strict=True)}
            needed |= slots if slots.keys() & saved.tensors.keys() else {}
    expected, found = ({key: (value.shape, value.dtype) for key, value in tensors.items()}
                       for tensors in (needed, saved.tensors))  # fmt: skip
    if wrong := [key for key in sorted(expected | found) if expected.get(key) != found.get(key)]:
        raise UserError(
            f"{saved.path} holds another {wrong[0].partition('.')[0]} than this game: start it with the same recipe; a file "
            f"that says its recipe is damaged. ({wrong[0]} is missing, is one too many, or has another shape or dtype.)"
        )


def restore(game, saved):
    """Put a `Checkpoint` that fits into `game`. Returns `game`. Raises `UserError` first for a damaged random state."""
    header, tensors = saved.header, saved.tensors
    if tensors["rng"].shape == game.rng.get_state().shape:
        try:
            game.rng.set_state(tensors["rng"])
        except RuntimeError as error:
            raise UserError(f"{saved.path} can't be used: {str(error).splitlines()[0]}") from error
    else:  # it was saved on another kind of device, whose random state means nothing here
        game.rng.manual_seed(1_000_003 * header["seed"] + header["step"])
    for name in NETS:
        net = getattr(game, name)
        net.load_state_dict({key: tensors[f"{name}.{key}"] for key in net.state_dict()})
    for name, betas in zip(OPTIMIZERS, header["betas"], strict=True):
        optimizer = getattr(game, name)
        started = [i for i in range(len(optimizer.param_groups[0]["params"])) if f"{name}.{i}.step" in tensors]
        state = {i: {slot: tensors[f"{name}.{i}.{slot}"] for slot in SLOTS} for i in started}
        optimizer.load_state_dict(optimizer.state_dict() | {"state": state})
        optimizer.param_groups[0]["betas"] = tuple(betas)
    for key in ("step", "seconds", "seed", "horizon"):
        setattr(game, key, header[key])
    game.rates = tuple(header["rates"])
    set_learning_rates(game)
    return game


def of_run(folder):
    """The checkpoints of the run in `folder`, sorted by the step in the file name; [] if there is none."""
    paths = Path(folder).glob("checkpoints/step_*.safetensors")
    return sorted((path for path in paths if path.stem[5:].isdecimal()), key=lambda path: int(path.stem[5:]))


def latest(folder):
    """The newest checkpoint of the run in `folder`, or None."""
    return next(reversed(of_run(folder)), None)


def files_of(source):
    """The checkpoints that `source` names, in the order of their steps: of the folder of a run, or a single file.

    [] where `source` is the name of a pretrained generator, which goes before a file or folder of that name in the working
    directory: "./dcgan" names the folder. Raises `UserError` for a folder that holds no checkpoint.
    """
    source, path = str(source), Path(source)
    if source in recipes.pretrained_names() or (path.name == source and not path.suffix and not path.exists()):
        return []
    if not path.is_dir():
        return [path]
    if not (paths := of_run(path)):
        raise UserError(f"{source} holds no checkpoint.")
    return paths


def sampler(source, device="cpu"):
    """The frozen generator that `source` names (see `files_of`); of a run's folder, the newest."""
    paths = files_of(source)
    return resume(paths[-1], device).sampler() if paths else recipes.pretrained(source, device)
