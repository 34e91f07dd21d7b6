"""The reference runs: bands and sentences on made-up runs, and real runs, sound and broken, in real bands."""

import dataclasses
import math
import re
from statistics import stdev

import pytest

from gan_lib import data, losses, reference, training
from gan_lib.recipes import RECIPES
from gan_lib.training import Record

BALANCE = {"d_loss": 1.2, "g_loss": 1.1, "d_real": 0.6, "d_fake": 0.4}


def record(step, **changes):
    return Record(step, 100 * step, 0.1 * step, **BALANCE | changes)


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """The reference runs of a recipe "tiny": three seeds, ten rows of 100 steps, values that differ by 0.01 between seeds."""
    lines = ["seed,step,d_loss,g_loss,d_real,d_fake,frechet,classes"]
    for seed in range(3):
        for row in range(10):
            values = ",".join(f"{value + 0.01 * seed + 0.1 * row:.2f}" for value in BALANCE.values())
            lines.append(f"{seed},{100 * row + 100},{values},{'3.5,10' if row == 9 else ','}")
    monkeypatch.setattr(reference, "FOLDER", tmp_path)
    (tmp_path / "tiny.csv").write_text("\n".join(lines) + "\n")
    return tmp_path / "tiny.csv"


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


QUICK = RECIPES["mlp-quick"]
CHANGES = {
    "nothing": {},
    "images in [0, 1]": {},
    "learning rates twenty times too high": {"g_lr": 20 * QUICK.g_lr, "d_lr": 20 * QUICK.d_lr},
    "real and fake labels swapped": {"loss": "swapped"},
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_sound_run_of_another_seed_stays_inside_and_a_broken_one_leaves_early(what, monkeypatch):
    """With seed 0, which is not among those of the reference."""
    swapped = lambda real_logits, fake_logits: losses.cross_entropy_d(fake_logits, real_logits)
    monkeypatch.setitem(losses.LOSSES, "swapped", losses.Loss(swapped, losses.non_saturating_g))
    if what == "images in [0, 1]":
        monkeypatch.setattr(data, "to_range", lambda images: images.unsqueeze(-3) / 255)
    game, inside = dataclasses.replace(QUICK, **CHANGES[what]).game(), what == "nothing"
    records = list(training.train(game, data.load().images, 800 if inside else 400))
    expected = "stays inside the band of mlp-quick." if inside else "leaves the band of mlp-quick about step [12]00:"
    assert re.match(f"This run {expected}", reference.Reference("mlp-quick").remark(records))
