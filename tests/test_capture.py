"""CUDA graphs. Without a GPU a stand-in repeats what it recorded, with the same places and numbers, as a graph would."""

import contextlib
import copy
import dataclasses
import itertools
import sys
import weakref
from types import SimpleNamespace

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from gan_lib import capture, checkpoint, data, hardware, losses, playground, training, widgets
from gan_lib.recipes import RECIPES
from gan_lib.studies import toys
from tests.test_training import play
from tools.make_gpu import one_by_one

SOUND = losses.LOSSES["non-saturating"]


def tensors_in(*things):
    return [leaf for leaf in tree_leaves(things) if isinstance(leaf, torch.Tensor)]


class Tape(TorchDispatchMode):
    """The stand-in: operations with their tensors and numbers. What they change while they are recorded is put back."""

    def __init__(self):
        super().__init__()
        self.calls, self.seen = [], {}  # seen: {id: (tensor, its value before; None if it was made here)}

    def register_generator_state(self, rng):
        self.rng, self.state = rng, rng.get_state()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs, reads = kwargs or {}, func is torch.ops.aten._local_scalar_dense.default
        if reads or kwargs.get("generator", self.rng)._cdata != self.rng._cdata:
            raise RuntimeError(f"{func} can't be recorded")
        self.seen |= {id(each): (each, each.clone()) for each in tensors_in(args, kwargs) if id(each) not in self.seen}
        result = func(*args, **kwargs)
        self.calls.append((func, args, kwargs, result))
        self.seen |= {id(each): (each, None) for each in tensors_in(result) if id(each) not in self.seen}
        return result

    @contextlib.contextmanager
    def record(self, stream, capture_error_mode):
        try:
            with self:
                yield
        finally:
            for tensor, before in self.seen.values():
                before is None or tensor.detach().copy_(before)
            self.rng.set_state(self.state)

    @torch.no_grad()
    def replay(self):
        for func, args, kwargs, result in self.calls:
            for place, value in zip(tensors_in(result), tensors_in(func(*args, **kwargs)), strict=True):
                if place.data_ptr() != value.data_ptr():
                    place.copy_(value)


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def device(request, monkeypatch):
    """A device whose iterations are recorded. The schedule is rounded to float32, as it is in tensors."""
    exact, stream = training.Game.schedule, SimpleNamespace(wait_stream=lambda other: None)
    monkeypatch.setattr(training.Game, "schedule", lambda game: torch.tensor(exact(game)).tolist())
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", True)
    if request.param == "cpu":
        monkeypatch.setattr(capture, "DEVICE", "cpu")
        fakes = {"CUDAGraph": Tape, "graph": Tape.record, "stream": lambda _: contextlib.nullcontext()}
        for name, fake in (fakes | dict.fromkeys(("Stream", "current_stream"), lambda _: stream)).items():
            monkeypatch.setattr(torch.cuda, name, fake)
    return request.param


@pytest.fixture
def both(device, images, state_of):
    """`both(act, name)`: `act(game, digits)` for two games of a recipe, with and without graphs, in float32. Returns the first.

    They must be equal then, with what `act` returns: bit for bit on a CPU, with few channels, and to rounding on a GPU.
    """
    small, limits = {"width": 6, "batch_size": 8, "latent_dim": 5, "d_width": None}, {"rtol": 0, "atol": 0}
    digits = data.Digits(images, torch.arange(48) % 10) if device == "cpu" else data.load(device=device)
    if device == "cuda":
        small, limits = {}, {"rtol": 1e-3, "atol": 1e-4}

    def compare(act, name="best", make=None):
        make = make or (lambda: dataclasses.replace(RECIPES[name], **small).game(3, device, horizon=100))
        games = make(), make()
        games[1].repeat = one_by_one
        for game in games:
            game.dtype = torch.float32
        found = [(act(game, digits), state_of(game)) for game in games]
        torch.testing.assert_close(*found, **limits)
        return games[0]

    return compare


def recorded(game):
    """The kinds of iterations that have a graph: True with the penalty, False without."""
    return {kind for kind, known in game.repeat.kinds.items() if known and known[-1]}


@pytest.mark.parametrize("name", RECIPES)
def test_recorded_iterations_train_as_others_do(name, device, both):
    """With labels, penalties, rates that decay and an EMA that warms up, over several epochs; and their memory is freed.

    By counting references: no cycle waits for a collection.
    """
    steps = 200 if device == "cuda" else 18
    game = both(lambda game, digits: torch.tensor(play(game, digits, steps, record_every=7)), name)
    assert recorded(game) == {game.penalty_every == 1, True}
    assert not any(each.param_groups[0]["capturable"] for each in (game.g_optimizer, game.d_optimizer))
    graph = weakref.ref(game.repeat.kinds[True][-1][0])
    del game
    assert graph() is None


def test_short_calls_and_checkpoints_go_on(both, state_of, tmp_path):
    """Calls shorter than the warm-up, two games in turns, and a checkpoint for games whose graphs know other places."""
    path = tmp_path / "game.safetensors"

    def act(game, digits):
        other, limit = copy.deepcopy(game), 0 if game.device.type == "cpu" else 1e-3
        for steps in (1, 2, 1, 9, 1, 3):
            play(game, digits, steps)
            play(other, digits, steps)
        checkpoint.save(game, path)
        play(game, digits, 4)
        for each in (game, other, copy.deepcopy(game)):
            play(checkpoint.load(each, path), digits, 17)
            torch.testing.assert_close(state_of(each), state_of(game), rtol=limit, atol=limit)

    assert recorded(both(act)) == recorded(both(act, "cgan")) == {True, False}


