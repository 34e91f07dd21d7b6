"""A whole game in one file: exact, atomic, nothing that could run code, and a clear word for every wrong file."""

import errno
import io
import json
import os
import shutil

import pytest
import safetensors.torch
import torch

from gan_lib import checkpoint, files, training


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


def test_saving_changes_nothing(new_game, images, tmp_path, state_of, differences):
    game = new_game("dcgan")
    play(game, images, 2)
    before = state_of(game)
    checkpoint.save(game, tmp_path / "x.safetensors")
    assert differences(state_of(game), before) == []


def test_a_game_that_has_not_begun_can_be_saved(new_game, tmp_path, state_of, differences):
    checkpoint.save(new_game(), tmp_path / "x.safetensors")
    loaded = checkpoint.load(new_game(seed=1), tmp_path / "x.safetensors")
    assert differences(state_of(loaded), state_of(new_game())) == []


def test_a_random_state_of_another_kind_of_device_starts_a_new_one(saved, new_game):
    """A GPU's state has 16 bytes, a CPU's 5,056: such a run goes on, but not bit for bit."""
    tensors, about = safetensors.torch.load_file(saved), checkpoint.header(saved)
    tensors["rng"] = torch.zeros(16, dtype=torch.uint8)
    with safetensors.safe_open(saved, "pt") as file:
        safetensors.torch.save_file(tensors, saved, file.metadata())
    one, other = (checkpoint.load(new_game(seed=seed), saved) for seed in (1, 2))
    assert one.step == about["step"] == 3
    assert one.noise(4).equal(other.noise(4))
    assert not one.noise(4).equal(one.noise(4))


def test_a_loaded_game_does_not_depend_on_the_file_any_more(saved, new_game, state_of, differences):
    loaded = checkpoint.load(new_game(), saved)
    before = state_of(loaded)
    with open(saved, "r+b") as file:  # written over in place
        file.write(bytes(saved.stat().st_size))
    assert differences(state_of(loaded), before) == []


# The header


def test_the_header_tells_step_seed_and_notes_without_the_tensors(saved):
    about = checkpoint.header(saved)
    assert (about["step"], about["seed"], about["notes"]) == (3, 0, {"colour": "blue"})
    assert about["seconds"] > 0


def test_the_latest_is_the_one_with_the_most_steps(new_game, images, tmp_path):
    game = new_game()
    for name in ("z", "m", "a"):
        play(game, images, 1)
        checkpoint.save(game, tmp_path / f"{name}.safetensors")
    assert checkpoint.latest(tmp_path).name == "a.safetensors"
    assert checkpoint.latest(tmp_path / "nowhere") is None


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


@pytest.mark.parametrize("keep", [0, 4, 8, 100, 0.5, -1])
def test_a_truncated_file_is_refused_and_the_game_unchanged(keep, saved, new_game, state_of, differences):
    content = saved.read_bytes()
    saved.write_bytes(content[: int(keep * len(content)) if isinstance(keep, float) else keep])
    game = new_game()
    with pytest.raises(
        ValueError, match=r"game\.safetensors is not a whole checkpoint of gan_lib: it is truncated, or another"
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
    with pytest.raises(ValueError, match="not a whole checkpoint of gan_lib"):
        checkpoint.load(new_game(), tmp_path / "x.safetensors")


def test_a_missing_file_is_told(tmp_path, new_game):
    with pytest.raises(FileNotFoundError, match=r"There is no checkpoint .*nothing\.safetensors"):
        checkpoint.load(new_game(), tmp_path / "nothing.safetensors")
    with pytest.raises(FileNotFoundError, match="There is no checkpoint"):
        checkpoint.header(tmp_path)


# Writes that fail


def test_a_rename_that_fails_leaves_the_old_checkpoint_whole(saved, new_game, monkeypatch):
    def fail(*_):
        raise OSError(errno.EACCES, "Permission denied")

    before = saved.read_bytes()
    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="Permission denied"):
        checkpoint.save(new_game(seed=5), saved)
    assert saved.read_bytes() == before
    assert list(saved.parent.iterdir()) == [saved]


