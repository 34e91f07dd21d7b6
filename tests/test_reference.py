"""The reference runs: bands and sentences on made-up runs, and real runs, good and broken, against the real bands."""

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
def made_up(tmp_path, monkeypatch):
    """Three seeds of a recipe "tiny", ten rows of 100 steps, whose values differ by 0.01 from seed to seed."""
    lines = ["seed,step,d_loss,g_loss,d_real,d_fake,frechet,classes"]
    for seed in range(3):
        for row in range(10):
            values = ",".join(f"{value + 0.01 * seed + 0.1 * row:.2f}" for value in BALANCE.values())
            lines.append(f"{seed},{100 * row + 100},{values},{'3.5,10' if row == 9 else ','}")
    (tmp_path / "tiny.csv").write_text("\n".join(lines) + "\n")
    monkeypatch.setattr(reference, "FOLDER", tmp_path)
    return tmp_path


def course_of_seed_1(**changes):
    rising = {key: value + 0.01 for key, value in BALANCE.items()}
    return [
        record(100 * row + 100, **{key: value + 0.1 * row for key, value in rising.items()} | changes)
        for row in range(10)
    ]


def test_a_recipe_without_runs_is_named_with_those_that_have_some(made_up):
    with pytest.raises(ValueError, match=r"There are no reference runs of 'dcgna'; choose one of: tiny\."):
        reference.band("dcgna", "d_loss")


def test_the_band_is_the_mean_and_four_deviations_to_either_side(made_up):
    band = reference.band("tiny", "g_loss")
    spread = stdev([0.0, 0.01, 0.02])
    assert band.steps == list(range(100, 1001, 100))
    for row, (low, high) in enumerate(zip(band.low, band.high, strict=True)):
        assert low == pytest.approx(1.1 + 0.01 + 0.1 * row - 4 * spread)
        assert high == pytest.approx(1.1 + 0.01 + 0.1 * row + 4 * spread)


def test_the_deviation_is_pooled_over_neighbouring_rows(made_up):
    """In row 10 the seeds agree exactly; its band is as wide as the variance of rows 5 to 10 allows."""
    text = (made_up / "tiny.csv").read_text().splitlines()
    text = [line.replace(",2.01,", ",2.00,").replace(",2.02,", ",2.00,") if ",1000," in line else line for line in text]
    (made_up / "tiny.csv").write_text("\n".join(text))
    band = reference.band("tiny", "g_loss")
    assert (band.high[9] - band.low[9]) / 8 == pytest.approx(0.01 * math.sqrt(5 / 6))


def test_records_are_averaged_over_the_steps_that_they_cover():
    records = [record(40, d_loss=1.0), record(100, d_loss=2.0), record(200, d_loss=5.0), record(250, d_loss=7.0)]
    assert reference.means_until(records, "d_loss", [100, 200, 300]) == [pytest.approx(1.6), 5.0]
    assert reference.means_until([], "d_loss", [100]) == []


def test_a_run_like_the_others_stays_inside(made_up):
    assert reference.remark(course_of_seed_1(), "tiny") == "This run stays inside the band of tiny."


def test_a_run_that_leaves_is_told_when_where_and_to_which_side(made_up):
    records = course_of_seed_1()
    records = [r._replace(d_fake=0.05) if r.step >= 400 else r for r in records]
    assert reference.remark(records, "tiny") == (
        "This run leaves the band of tiny about step 400: D(G(z)) is 0.05, below the 0.67 to 0.75 of the band."
    )


def test_the_first_to_leave_is_the_one_that_is_told(made_up):
    records = [r._replace(d_fake=0.05, g_loss=9.0 if r.step >= 200 else r.g_loss) for r in course_of_seed_1()]
    assert "about step 100: D(G(z)) is 0.05" in reference.remark(records, "tiny")


def test_two_rows_outside_are_forgiven_and_three_are_not(made_up):
    for rows, leaves in ((2, False), (3, True)):
        records = course_of_seed_1()
        records = [r._replace(d_loss=0.0) if 300 <= r.step < 300 + 100 * rows else r for r in records]
        assert ("leaves" in reference.remark(records, "tiny")) == leaves


