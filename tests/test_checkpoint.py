"""A whole training run in one file: exact, atomic, and one clear sentence for every wrong file."""

import errno
import io
import json
import os
from pathlib import Path

import pytest
import safetensors.torch
import torch

from gan_lib import UserError, checkpoint, data, files, runs, training


def play(game, images, steps):
    return [r._replace(seconds=0) for r in training.train(game, images, steps, record_every=5)]


@pytest.fixture
def saved(tmp_path, new_game, images):
    """A checkpoint of a game after three steps."""
    game = new_game()
    play(game, images, 3)
    checkpoint.save(game, tmp_path / "game.safetensors", colour="blue")
    return tmp_path / "game.safetensors"


# Exactly the same game


@pytest.mark.parametrize(("nets", "half"), [("mlp", 50), ("mlp-sigmoid", 5), ("dcgan", 5)])
def test_twice_half_with_a_file_between_equals_the_whole_bit_for_bit(
    nets, half, new_game, images, tmp_path, state_of, differences
):
    whole, first, second = new_game(nets, seed=3), new_game(nets, seed=3), new_game(nets, seed=4)
    expected = play(whole, images, 2 * half)
    got = play(first, images, half)
    checkpoint.save(first, tmp_path / "half.safetensors")
    got += play(checkpoint.load(second, tmp_path / "half.safetensors"), images, half)
    assert got == expected
    assert differences(state_of(whole), state_of(second)) == []


def test_loading_brings_back_every_number(saved, new_game, images, state_of, differences):
    original, loaded = new_game(), checkpoint.load(new_game(seed=9, g_lr=0.5, betas=(0.1, 0.2)), saved)
    play(original, images, 3)
    assert differences(state_of(loaded), state_of(original)) == []
    assert {"g_optimizer.0.exp_avg", "d_optimizer.0.exp_avg_sq", "average.0.weight", "rng"} <= state_of(loaded).keys()
    for name in ("g_optimizer", "d_optimizer"):
        was, now = (getattr(game, name).param_groups[0] for game in (original, loaded))
        assert (now["lr"], tuple(now["betas"])) == (was["lr"], tuple(was["betas"]))


def test_rates_changed_on_the_way_come_back_too(new_game, images, tmp_path, state_of, differences):
    whole, loaded = new_game(), new_game(seed=9)
    whole.horizon = loaded.horizon = 8
    play(whole, images, 1)
    whole.rates = (3e-3, 5e-4)
    play(whole, images, 1)
    checkpoint.save(whole, tmp_path / "x.safetensors")
    checkpoint.load(loaded, tmp_path / "x.safetensors")
    assert loaded.rates == (3e-3, 5e-4)
    assert play(loaded, images, 3) == play(whole, images, 3)
    assert differences(state_of(loaded), state_of(whole)) == []


def test_saving_changes_nothing_and_a_game_at_step_0_can_be_saved(new_game, tmp_path, state_of, differences):
    game = new_game("dcgan")
    checkpoint.save(game, tmp_path / "x.safetensors")
    loaded = checkpoint.load(new_game("dcgan", seed=1), tmp_path / "x.safetensors")
    for other in (game, loaded):
        assert differences(state_of(other), state_of(new_game("dcgan"))) == []


def test_a_random_state_of_another_kind_of_device_starts_a_new_one(saved, new_game):
    """A GPU's state has 16 bytes, a CPU's 5,056: such a run goes on, but not bit for bit."""
    change(saved, "rng", lambda _: torch.zeros(16, dtype=torch.uint8))
    one, other = (checkpoint.load(new_game(seed=seed), saved) for seed in (1, 2))
    assert one.step == 3
    assert one.noise(4).equal(other.noise(4))
    assert not one.noise(4).equal(one.noise(4))


def test_a_loaded_game_does_not_depend_on_the_file_any_more(saved, new_game, state_of, differences):
    loaded = checkpoint.load(new_game(), saved)
    before = state_of(loaded)
    with open(saved, "r+b") as file:  # written over in place
        file.write(bytes(saved.stat().st_size))
    assert differences(state_of(loaded), before) == []


