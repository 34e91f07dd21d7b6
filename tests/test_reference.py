"""The reference runs: bands and sentences on made-up runs, README's tables, and real runs, sound and broken, in real bands."""

import dataclasses
import json
import math
import re
from statistics import stdev

import pytest

from gan_lib import data, losses, reference, training
from gan_lib.recipes import RECIPES
from gan_lib.studies import augmentation
from gan_lib.training import Record
from tools import make_reference

BALANCE = {"d_loss": 1.2, "g_loss": 1.1, "d_real": 0.6, "d_fake": 0.4}


def record(step, **changes):
    return Record(step, 100 * step, 0.1 * step, **BALANCE | changes)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The folder that the package takes for gan_lib/reference/, still empty."""
    for module in (reference, augmentation):  # which may have its own name for it
        monkeypatch.setattr(module, "FOLDER", tmp_path, raising=False)
    return tmp_path


@pytest.fixture
def tiny(folder):
    """The reference runs of a recipe "tiny": three seeds, ten rows of 100 steps, values that differ by 0.01 between seeds."""
    lines = ["seed,step,d_loss,g_loss,d_real,d_fake,frechet,classes"]
    for seed in range(3):
        for row in range(10):
            values = ",".join(f"{value + 0.01 * seed + 0.1 * row:.2f}" for value in BALANCE.values())
            lines.append(f"{seed},{100 * row + 100},{values},{'3.5,10' if row == 9 else ','}")
    (folder / "tiny.csv").write_text("\n".join(lines) + "\n")
    return folder / "tiny.csv"


def test_the_band_is_the_mean_and_four_deviations_to_either_side(tiny):
    with pytest.raises(ValueError, match=r"There are no reference runs of 'dcgna'; choose one of: tiny\."):
        reference.Reference("dcgna")
    tiny = reference.Reference("tiny")
    spread = stdev([0.0, 0.01, 0.02])
    assert tiny.steps == list(range(100, 1001, 100))
    for row, (low, high) in enumerate(zip(*tiny.band("g_loss"), strict=True)):
        assert low == pytest.approx(1.1 + 0.01 + 0.1 * row - 4 * spread)
        assert high == pytest.approx(1.1 + 0.01 + 0.1 * row + 4 * spread)


def test_the_deviation_is_pooled_over_neighbouring_rows(tiny):
    """In row 10 the seeds agree exactly; its band is as wide as the variance of rows 5 to 10 allows."""
    text = tiny.read_text().splitlines()
    text = [line.replace(",2.01,", ",2.00,").replace(",2.02,", ",2.00,") if ",1000," in line else line for line in text]
    tiny.write_text("\n".join(text))
    low, high = reference.Reference("tiny").band("g_loss")
    assert (high[9] - low[9]) / 8 == pytest.approx(0.01 * math.sqrt(5 / 6))


def test_records_are_averaged_over_the_steps_that_they_cover():
    records = [record(40, d_loss=1.0), record(100, d_loss=2.0), record(200, d_loss=5.0), record(250, d_loss=7.0)]
    assert reference.means_until(records, "d_loss", [100, 200, 300]) == [pytest.approx(1.6), 5.0]
    assert reference.means_until([], "d_loss", [100]) == []


INSIDE = "This run stays inside the band of tiny."
LEAVES = "This run leaves the band of tiny about step "


@pytest.mark.parametrize(("first", "last", "changes", "sentence"), [
    (100, 1000, {}, INSIDE),
    (400, 1000, {"d_fake": 0.05}, LEAVES + "400: D(G(z)) is 0.05, below the 0.67 to 0.75 of the band."),
    (300, 400, {"d_loss": 0.0}, INSIDE),  # two rows may lie outside, three may not
    (300, 500, {"d_loss": 0.0}, LEAVES + "300: d_loss is 0.00, below the 1.37 to 1.45 of the band."),
    (200, 1000, {"g_loss": 9.0}, LEAVES + "200: g_loss is 9.00, above the 1.17 to 1.25 of the band."),
])  # fmt: skip
def test_the_remark_says_when_and_where_a_run_leaves_the_band(first, last, changes, sentence, tiny):
    rows = [{key: value + 0.01 + 0.1 * row for key, value in BALANCE.items()} for row in range(10)]  # as seed 1
    records = [record(100 * i + 100, **row) for i, row in enumerate(rows)]
    records = [each._replace(**changes) if first <= each.step <= last else each for each in records]
    remark = reference.Reference("tiny").remark
    assert remark(records) == sentence
    earlier = [each._replace(d_fake=0.05) for each in records]
    assert remark(earlier).startswith(f"{LEAVES}100: D(G(z)) is 0.05")  # the first to leave is named
    beyond = [record(step, d_loss=50.0) for step in (1100, 1200, 1300)]  # longer than the reference runs
    assert remark([*records, *beyond]) == sentence


def scores(*distances, **more):
    """Scores as results.json holds them, equal but for the distance."""
    rest = {"precision": 0.9, "recall": 0.8, "density": 1.0, "coverage": 0.7, "classes": 10}
    return [{"frechet": distance, **rest} | more for distance in distances]


def labels(right, precision):
    """The scores of the ten labels in one run."""
    return [score | {"right": right} for score in scores(*[0] * 10, precision=precision)]


def slant_and_ink(own):
    """The effects of two directions in one run."""
    slant = {"name": "slant", "explained": own / 2, "own": own, "leak": 0.25, "random": 0.1}
    return [slant, slant | {"name": "ink", "leak": own}]


ABOUT = {"parameters": 1234567, "steps": 6000, "ms_a_step": 10.0}
BOTH = {"truncation": 0.9, "untruncated": scores(2.0), "by_class": [labels(0.97, 0.7), labels(0.99, 0.8)]}
RESULTS = {
    "floor": scores(0.1, 0.1),
    "floor_by_class": [labels(1.0, 0.9), labels(1.0, 0.88)],
    "recipes": {
        "several": ABOUT | {"scores": scores(1.0, 1.5, 2.0), "effects": [slant_and_ink(0.5), slant_and_ink(1.0)]},
        "both": ABOUT | {"scores": scores(3.0)} | BOTH,
    },
}
SCORES = """\
| recipe | parameters | minutes | runs | Fréchet distance | precision | recall | density | coverage | classes |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
| *real digits* |  |  | 2 | 0.10 | 0.90 | 0.80 | 1.00 | 0.70 | 10 |
| `several` | 1,234,567 | 1.0 | 3 | 1.50 ± 0.50 | 0.90 | 0.80 | 1.00 | 0.70 | 10 |
| `both`, ψ = 1 | 1,234,567 | 1.0 | 1 | 2.00 | 0.90 | 0.80 | 1.00 | 0.70 | 10 |
| `both`, ψ = 0.9 | 1,234,567 | 1.0 | 1 | 3.00 | 0.90 | 0.80 | 1.00 | 0.70 | 10 |"""
EFFECTS = """\
| recipe | attribute | R² | own | leak | random |
| --- | --- | ---: | ---: | ---: | ---: |
| `several` | slant | 38% | 0.75 ± 0.35 | 0.25 | 0.10 |
| `several` | ink | 38% | 0.75 ± 0.35 | 0.75 ± 0.35 | 0.10 |"""
CLASSES = """\
| label | read as it | precision | recall | density | coverage |
| --- | ---: | ---: | ---: | ---: | ---: |
""" + "\n".join(f"| {i} | 98.0% | 0.75 (0.89) | 0.80 (0.80) | 1.00 (1.00) | 0.70 (0.70) |" for i in range(10))


def test_tables_are_means_and_deviations_over_runs_beside_the_floor(folder):
    (folder / "results.json").write_text(json.dumps(RESULTS))
    assert make_reference.results_table() == SCORES
    assert make_reference.directions_table() == EFFECTS
    assert make_reference.class_table("both") == CLASSES


def test_errors_of_classifiers_are_percentages_by_the_number_of_real_digits(folder):
    """augmentation.json with the arms at 10 real digits a class and at 6,000; "augmented" reads a hundredth more digits."""

    def rows(arm, per_class, *plain, **more):
        same = {"arm": arm, "per_class": per_class} | more
        return [same | {"seed": i, "plain": p, "augmented": p + 0.01} for i, p in enumerate(plain)]

    found = [*rows("real", 6000, 0.98, 0.97), *rows("real", 10, 0.5, 0.6)]
    found += [*rows("own", 10, 0.55, 0.55, novelty=0.25, as_asked=1.0), *rows("all", 10, 0.8, 0.9)]
    found += [*rows("all", 6000, 0.96, 0.96), *rows("synthetic", 0, 0.9, novelty=1.5, as_asked=0.98)]
    (folder / "augmentation.json").write_text(json.dumps(found))
    assert augmentation.errors("plain", "real") == {10: pytest.approx([50, 40]), 6000: pytest.approx([2, 3])}
    assert augmentation.errors("augmented", "real")[6000] == pytest.approx([1, 2])
    assert list(augmentation.errors("plain", "all", "synthetic")) == [0, 10, 6000]
    assert augmentation.read_results("novelty", "own", "synthetic") == {0: [1.5], 10: [0.25, 0.25]}
    heads, _, *lines = make_reference.augmentation_table().splitlines()
    arms = [label for arm, label in augmentation.ARMS.items() if arm != "synthetic"]
    expected = ["real digits a class", *arms, *(f"{arm}, augmented" for arm in arms), "novelty", "right label"]
    assert heads == f"| {' | '.join(expected)} |"
    assert lines == [  # with two values the standard deviation is their distance over √2
        "| 10 | 45.00 ± 7.07 | 45.00 ± 0.00 | 15.00 ± 7.07 | 44.00 ± 7.07 | 44.00 ± 0.00 | 14.00 ± 7.07"
        " | 0.25 ± 0.00 | 1.00 ± 0.00 |",
        "| 6,000 | 2.50 ± 0.71 |  | 4.00 ± 0.00 | 1.50 ± 0.71 |  | 3.00 ± 0.00 |  |  |",
        "| none |  |  | 10.00 |  |  | 9.00 | 1.50 | 0.98 |",
    ]


QUICK = RECIPES["mlp-quick"]
BROKEN = {
    "images in [0, 1]": {},
    "learning rates twenty times too high": {"g_lr": 20 * QUICK.g_lr, "d_lr": 20 * QUICK.d_lr},
    "real and fake labels swapped": {"loss": "swapped"},
}


def first_steps(recipe, steps):
    """The records of a run with seed 0, which is not among those of the reference."""
    return list(training.train(recipe.game(), data.load().images, steps))


def test_a_sound_run_of_another_seed_stays_inside():
    remark = reference.Reference("mlp-quick").remark
    assert remark(first_steps(QUICK, 800)) == "This run stays inside the band of mlp-quick."


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_run_leaves_early(how, monkeypatch):
    swapped = lambda real_logits, fake_logits: losses.cross_entropy_d(fake_logits, real_logits)
    monkeypatch.setitem(losses.LOSSES, "swapped", losses.Loss(swapped, losses.non_saturating_g))
    if how == "images in [0, 1]":
        monkeypatch.setattr(data, "to_range", lambda images: images.unsqueeze(-3) / 255)
    records = first_steps(dataclasses.replace(QUICK, **BROKEN[how]), 400)
    remark = reference.Reference("mlp-quick").remark(records)
    assert re.match("This run leaves the band of mlp-quick about step [12]00:", remark)