def test_a_run_shorter_than_a_row_is_not_judged(made_up):
    assert reference.remark([record(3)], "tiny") == "This run is too short to be held against the band of tiny."


def test_a_run_longer_than_the_reference_is_judged_as_far_as_that_goes(made_up):
    records = [*course_of_seed_1(), record(1100, d_loss=50.0), record(1200, d_loss=50.0), record(1300, d_loss=50.0)]
    assert "stays inside" in reference.remark(records, "tiny")


def test_the_table_shows_means_and_spreads_over_runs_beside_the_floor(tmp_path, monkeypatch):
    def scores(*distances):
        rest = {"precision": 0.9, "recall": 0.8, "density": 1.0, "coverage": 0.7, "classes": 10}
        return [{"frechet": distance, **rest} for distance in distances]

    several = {"parameters": 1234567, "steps": 6000, "ms_a_step": 10.0, "scores": scores(1.0, 1.5, 2.0)}
    results = {"floor": scores(0.1, 0.1), "recipes": {"several": several, "one": several | {"scores": scores(3.0)}}}
    (tmp_path / "results.json").write_text(json.dumps(results))
    monkeypatch.setattr(reference, "FOLDER", tmp_path)
    head, line, floor, several, one = make_reference.results_table().splitlines()
    assert head.startswith("| recipe | parameters | minutes | runs | Fréchet distance | precision |")
    assert line.count("|") == head.count("|")
    assert floor == "| *real digits* |  |  | 2 | 0.10 | 0.90 | 0.80 | 1.00 | 0.70 | 10 |"
    assert several == "| `several` | 1,234,567 | 1.0 | 3 | 1.50 ± 0.50 | 0.90 | 0.80 | 1.00 | 0.70 | 10 |"
    assert one == "| `one` | 1,234,567 | 1.0 | 1 | 3.00 | 0.90 | 0.80 | 1.00 | 0.70 | 10 |"


def test_the_directions_are_told_by_recipe_and_attribute_with_their_spread_over_runs(tmp_path, monkeypatch):
    def run(own):
        slant = {"name": "slant", "explained": own / 2, "own": own, "leak": 0.25, "random": 0.1}
        return [slant, slant | {"name": "ink", "leak": own}]

    results = {
        "recipes": {"quick": {"scores": []}, "two": {"effects": [run(0.5), run(1.0)]}, "one": {"effects": [run(1.0)]}}
    }
    (tmp_path / "results.json").write_text(json.dumps(results))
    monkeypatch.setattr(reference, "FOLDER", tmp_path)
    assert make_reference.directions_table().splitlines() == [
        "| recipe | attribute | explained | own | leak | random |",
        "| --- | --- | ---: | ---: | ---: | ---: |",
        "| `two` | slant | 38% | 0.75 ± 0.35 | 0.25 | 0.10 |",
        "| `two` | ink | 38% | 0.75 ± 0.35 | 0.75 ± 0.35 | 0.10 |",
        "| `one` | slant | 50% | 1.00 | 0.25 | 0.10 |",
        "| `one` | ink | 50% | 1.00 | 1.00 | 0.10 |",
    ]


def test_the_classes_stand_one_below_the_other_with_what_real_digits_get_in_brackets(tmp_path, monkeypatch):
    def run(right, precision):
        return [
            {"right": right, "precision": precision + digit / 100, "recall": 0.5, "density": 1.0, "coverage": 0.75}
            for digit in range(10)
        ]

    results = {
        "recipes": {"told": {"by_class": [run(0.97, 0.7), run(0.99, 0.8)]}},
        "floor_by_class": [run(1.0, 0.9), run(1.0, 0.88)],
    }
    (tmp_path / "results.json").write_text(json.dumps(results))
    monkeypatch.setattr(reference, "FOLDER", tmp_path)
    head, line, *digits = make_reference.class_table("told").splitlines()
    assert head == "| asked for | read as it | precision | recall | density | coverage |"
    assert line.count("|") == head.count("|")
    assert digits[0] == "| 0 | 98.0% | 0.75 (0.89) | 0.50 (0.50) | 1.00 (1.00) | 0.75 (0.75) |"
    assert digits[9] == "| 9 | 98.0% | 0.84 (0.98) | 0.50 (0.50) | 1.00 (1.00) | 0.75 (0.75) |"
    assert len(digits) == 10


