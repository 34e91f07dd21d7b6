"""Stacked digits: what a stack is, what is read in it, how modes are counted, and the tool that counts long runs."""

import dataclasses
import json
import math

import pytest
import torch

from gan_lib import checkpoint, data, reference, training
from gan_lib.studies import stacked_mnist
from tools import make_reference
from tools import make_stacked as tool


@pytest.fixture(scope="module")
def world():
    return stacked_mnist.StackedDigits(train=False)


def draw(world, n, seed=0):
    return world.sample(n, torch.Generator().manual_seed(seed))


# The world


@pytest.mark.parametrize(("classes", "channels", "modes"), [(10, 3, 1000), (5, 3, 125), (10, 2, 100)])
def test_a_stack_is_that_many_digits_of_those_classes(classes, channels, modes):
    world = stacked_mnist.StackedDigits(classes, channels, train=False)
    images, labels = data.load(train=False)
    stacks = draw(world, 40)
    assert (stacks.shape, stacks.dtype, world.modes) == ((40, channels, 28, 28), torch.float32, modes)
    assert (stacks.min(), stacks.max()) == (-1, 1)
    known = {image.numpy().tobytes(): label.item() for image, label in zip(images, labels, strict=True)}
    shown = [[known[data.to_uint8(c[None]).numpy().tobytes()] for c in stack] for stack in stacks]
    assert {digit for stack in shown for digit in stack} == set(range(classes))
    for one in range(channels):  # each channel is drawn by itself, and nearly always another digit than the next
        for other in range(one):
            assert sum(stack[one] == stack[other] for stack in shown) < 20
    codes = [sum(digit * 10 ** (channels - 1 - i) for i, digit in enumerate(stack)) for stack in shown]
    read = world.codes(stacks).tolist()
    assert sum(a == b for a, b in zip(codes, read, strict=True)) >= 38  # the digit net misreads one digit in 250


def test_what_is_drawn_follows_from_the_generator_of_numbers(world):
    assert draw(world, 9).equal(draw(world, 9))
    assert not draw(world, 9).equal(draw(world, 9, seed=1))
    rng = torch.Generator().manual_seed(0)
    assert not world.sample(9, rng).equal(world.sample(9, rng))


def test_a_code_is_read_from_the_first_channel_to_the_last(world):
    images, labels = data.load(train=False)
    three, zero, seven = (data.to_range(images[labels == digit][:1]) for digit in (3, 0, 7))
    assert world.codes(torch.cat([three, zero, seven], 1)).tolist() == [307]
    assert world.codes(torch.cat([zero, zero, seven], 1)).tolist() == [7]


def test_only_the_classes_of_the_world_are_read():
    nines = data.load(train=False).images[data.load(train=False).labels == 9][:30]
    world = stacked_mnist.StackedDigits(classes=5, train=False)
    assert world.codes(data.to_range(nines).view(10, 3, 28, 28)).max() <= 444


# The count


def test_modes_and_kl_are_those_of_the_formula():
    found, kl = stacked_mnist.count(torch.tensor([3, 3, 3, 0, 1, 0]), 4)
    shares = [2 / 6, 1 / 6, 0, 3 / 6]
    assert found == 3
    assert kl == pytest.approx(sum(p * math.log(p / (1 / 4)) for p in shares if p), abs=1e-6)


def test_the_ends_of_the_scale():
    assert stacked_mnist.count(torch.arange(1000), 1000) == (1000, pytest.approx(0, abs=1e-5))
    assert stacked_mnist.count(torch.full((500,), 17), 1000) == (1, pytest.approx(math.log(1000), abs=1e-5))


def test_real_digits_meet_nearly_all_modes_and_their_kl_is_that_of_chance(world):
    """Of n even draws the KL is (modes - 1) / 2 n on average, and the classes of the digits are nearly even."""
    found, kl = stacked_mnist.count(world.codes(draw(world, 3000)), 1000)
    assert 930 < found < 970  # 1000 (1 - e^-3) = 950
    assert kl == pytest.approx(999 / 6000, abs=0.04)


def test_the_atlas_has_a_cell_for_each_mode_that_says_how_often_it_was_met():
    codes = torch.tensor([307] * 3 + [12] * 1 + [999] * 996)
    picture = stacked_mnist.atlas(codes)
    assert (picture.shape, picture.dtype) == ((88, 880), "uint8")
    cell = lambda a, b, c: picture[4 + 8 * b : 12 + 8 * b, 88 * a + 4 + 8 * c : 88 * a + 12 + 8 * c]
    for light, digits in [(254, (3, 0, 7)), (162, (0, 1, 2)), (254, (9, 9, 9)), (0, (7, 0, 3)), (0, (0, 0, 0))]:
        assert set(cell(*digits).flatten().tolist()) == {light}
    assert (picture[:4] == 40).all()
    small = stacked_mnist.atlas(torch.tensor([241]), classes=5)
    assert small.shape == (48, 240)
    assert small[4 + 8 * 4, 48 * 2 + 4 + 8 * 1] == 254


# The game


def test_the_recipes_differ_in_nothing_but_what_their_names_say():
    for name, recipe in stacked_mnist.RECIPES.items():
        expected = {"name": name, "loss": "relativistic" if "relativistic" in name else "non-saturating"}
        expected |= {"gamma": 1.0, "penalty_every": 4} if "penalised" in name else {}
        expected |= {"betas": (0.0, 0.99)} if "no-momentum" in name else {}
        assert recipe == dataclasses.replace(stacked_mnist.VANILLA, **expected)
    assert len(set(stacked_mnist.RECIPES)) == 6


