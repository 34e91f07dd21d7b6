"""The bounds of outcomes.toml stand on five runs of each lesson: they hold them all, with a margin, and each can fail."""

import json
import math
from pathlib import Path

import pytest

from tools import lessons

ROOT = Path(__file__).parents[2]
BOUNDS = lessons.read_bounds(ROOT)
SEEN = json.loads((ROOT / "tests" / "notebooks" / "seeds.json").read_text())
EACH = pytest.mark.parametrize(("lesson", "key"), [(lesson, key) for lesson in BOUNDS for key in BOUNDS[lesson]])


def test_every_lesson_has_bounds_and_five_runs():
    names = [path.stem for path in lessons.find(ROOT, ["all"])]
    assert sorted(BOUNDS) == sorted(SEEN) == names
    assert {len(values) for found in SEEN.values() for values in found.values()} == {5}


@EACH
def test_a_bound_lies_outside_what_five_seeds_gave(lesson, key):
    """By half as much as the five lie apart, or at half of the least: another machine rounds otherwise."""
    seen, bound = SEEN[lesson][key], BOUNDS[lesson][key]
    margin = (max(seen) - min(seen)) / 2
    assert bound.get("min", -math.inf) <= max(min(seen) - margin, min(seen) / 2)
    assert bound.get("max", math.inf) >= max(seen) + margin
    assert all(value == bound.get("equals", value) for value in seen)


@EACH
def test_a_bound_can_fail(lesson, key):
    """An outcome just beyond it is called out, by one line."""
    bound = BOUNDS[lesson][key]
    for name, beyond in (("min", -1e-6), ("max", 1e-6)):
        if name in bound:
            assert len(lessons.broken_bounds({key: bound[name] + beyond}, {key: bound})) == 1
    if "equals" in bound:
        assert len(lessons.broken_bounds({key: bound["equals"] - 1}, {key: bound})) == 1
