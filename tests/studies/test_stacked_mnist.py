"""Stacked digits: sampling, codes, mode counts, recipes, and the tool that counts the modes of long runs."""

import dataclasses
import json
import math

import pytest
import torch

from gan_lib import checkpoint, data, reference, training
from gan_lib.studies import stacked_mnist
from tests.notebooks.test_same_code import defined
from tools import make_losses, make_reference
from tools import make_stacked as tool


@pytest.mark.parametrize(("classes", "modes"), [(10, 1000), (5, 125)])
def test_a_stack_is_three_independent_digits_of_the_first_classes(classes, modes):
    world = stacked_mnist.StackedDigits(classes, train=False)
    images, labels = data.load(train=False)
    stacks, again = (world.sample(40, torch.Generator().manual_seed(0)) for _ in range(2))
    assert stacks.equal(again)
    assert (stacks.shape, stacks.dtype, world.modes) == ((40, 3, 28, 28), torch.float32, modes)
    assert (stacks.min(), stacks.max()) == (-1, 1)
    known = {image.numpy().tobytes(): label.item() for image, label in zip(images, labels, strict=True)}
    shown = [[known[channel.numpy().tobytes()] for channel in stack] for stack in data.to_uint8(stacks.unsqueeze(2))]
    assert {digit for stack in shown for digit in stack} == set(range(classes))
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert sum(stack[one] == stack[other] for stack in shown) < 20
    codes = torch.tensor(shown) @ torch.tensor([100, 10, 1])
    assert (world.codes(stacks) == codes).sum() >= 38  # the digit net misreads one digit in 250
    nines = data.to_range(images[labels == 9][:30]).view(10, 3, 28, 28)
    assert world.codes(nines).max() <= 111 * (classes - 1)


def test_modes_and_kl_are_those_of_the_formula():
    of_four = sum(p * math.log(p / (1 / 4)) for p in (2 / 6, 1 / 6, 3 / 6))
    for codes, modes, found, kl in (
        (torch.tensor([3, 3, 3, 0, 1, 0]), 4, 3, of_four),
        (torch.arange(1000), 1000, 1000, 0),
        (torch.full((500,), 17), 1000, 1, math.log(1000)),
    ):
        assert tool.count_modes(codes, modes) == {"found": found, "kl": pytest.approx(kl, abs=1e-5)}


def test_the_bundled_losses_have_the_settings_of_their_tool_and_the_lesson():
    found = json.loads((reference.FOLDER / "losses.json").read_text())
    settings, pair = defined("09", "settings", "pair")
    assert (found["steps"], found["samples"], pair) == (make_losses.STEPS, make_losses.SAMPLES, make_losses.PAIR)
    assert {name: len(runs) for name, runs in found["runs"].items()} == dict.fromkeys(make_losses.SETTINGS, 5)
    assert settings.items() <= make_losses.SETTINGS.items()


def test_the_recipes_differ_only_in_what_their_names_say():
    for name, recipe in stacked_mnist.RECIPES.items():
        expected = {"name": name, "loss": "relativistic" if "relativistic" in name else "non-saturating"}
        expected |= {"gamma": 1.0, "penalty_every": 4} if "penalised" in name else {}
        expected |= {"betas": (0.0, 0.99)} if "no-momentum" in name else {}
        assert recipe == dataclasses.replace(stacked_mnist.VANILLA, **expected)


@pytest.mark.parametrize("name", stacked_mnist.RECIPES)
def test_every_recipe_trains_on_stacks(name):
    game = stacked_mnist.RECIPES[name].game()
    [record] = training.train(game, stacked_mnist.StackedDigits(train=False), 1)
    assert (record.step, record.images) == (1, 32)
    assert game.sampler().sample(2).shape == (2, 3, 28, 28)


@pytest.fixture
def run_tool(tmp_path, monkeypatch):
    """`run_tool(*seeds)` runs the tool for six steps of "vanilla", counting 60 samples; returns the rows of its file.

    `keep`: of the rows there, only so many are left before.
    """
    monkeypatch.setattr(tool, "RUNS", tmp_path / "runs")
    monkeypatch.setattr(tool, "RESULTS", tmp_path / "stacked.json")
    monkeypatch.setattr(tool, "SAMPLES", 60)

    def run(*seeds, keep=None):
        if keep is not None:
            results = json.loads(tool.RESULTS.read_text())
            tool.RESULTS.write_text(json.dumps(results | {"runs": results["runs"][:keep]}))
        monkeypatch.setattr("sys.argv", f"x --steps 6 --recipes vanilla --seeds {' '.join(map(str, seeds))}".split())
        tool.main()
        return json.loads(tool.RESULTS.read_text())["runs"]

    return run


def test_the_tool_counts_three_moments_of_a_run_once(run_tool, monkeypatch, state_of, differences):
    rows = run_tool(3)
    assert [(row["recipe"], row["seed"], row["step"]) for row in rows] == [("vanilla", 3, step) for step in (1, 3, 6)]
    game, world = stacked_mnist.VANILLA.game(3), stacked_mnist.StackedDigits()
    list(training.train(game, world, 6))
    kept = checkpoint.load(stacked_mnist.VANILLA.game(3), tool.RUNS / "vanilla-3" / "step_0000006.safetensors")
    assert differences(state_of(game), state_of(kept)) == []  # as without the stops
    counted = tool.count_modes(world.codes(game.sampler().sample(60, tool.SEED)), 1000)
    assert (rows[-1]["found"], rows[-1]["kl"]) == (counted["found"], pytest.approx(counted["kl"]))

    run_tool(2)
    monkeypatch.setattr(training, "train", None)  # nothing is trained again
    found = run_tool(3, 2)
    assert [row["seed"] for row in found] == [2, 2, 2, 3, 3, 3]
    assert found[3:] == rows


def test_an_interrupted_run_resumes_from_its_last_moment(run_tool, monkeypatch):
    rows = run_tool(3)
    (tool.RUNS / "vanilla-3" / "step_0000006.safetensors").unlink()
    lengths, train = [], training.train
    monkeypatch.setattr(training, "train", lambda *args: lengths.append(args[2]) or train(*args))
    for _ in range(2):  # trained once, then only counted
        again = run_tool(3, keep=2)
        assert lengths == [3]
        assert [row | {"seconds": 0} for row in again] == [row | {"seconds": 0} for row in rows]


def test_the_table_has_the_last_step_that_all_recipes_reached(tmp_path, monkeypatch):
    """`test_ground` compares the committed table, in which all reached the same step, with docs/results.md."""
    floor = {"found": 1000, "kl": 0.0234}
    runs = [floor | {"recipe": "vanilla", "step": step, "found": step // 10} for step in (4000, 8000, 16000)]
    runs.append(floor | {"recipe": "relativistic", "step": 8000})
    (tmp_path / "stacked.json").write_text(json.dumps({"floor": floor, "runs": runs}))
    monkeypatch.setattr(reference, "FOLDER", tmp_path)
    ours = [line for line in make_reference.stacked_table().splitlines() if "ours, " in line]
    rest = "| 0.023 | ours, 8,000 steps |"
    assert ours == [f"| `vanilla` | 1 | 800 {rest}", f"| `relativistic` | 1 | 1000 {rest}"]
