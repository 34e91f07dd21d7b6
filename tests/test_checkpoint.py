"""A whole training run in one file: exact, atomic, and one clear sentence for every wrong file."""

import json
from pathlib import Path

import pytest
import safetensors.torch
import torch

from gan_lib import UserError, checkpoint, data, recipes, runs, training
from tests.test_training import play


@pytest.fixture
def saved(tmp_path, new_game, images):
    """A checkpoint of a game after three steps."""
    game = new_game()
    play(game, images, 3)
    checkpoint.save(game, tmp_path / "game.safetensors", colour="blue")
    return tmp_path / "game.safetensors"


@pytest.fixture
def refuse(state_of, differences):
    """Assert that `load` refuses a file with one line and leaves the game as it is: `refuse(game, path, message)`."""

    def check(game, path, message):
        before = state_of(game)
        with pytest.raises(UserError, match=message) as error:
            checkpoint.load(game, path)
        assert "\n" not in str(error.value)
        assert differences(state_of(game), before) == []

    return check


@pytest.mark.parametrize(("nets", "half"), [("mlp", 50), ("mlp-sigmoid", 5), ("dcgan", 5)])
def test_a_run_continued_from_a_file_equals_the_whole(nets, half, new_game, images, tmp_path, state_of, differences):
    """The file is loaded into another game, or resumed from alone; the rates were changed on the way."""
    path, fields = tmp_path / "half.safetensors", {"latent_dim": 5, "width": 6, "loss": "relativistic", "batch_size": 8}
    recipe = recipes.Recipe("small", nets, g_lr=1e-3, betas=(0.3, 0.9), **fields)
    whole, first = recipe.game(seed=3), recipe.game(seed=3)
    for game in (whole, first):
        game.horizon = 4 * half
        play(game, images, half)
        game.rates = (3e-3, 5e-4)
    checkpoint.save(first, path, recipe)
    assert differences(state_of(whole), state_of(first)) == []  # saving changes nothing
    loaded, resumed = checkpoint.load(new_game(nets, seed=4, loss="relativistic"), path), checkpoint.resume(path)
    loaded.dtype = resumed.dtype
    expected = play(whole, images, half)
    for game in (loaded, resumed):
        assert {"g_optimizer.0.exp_avg", "d_optimizer.0.exp_avg_sq", "rng"} <= state_of(game).keys()
        assert (game.g_optimizer.param_groups[0]["lr"], game.d_optimizer.param_groups[0]["lr"]) == (3e-3, 5e-4)
        assert play(game, images, half) == expected
        assert differences(state_of(game), state_of(whole)) == []


def test_a_random_state_of_another_kind_of_device_starts_a_new_one(saved, new_game):
    """A GPU's state has 16 bytes, a CPU's 5,056: such a run continues, but not bit for bit."""
    change(saved, "rng", lambda _: torch.zeros(16, dtype=torch.uint8))
    one, other = (checkpoint.load(new_game(seed=seed), saved) for seed in (1, 2))
    assert one.step == 3
    assert one.noise(4).equal(other.noise(4))
    assert not one.noise(4).equal(one.noise(4))


def test_a_loaded_game_does_not_depend_on_the_file_any_more(saved, new_game, state_of, differences):
    header, loaded = checkpoint.read(saved).header, checkpoint.load(new_game(), saved)
    before = state_of(loaded)
    with open(saved, "r+b") as file:  # written over in place
        file.write(bytes(saved.stat().st_size))
    assert differences(state_of(loaded), before) == []
    assert (header["step"], header["seed"], header["notes"]) == (3, 0, {"colour": "blue"})
    assert header["seconds"] > 0