def test_settings_that_change_between_records_count(both):
    """A graph would go on with the old ones."""

    def act(game, digits):
        for number, _ in enumerate(training.train(game, digits, 35, record_every=7)):
            if number == 1:
                game.rates, game.ema, game.horizon = (1e-3, 2e-3), 0.9, 50
                game.loss = losses.LOSSES["hinge"]
            if number == 3:
                game.generator[0].requires_grad_(False)

    assert recorded(both(act, "mlp")) == {True}


def test_an_error_inside_leaves_the_game_usable(both):
    """A mistake is raised. An iteration that waits for the device can't be recorded, and trains without a graph."""

    def act(game, digits):
        seen, graphs = [], game.repeat is not one_by_one
        slip = lambda *logits: seen.append(1 / (3 - len(seen))) or SOUND.generator(*logits)
        wait = lambda real, fake: SOUND.generator(real, fake) + 0 * fake.sum().item()
        game.loss = SOUND._replace(generator=slip)
        with pytest.raises(ZeroDivisionError) if graphs else contextlib.nullcontext():
            play(game, digits, 3 + graphs)
        game.loss = SOUND._replace(generator=wait)
        warned = pytest.warns(UserWarning, match="No CUDA graph could be recorded, so iterations take longer: ")
        with warned if graphs else contextlib.nullcontext():
            play(game, digits, 9)
        game.loss = SOUND
        play(game, digits, 5)

    assert recorded(both(act, "mlp")) == {True}


def test_hooks_teams_and_worlds_take_part_in_every_iteration(device, both):
    seen, points = [], torch.arange(200.0).view(100, 2).sin().to(device)

    def act(game, digits):
        for register in (game.generator[0].register_forward_hook, game.d_optimizer.register_step_post_hook):
            with register(lambda *_: seen.append(game.step)):
                play(game, digits, 6)
        game.team = hardware.Team(size=2)
        play(game, digits, 6)

    assert not hasattr(both(act, "mlp").repeat, "kinds") and seen == 2 * [*range(12)]
    world = SimpleNamespace(sample=lambda n, rng: points[torch.randint(100, (n,), generator=rng, device=device)])
    game = training.Game(*(net.to(device) for net in toys.nets(width=4)), latent_dim=2, batch_size=8)
    assert recorded(both(lambda game, _: play(game, world, 9), make=lambda: copy.deepcopy(game))) == {True}


class Strict(TorchDispatchMode):
    """Refuses tensors on another device than "meta", whose tensors have no values, so that reading one fails; and float64."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **kwargs or {})
        for tensor in tensors_in(args, kwargs, result):
            if tensor.device.type != "meta" or tensor.dtype is torch.float64:
                raise RuntimeError(f"{func}: {tensor.dtype} on {tensor.device}")
        return result


READING = [torch.Tensor.tolist, torch.Tensor.cpu, torch.Tensor.nonzero, torch.Tensor.double, lambda x: x.sum().item()]
READING += [lambda x: torch.equal(x, x), lambda x: x * torch.zeros(8), lambda x: x * torch.tensor(0.5)]


@pytest.mark.parametrize(("name", "act"), [(name, None) for name in RECIPES] + [("mlp", act) for act in READING])
def test_an_iteration_reads_nothing_from_the_device_and_one_that_does_is_seen(name, act, monkeypatch):
    """With a penalty and without. The device "meta" has no random numbers, and neither fused Adam nor autocast."""
    make = torch.Generator.__new__
    on_cpu = type("Generator", (torch.Generator,), {"__new__": lambda cls, device: make(cls)})
    monkeypatch.setattr(torch, "Generator", on_cpu)
    monkeypatch.setattr(sys.modules["torch.optim.adam"], "_device_dtype_check_for_fused", lambda *_, **__: None)
    monkeypatch.setattr(training.Game, "autocast", lambda game: contextlib.nullcontext())
    game = dataclasses.replace(RECIPES[name], batch_size=8).game(device="meta")
    images, y = torch.zeros(16, 28, 28, dtype=torch.uint8, device="meta"), torch.zeros(8, device="meta").long()
    if act:
        game.loss = SOUND._replace(generator=lambda real, fake: (act(fake.detach()), fake.sum())[1])
    seen = pytest.raises((RuntimeError, NotImplementedError), match=r"(?i)meta|on cpu")
    with seen if act else contextlib.nullcontext(), Strict():
        for real in itertools.islice(data.batches(images, 8), 2):
            training.iteration(game, real, y if game.classes else None)


# What else a GPU has to do: test_smoke.py runs each lesson on the device that it chooses by itself


@pytest.mark.gpu
@pytest.mark.parametrize(("here", "there"), [("cpu", "cuda"), ("cuda", "cpu")])
def test_a_checkpoint_goes_on_on_the_other_device_where_widgets_and_pages_show_it(here, there, tmp_path):
    """With new noise: the random states of two kinds of devices have nothing in common."""
    recipe, path = dataclasses.replace(RECIPES["cgan"], width=8, d_width=8), tmp_path / "game.safetensors"
    game = recipe.game(device=here)
    play(game, data.load(device=here), 17)
    checkpoint.save(game, path, recipe)
    other = checkpoint.resume(path, there)
    for a, b in zip(game.average.state_dict().values(), other.average.state_dict().values(), strict=True):
        assert a.cpu().equal(b.cpu())
    assert play(other, data.load(device=there), 20)[-1].step == 37
    show, sampler = widgets.live(other, data.load(device=there)), other.sampler()
    show.step("D")
    show.step("G")
    assert other.step == 38 and "made one step" in show.line.value
    assert widgets.explore(sampler).image.value and "srcdoc" in playground.inline(sampler).data
    assert playground.write(tmp_path / "page.html", {"mine": sampler}) > 100_000