@pytest.mark.parametrize("name", stacked_mnist.RECIPES)
def test_a_step_moves_every_weight_of_both_players(name, world):
    game = stacked_mnist.RECIPES[name].game()
    *weights, _last_bias = [
        *game.generator.parameters(),
        *game.discriminator.parameters(),
    ]  # of which a pair sees nothing
    before = [each.clone() for each in weights]
    [record] = training.train(game, world, 1)
    assert not any(a.equal(b) for a, b in zip(weights, before, strict=True))
    assert (record.step, record.images) == (1, 32)
    assert game.sampler().sample(2).shape == (2, 3, 28, 28)


# The tool


@pytest.fixture
def house(tmp_path, monkeypatch):
    """The tool in a temporary folder, with 60 samples to count and a world of a few digits."""
    monkeypatch.setattr(tool, "RUNS", tmp_path / "runs")
    monkeypatch.setattr(tool, "RESULTS", tmp_path / "stacked.json")
    monkeypatch.setattr(stacked_mnist, "SAMPLES", 60)
    return tmp_path


def run_tool(monkeypatch, *arguments):
    monkeypatch.setattr("sys.argv", ["stacked.py", *arguments])
    tool.main()


def test_the_tool_counts_a_run_at_three_moments_and_no_moment_twice(house, monkeypatch, capsys, state_of, differences):
    run_tool(monkeypatch, "--steps", "6", "--seeds", "3", "--recipes", "vanilla")
    rows = json.loads((house / "stacked.json").read_text())["runs"]
    assert [(row["recipe"], row["seed"], row["step"]) for row in rows] == [("vanilla", 3, step) for step in (1, 3, 6)]
    game = stacked_mnist.VANILLA.game(3)
    list(training.train(game, stacked_mnist.StackedDigits(), 6))
    kept = checkpoint.load(stacked_mnist.VANILLA.game(3), house / "runs" / "vanilla-3" / "step_0000006.safetensors")
    assert differences(state_of(game), state_of(kept)) == []  # as if it had never stopped
    world = stacked_mnist.StackedDigits()
    counted = stacked_mnist.count(world.codes(game.sampler().sample(60, tool.SEED)), 1000)
    assert (rows[-1]["found"], rows[-1]["kl"]) == (counted.found, pytest.approx(counted.kl))
    assert len(capsys.readouterr().out.splitlines()) == 3

    run_tool(monkeypatch, "--steps", "6", "--seeds", "2", "--recipes", "vanilla")
    monkeypatch.setattr(training, "train", None)  # nothing is trained again
    run_tool(monkeypatch, "--steps", "6", "--seeds", "3", "2", "--recipes", "vanilla")
    found = json.loads((house / "stacked.json").read_text())["runs"]
    assert [row["seed"] for row in found] == [2, 2, 2, 3, 3, 3]
    assert found[3:] == rows


def test_an_interrupted_run_goes_on_from_its_last_moment(house, monkeypatch):
    run_tool(monkeypatch, "--steps", "6", "--seeds", "3", "--recipes", "vanilla")
    whole = (house / "stacked.json").read_text()
    (house / "runs" / "vanilla-3" / "step_0000006.safetensors").unlink()
    rows = json.loads(whole)
    (house / "stacked.json").write_text(json.dumps(rows | {"runs": rows["runs"][:2]}))
    lengths, train = [], training.train
    monkeypatch.setattr(
        training, "train", lambda game, world, steps: lengths.append(steps) or train(game, world, steps)
    )
    run_tool(monkeypatch, "--steps", "6", "--seeds", "3", "--recipes", "vanilla")
    assert lengths == [3]
    again = json.loads((house / "stacked.json").read_text())["runs"]
    assert [{**row, "seconds": 0} for row in again] == [{**row, "seconds": 0} for row in rows["runs"]]

    (house / "stacked.json").write_text(json.dumps(rows | {"runs": rows["runs"][:2]}))
    run_tool(monkeypatch, "--steps", "6", "--seeds", "3", "--recipes", "vanilla")
    assert lengths == [3]  # it was played, and is counted only


def test_the_table_shows_the_last_moments_beside_what_was_published(tmp_path, monkeypatch):
    row = {"recipe": "vanilla", "seed": 1, "step": 4000, "seconds": 60, "threads": 1, "found": 200, "kl": 3.0}
    runs = [
        row,
        row | {"step": 8000, "found": 300, "kl": 2.0},
        row | {"seed": 2, "step": 8000, "found": 310, "kl": 2.5},
    ]
    runs.append(row | {"step": 16000, "found": 900})  # which the other has not reached
    runs.append(row | {"recipe": "relativistic", "step": 8000, "found": 1000, "kl": 0.25})
    (tmp_path / "stacked.json").write_text(json.dumps({"floor": {"found": 1000, "kl": 0.0234}, "runs": runs}))
    monkeypatch.setattr(reference, "FOLDER", tmp_path)
    lines = make_reference.stacked_table().splitlines()
    assert lines[2:5] == [
        "| *real test digits* | 1 | 1000 | 0.023 | ours |",
        "| `vanilla` | 2 | 305 ± 7 | 2.250 ± 0.354 | ours, 8,000 steps |",
        "| `relativistic` | 1 | 1000 | 0.250 | ours, 8,000 steps |",
    ]
    assert "| DCGAN, run again |  | 78.9 | 4.50 | Lin et al. 2017 |" in lines[5:]
    assert {line.count("|") for line in lines} == {6}