def test_the_checkpoints_of_a_run_are_ordered_by_step(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    for step in ("0000002", "0000010", "10000000"):
        (tmp_path / "checkpoints" / f"step_{step}.safetensors").touch()
    (tmp_path / "checkpoints" / "best.safetensors").touch()
    (tmp_path / "checkpoints" / "step_best.safetensors").touch()
    assert [path.stem[5:] for path in checkpoint.of_run(tmp_path)] == ["0000002", "0000010", "10000000"]
    assert checkpoint.latest(tmp_path).stem == "step_10000000"
    assert checkpoint.latest(tmp_path / "nowhere") is None


BEFORE = Path(__file__).parent / "before"


def test_a_run_from_before_the_last_rewrite_continues_as_it_did(tmp_path):
    """tests/before holds a checkpoint at step 4 and the records up to step 8: its order of random draws still holds."""
    game = checkpoint.resume(BEFORE / "step_0000004.safetensors")
    game.dtype = torch.float32
    records = runs.load_records(BEFORE / "records.csv")
    images = (torch.arange(96 * 784) * 7919 % 256).to(torch.uint8).view(96, 28, 28)
    digits = data.Digits(images, torch.arange(96) % 10)
    for was, now in zip(records[4:], training.train(game, digits, 4, record_every=1), strict=True):
        assert now._replace(seconds=0) == pytest.approx(was._replace(seconds=0), rel=1e-4)


@pytest.mark.parametrize("make", [{"width": 7}, {"latent_dim": 6}, {"nets": "dcgan"}, {"nets": "mlp-sigmoid"}])
def test_a_checkpoint_of_other_nets_is_refused(make, saved, new_game, images, refuse):
    game = new_game(**make)
    play(game, images, 1)
    refuse(game, saved, r"game\.safetensors holds another \w+ than this game: start it with the same recipe")


def test_a_truncated_or_foreign_file_is_refused(saved, new_game, refuse):
    whole, tensors = saved.read_bytes(), {"w": torch.ones(3)}
    for content in (
        *(whole[:size] for size in (0, 4, 8, 100, len(whole) // 2, len(whole) - 1)),
        b"a poem, which is longer than eight letters",
        b"\x89PNG\r\n\x1a\n" + bytes(100),
        safetensors.torch.save(tensors),
        safetensors.torch.save(tensors, {"format": "pt"}),
        safetensors.torch.save(tensors, {"gan_lib": "not json"}),
    ):
        saved.write_bytes(content)
        refuse(new_game(), saved, r"game\.safetensors is not a whole checkpoint of gan_lib: it is truncated, or")


def test_a_missing_file_or_recipe_is_one_sentence(saved):
    with pytest.raises(UserError, match=r"game\.safetensors does not say its recipe: build its game, then use"):
        checkpoint.resume(saved)
    for name in ("nothing.safetensors", ""):
        with pytest.raises(FileNotFoundError, match=f"There is no checkpoint .*{name}"):
            checkpoint.read(saved.parent / name)


def change(path, key, function):
    """Rewrite a checkpoint with one tensor changed; None leaves it out."""
    saved = checkpoint.read(path)
    with safetensors.safe_open(path, "pt") as file:
        header = file.metadata()
    value = function(saved.tensors.pop(key))
    path.write_bytes(safetensors.torch.save(saved.tensors | ({} if value is None else {key: value}), header))


@pytest.mark.parametrize("key", ["g_optimizer.0.exp_avg", "d_optimizer.2.exp_avg_sq", "average.0.weight"])
def test_a_tensor_that_does_not_fit_is_refused(key, saved, new_game, images, refuse):
    whole, game = saved.read_bytes(), new_game(seed=8)
    play(game, images, 2)
    not_a_number = lambda value: value * float("nan")
    for function in (lambda value: value[:1], torch.flatten, torch.Tensor.double, not_a_number, lambda value: None):
        saved.write_bytes(whole)
        change(saved, key, function)
        refuse(game, saved, f"game.safetensors .*{key}")


SOUND = {"step": 0, "seconds": 0.0, "seed": 0, "rates": [1e-3, 1e-3], "horizon": None, "betas": [[0.5, 0.9]] * 2}
HUGE = {"name": "mlp", "nets": "mlp", "latent_dim": 60_000, "width": 60_000, "betas": [0.5, 0.9]}
ODD_RECIPES = HUGE, HUGE | {"width": 10**9}, HUGE | {"latent_dim": [1]}, HUGE | {"name": "../../x"}, []
ODD_HEADERS = [SOUND | {"notes": {"recipe": recipe}} for recipe in ODD_RECIPES]
ODD_HEADERS += [SOUND | {"notes": {"recipe": HUGE}} | wrong for wrong in ({"step": -1}, {"betas": [[0.5, "x"]] * 2})]


@pytest.mark.parametrize("about", ["[" * 50_000, "{}", "[]", "7", *map(json.dumps, ODD_HEADERS)])
def test_a_header_that_needs_too_much_memory_or_makes_no_sense_is_one_sentence(about, tmp_path, monkeypatch):
    """Files of some hundred bytes without tensors."""
    text, path = json.dumps({"__metadata__": {"gan_lib": about}}).encode(), tmp_path / "odd.safetensors"
    path.write_bytes(len(text).to_bytes(8, "little") + text)
    init = torch.nn.Linear.__init__

    def build_without_memory(self, *sizes, **words):
        init(self, *sizes, **words)
        assert self.weight.device.type == "meta"

    monkeypatch.setattr(torch.nn.Linear, "__init__", build_without_memory)
    with pytest.raises(UserError, match=r"odd\.safetensors") as error:
        checkpoint.resume(path)
    assert "\n" not in str(error.value)


def test_a_state_that_is_not_finite_is_not_saved(saved, new_game, images):
    game, before = new_game(), saved.read_bytes()
    play(game, images, 3)
    next(iter(game.d_optimizer.state.values()))["exp_avg"][0] = float("inf")
    with pytest.raises(training.Diverged, match=r"d_optimizer.* is not finite: this training run has diverged"):
        checkpoint.save(game, saved)
    assert saved.read_bytes() == before