def test_the_header_holds_step_seed_and_notes(saved):
    header = checkpoint.read(saved).header
    assert (header["step"], header["seed"], header["notes"]) == (3, 0, {"colour": "blue"})
    assert header["seconds"] > 0


def test_the_checkpoints_of_a_run_are_ordered_by_step(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    for step in ("0000002", "0000010", "10000000"):
        (tmp_path / "checkpoints" / f"step_{step}.safetensors").touch()
    (tmp_path / "checkpoints" / "best.safetensors").touch()
    assert [path.stem[5:] for path in checkpoint.of_run(tmp_path)] == ["0000002", "0000010", "10000000"]
    assert checkpoint.latest(tmp_path).stem == "step_10000000"
    assert checkpoint.latest(tmp_path / "nowhere") is None


BEFORE = Path(__file__).parent / "before"


def test_a_run_from_before_the_last_rewrite_goes_on_as_it_did(tmp_path):
    """tests/before holds a checkpoint at step 4 and the records up to step 8: its order of random draws still holds."""
    game = checkpoint.resume(BEFORE / "step_0000004.safetensors")
    game.dtype = torch.float32
    records = runs.load_records(BEFORE / "records.csv")
    images = (torch.arange(96 * 784) * 7919 % 256).to(torch.uint8).view(96, 28, 28)
    digits = data.Digits(images, torch.arange(96) % 10)
    for was, now in zip(records[4:], training.train(game, digits, 4, record_every=1), strict=True):
        assert now._replace(seconds=0) == pytest.approx(was._replace(seconds=0), rel=1e-4)


# Wrong files


@pytest.mark.parametrize("make", [{"width": 7}, {"latent_dim": 6}, {"nets": "dcgan"}, {"nets": "mlp-sigmoid"}])
def test_a_checkpoint_of_other_nets_is_refused_and_the_game_unchanged(
    make, saved, new_game, images, state_of, differences
):
    game = new_game(**make)
    play(game, images, 1)
    before = state_of(game)
    with pytest.raises(
        ValueError, match=r"game\.safetensors holds another \w+ than this game: start it with the same recipe"
    ):
        checkpoint.load(game, saved)
    assert differences(state_of(game), before) == []


def test_a_truncated_file_is_refused_and_the_game_unchanged(saved, new_game, state_of, differences):
    content, game = saved.read_bytes(), new_game()
    for size in (0, 4, 8, 100, len(content) // 2, len(content) - 1):
        saved.write_bytes(content[:size])
        with pytest.raises(
            UserError, match=r"game\.safetensors is not a whole checkpoint of gan_lib: it is truncated, or"
        ):
            checkpoint.load(game, saved)
    assert differences(state_of(game), state_of(new_game())) == []


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"a poem, which is longer than eight letters",
        b"\x89PNG\r\n\x1a\n" + bytes(100),
        safetensors.torch.save({"w": torch.ones(3)}),
        safetensors.torch.save({"w": torch.ones(3)}, {"format": "pt"}),
        safetensors.torch.save({"w": torch.ones(3)}, {"gan_lib": "not json"}),
    ],
    ids=["empty", "text", "png", "no-header", "foreign-header", "broken-header"],
)
def test_a_foreign_file_is_refused(content, tmp_path, new_game):
    (tmp_path / "x.safetensors").write_bytes(content)
    with pytest.raises(UserError, match="not a whole checkpoint of gan_lib"):
        checkpoint.load(new_game(), tmp_path / "x.safetensors")


@pytest.mark.parametrize("name", ["nothing.safetensors", ""])
def test_a_missing_file_is_one_sentence(name, tmp_path):
    with pytest.raises(FileNotFoundError, match=f"There is no checkpoint .*{name}"):
        checkpoint.read(tmp_path / name)


# Writes that fail


def no_rename(*_):
    raise OSError(errno.EACCES, "Permission denied")


