"""The bounds of outcomes.toml hold for five runs of each lesson, with a margin."""

import json
import math

import pytest

from tests import ROOT
from tools import lessons

BOUNDS = lessons.read_bounds(ROOT)
SEEN = json.loads((ROOT / "tests" / "notebooks" / "seeds.json").read_text())


def test_every_lesson_has_bounds_and_five_runs():
    assert sorted(BOUNDS) == sorted(SEEN) == [path.stem for path in lessons.find(ROOT, ["all"])]
    assert {len(values) for found in SEEN.values() for values in found.values()} == {5}


@pytest.mark.parametrize(("lesson", "key"), [(lesson, key) for lesson in BOUNDS for key in BOUNDS[lesson]])
def test_a_bound_holds_with_a_margin_for_five_seeds(lesson, key):
    """By half the range of the five outcomes, or at half of the smallest: another machine rounds differently."""
    seen, bound = SEEN[lesson][key], BOUNDS[lesson][key]
    assert [line for value in seen for line in lessons.broken_bounds({key: value}, {key: bound})] == []
    margin = (max(seen) - min(seen)) / 2
    assert bound.get("min", -math.inf) <= max(min(seen) - margin, min(seen) / 2)
    assert bound.get("max", math.inf) >= max(seen) + margin