class FullDisk(io.FileIO):
    """A file on a disk that takes half of what is written to it."""

    def write(self, content):
        super().write(content[: len(content) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_disk_that_fills_up_leaves_the_old_checkpoint_whole(saved, new_game, monkeypatch):
    before = saved.read_bytes()
    monkeypatch.setattr(files, "open", FullDisk, raising=False)
    with pytest.raises(OSError, match="No space left"):
        checkpoint.save(new_game(seed=5), saved)
    assert saved.read_bytes() == before
    assert list(saved.parent.iterdir()) == [saved]
    assert checkpoint.load(new_game(), saved).step == 3


# Records


def test_records_come_back_as_they_were(tmp_path, new_game, images):
    records = list(training.train(new_game(), images, 7, record_every=3))
    checkpoint.save_records(records, tmp_path / "records.csv")
    assert checkpoint.load_records(tmp_path / "records.csv") == records
    first = (tmp_path / "records.csv").read_text().splitlines()[0]
    assert first == "step,images,seconds,d_loss,g_loss,d_real,d_fake"


def test_records_of_older_versions_are_read_too(tmp_path):
    """They hold two columns more."""
    header, row = "step,images,seconds,d_loss,g_loss,d_real,d_fake,real_max,shared", "1,2,3.0,0.1,0.2,0.3,0.4,1.0,0"
    (tmp_path / "records.csv").write_text(f"{header}\n{row}\n")
    assert checkpoint.load_records(tmp_path / "records.csv") == [training.Record(1, 2, 3.0, 0.1, 0.2, 0.3, 0.4)]


def test_no_file_is_no_records(tmp_path):
    assert checkpoint.load_records(tmp_path / "records.csv") == []
    checkpoint.save_records([], tmp_path / "records.csv")
    assert checkpoint.load_records(tmp_path / "records.csv") == []


@pytest.mark.parametrize("text", ["a,b\n1,2\n", "step,images\n1,2\n", "step,images,seconds,d_loss\n1,2,3,four\n"])
def test_a_foreign_file_of_records_is_refused(text, tmp_path):
    (tmp_path / "records.csv").write_text(text)
    with pytest.raises(ValueError, match=r"is not a records\.csv of gan_lib: move it away to go on without it"):
        checkpoint.load_records(tmp_path / "records.csv")


def test_a_copy_of_the_file_is_all_one_needs(saved, tmp_path, new_game):
    shutil.copy(saved, tmp_path / "elsewhere.safetensors")
    saved.unlink()
    assert checkpoint.load(new_game(), tmp_path / "elsewhere.safetensors").step == 3


# Files that don't fit


def changed(path, key, change):
    """Rewrite a checkpoint with one tensor changed; None leaves it out."""
    with safetensors.safe_open(path, "pt") as file:
        header = file.metadata()
    tensors = safetensors.torch.load_file(path)
    value = change(tensors.pop(key))
    path.write_bytes(safetensors.torch.save(tensors | ({} if value is None else {key: value}), header))


@pytest.mark.parametrize(
    "change",
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
    key, change, saved, new_game, images, state_of, differences
):
    changed(saved, key, change)
    game = new_game(seed=8)
    play(game, images, 2)
    before = state_of(game)
    with pytest.raises(ValueError, match=f"game.safetensors .*{key}") as error:
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
def test_a_header_that_asks_for_too_much_or_makes_no_sense_is_one_sentence(about, tmp_path, monkeypatch):
    path = with_header(tmp_path / "odd.safetensors", about)
    monkeypatch.setattr(torch.nn.Linear, "__init__", only_on_meta(torch.nn.Linear.__init__))
    with pytest.raises(ValueError, match=r"odd\.safetensors") as error:
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
        with pytest.raises(training.Diverged, match="is not finite any more"):
            checkpoint.save(game, saved)
        slots[0] = 0
    assert saved.read_bytes() == before