def shares(arm, per_class, *plain, **more):
    """Rows of augmentation.json, one for each seed; with jitter a hundredth more is read."""
    rows = enumerate(plain)
    return [{"arm": arm, "per_class": per_class, "seed": i, "plain": p, "jitter": p + 0.01} | more for i, p in rows]


@pytest.fixture
def augmented(tmp_path, monkeypatch):
    """The arms at 10 real digits a class and at 6,000, where "own" is the same as "all"."""
    rows = [*shares("real", 6000, 0.98, 0.97), *shares("real", 10, 0.5, 0.6)]
    rows += [*shares("own", 10, 0.55, 0.55, novelty=0.25, as_asked=1.0), *shares("all", 10, 0.8, 0.9)]
    rows += [*shares("all", 6000, 0.96, 0.96), *shares("synthetic", 0, 0.9, novelty=1.5, as_asked=0.98)]
    (tmp_path / "augmentation.json").write_text(json.dumps(rows))
    monkeypatch.setattr(reference, "FOLDER", tmp_path)


def test_errors_are_told_by_the_number_of_real_digits(augmented):
    assert augmentation.errors("plain", "real") == {10: pytest.approx([50, 40]), 6000: pytest.approx([2, 3])}
    assert augmentation.errors("jitter", "real")[6000] == pytest.approx([1, 2])
    assert list(augmentation.errors("plain", "all", "synthetic")) == [0, 10, 6000]
    assert augmentation.by_count("novelty", "own", "synthetic") == {0: [1.5], 10: [0.25, 0.25]}


def test_the_table_of_errors_has_a_row_for_each_number_of_real_digits(augmented):
    head, line, *rows = make_reference.augmentation_table().splitlines()
    assert head == (
        "| real digits a class | real digits | + a generator of these | + the generator of all 60,000 | real digits, jitter"
        " | + a generator of these, jitter | + the generator of all 60,000, jitter | novelty | as asked |"
    )
    assert line.count("|") == head.count("|")
    assert rows == [  # with two values the standard deviation is their distance over √2
        "| 10 | 45.00 ± 7.07 | 45.00 ± 0.00 | 15.00 ± 7.07 | 44.00 ± 7.07 | 44.00 ± 0.00 | 14.00 ± 7.07"
        " | 0.25 ± 0.00 | 1.00 ± 0.00 |",
        "| 6,000 | 2.50 ± 0.71 |  | 4.00 ± 0.00 | 1.50 ± 0.71 |  | 3.00 ± 0.00 |  |  |",
        "| none |  |  | 10.00 |  |  | 9.00 | 1.50 | 0.98 |",
    ]


# Real runs against the real bands


def swapped_labels(real_logits, fake_logits):
    return losses.cross_entropy_d(fake_logits, real_logits)


QUICK = RECIPES["mlp-quick"]
BROKEN = {
    "images in [0, 1]": {},
    "learning rates twenty times too high": {"g_lr": 20 * QUICK.g_lr, "d_lr": 20 * QUICK.d_lr},
    "real and fake labels swapped": {"loss": "swapped"},
}


def first_steps(recipe, steps, seed=0):
    """The records of a run with a seed that is not among those of the reference."""
    return list(training.train(recipe.game(seed), data.load().images, steps))


def test_a_good_run_of_another_seed_stays_inside():
    assert reference.remark(first_steps(QUICK, 800), "mlp-quick") == "This run stays inside the band of mlp-quick."


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_run_is_called_out(how, monkeypatch):
    monkeypatch.setitem(losses.LOSSES, "swapped", losses.Loss(swapped_labels, losses.non_saturating_g))
    if how == "images in [0, 1]":
        monkeypatch.setattr(data, "to_range", lambda images: images.unsqueeze(-3) / 255)
    records = first_steps(dataclasses.replace(QUICK, **BROKEN[how]), 400)
    assert re.match("This run leaves the band of mlp-quick about step [12]00:", reference.remark(records, "mlp-quick"))