class FullDisk(io.FileIO):
    """A file on a disk that takes half of what is written to it."""

    def write(self, content):
        super().write(content[: len(content) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(
    ("where", "name", "fail", "message"),
    [(os, "replace", no_rename, "Permission denied"), (files, "open", FullDisk, "No space left")],
)
def test_a_write_that_fails_leaves_the_old_checkpoint_whole(where, name, fail, message, saved, new_game, monkeypatch):
    before = saved.read_bytes()
    monkeypatch.setattr(where, name, fail, raising=False)
    with pytest.raises(OSError, match=message):
        checkpoint.save(new_game(seed=5), saved)
    assert saved.read_bytes() == before
    assert list(saved.parent.iterdir()) == [saved]


# Files that don't fit


def change(path, key, function):
    """Rewrite a checkpoint with one tensor changed; None leaves it out."""
    saved = checkpoint.read(path)
    with safetensors.safe_open(path, "pt") as file:
        header = file.metadata()
    value = function(saved.tensors.pop(key))
    path.write_bytes(safetensors.torch.save(saved.tensors | ({} if value is None else {key: value}), header))


@pytest.mark.parametrize(
    "function",
    [
        lambda value: value[:1],
        lambda value: value.flatten(),
        lambda value: value.double(),
        lambda value: value * float("nan"),
        lambda value: None,
    ],
)
@pytest.mark.parametrize("key", ["g_optimizer.0.exp_avg", "d_optimizer.2.exp_avg_sq", "average.0.weight"])
def test_a_tensor_that_does_not_fit_is_refused_and_the_game_unchanged(
    key, function, saved, new_game, images, state_of, differences
):
    change(saved, key, function)
    game = new_game(seed=8)
    play(game, images, 2)
    before = state_of(game)
    with pytest.raises(UserError, match=f"game.safetensors .*{key}") as error:
        checkpoint.load(game, saved)
    assert "\n" not in str(error.value)
    assert differences(state_of(game), before) == []


def with_header(path, about):
    """A file of some hundred bytes with this header and no tensor."""
    text = json.dumps({"__metadata__": {"gan_lib": about}}).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text)
    return path


SOUND = {"step": 0, "seconds": 0.0, "seed": 0, "rates": [1e-3, 1e-3], "horizon": None, "betas": [[0.5, 0.9]] * 2}
HUGE = {"name": "mlp", "nets": "mlp", "latent_dim": 60_000, "width": 60_000, "betas": [0.5, 0.9]}


@pytest.mark.parametrize(
    "about",
    [
        "[" * 50_000,
        "{}",
        "[]",
        "7",
        json.dumps(SOUND | {"notes": {"recipe": HUGE}}),
        json.dumps(SOUND | {"notes": {"recipe": HUGE | {"width": 10**9}}}),
        json.dumps(SOUND | {"notes": {"recipe": HUGE | {"latent_dim": [1]}}}),
        json.dumps(SOUND | {"notes": {"recipe": HUGE | {"name": "../../x"}}}),
        json.dumps(SOUND | {"notes": {"recipe": []}}),
        json.dumps(SOUND | {"notes": {"recipe": HUGE}, "step": -1}),
        json.dumps(SOUND | {"notes": {"recipe": HUGE}, "betas": [[0.5, "x"]] * 2}),
    ],
)
def test_a_header_that_needs_too_much_memory_or_makes_no_sense_is_one_sentence(about, tmp_path, monkeypatch):
    path = with_header(tmp_path / "odd.safetensors", about)
    monkeypatch.setattr(torch.nn.Linear, "__init__", only_on_meta(torch.nn.Linear.__init__))
    with pytest.raises(UserError, match=r"odd\.safetensors") as error:
        checkpoint.resume(path)
    assert "\n" not in str(error.value)


def only_on_meta(init):
    """Layers that may be built without memory only."""

    def build(self, *sizes, **words):
        init(self, *sizes, **words)
        assert self.weight.device.type == "meta"

    return build


def test_a_state_that_is_not_finite_is_not_saved(saved, new_game, images):
    game, before = new_game(), saved.read_bytes()
    play(game, images, 3)
    for optimizer in (game.g_optimizer, game.d_optimizer):
        slots = optimizer.state[optimizer.param_groups[0]["params"][0]]["exp_avg"]
        slots[0] = float("inf")
        with pytest.raises(training.Diverged, match="is not finite: this training run has diverged"):
            checkpoint.save(game, saved)
        slots[0] = 0
    assert saved.read_bytes() == before
