"""The machinery of the self-checks: three verdicts, and nothing that a learner writes makes a check raise."""

import pytest
import torch

from gan_lib.checks.check import Verdict, call, check, same
from tests.notebooks.wrong_answers import CHECKS

EVERY = pytest.mark.parametrize(
    "function", [check for found in CHECKS.values() for check in found.values()], ids=lambda check: check.__name__
)


@check
def doubles(answer):
    """The answer should be a function that doubles."""
    for x in (3, 4):
        got = call(answer, x)
        yield same(got, x / 2), "that is half of it."
        yield not same(got, 2 * x), f"{x} should become {2 * x}."


@pytest.mark.parametrize(
    ("answer", "verdict", "text"),
    [
        (..., ("not tried yet", ""), "Not tried yet: replace the `...`"),
        (lambda x: ..., ("not tried yet", ""), "Not tried yet: replace the `...`"),
        (lambda x: 2 * x, ("right", ""), "Right."),
        (lambda x: x + 1, ("not yet", "3 should become 6."), "Not yet, because 3 should become 6."),
        (lambda x: x / 2, ("not yet", "that is half of it."), "Not yet, because that"),  # the first of two reasons
        (lambda x: x + 3, ("not yet", "4 should become 8."), "Not yet, because 4"),
    ],
)
def test_an_answer_gets_a_verdict_with_the_first_reason(answer, verdict, text):
    assert doubles(answer) == verdict
    assert repr(doubles(answer)).startswith(text)


def test_nothing_is_tried_after_the_first_reason():
    tried = []
    assert doubles(lambda x: tried.append(x) or 0).reason == "3 should become 6."
    assert tried == [3]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (lambda x: x / 0, "it raised ZeroDivisionError: division by zero"),
        (None, "it raised TypeError: 'NoneType' object is not callable"),
        (lambda x: "six", "it raised "),
    ],
)
def test_what_an_answer_raises_becomes_the_reason(answer, reason):
    verdict = doubles(answer)
    assert verdict.status == "not yet"
    assert verdict.reason.startswith(reason)


def test_a_check_keeps_its_name_and_docstring():
    assert doubles.__name__ == "doubles"
    assert "a function that doubles" in doubles.__doc__


@pytest.mark.parametrize(
    ("got", "expected", "verdict"),
    [
        (1, 1, True),
        (1.0, 1 + 1e-6, True),
        (1.0, 1.001, False),
        (0.999, 1.0, False),  # from below too
        (torch.ones(3), torch.ones(3), True),
        (torch.ones(3), torch.ones(1, 3), False),  # equal when broadcast, but of another shape
        (torch.ones(3), 1.0, False),
        (torch.tensor([1, 2]), [1.0, 2.0], True),
        (float("nan"), 1.0, False),
        (float("inf"), 1.0, False),
    ],
)
def test_two_answers_are_the_same_in_shape_and_value(got, expected, verdict):
    assert same(got, expected) is verdict


def test_the_tolerance_can_be_chosen():
    assert (same(1.0, 1.05, tolerance=0.1), same(1.0, 1.05, tolerance=0.01)) == (True, False)


@EVERY
def test_no_check_of_any_lesson_raises_or_praises_a_stub(function):
    assert function(...) == Verdict("not tried yet")


@EVERY
@pytest.mark.parametrize("nonsense", [None, "seven", -1, object(), lambda *_: None, lambda: 1 / 0])
def test_no_check_of_any_lesson_raises_or_praises_nonsense(function, nonsense):
    verdict = function(nonsense)
    assert verdict.status == "not yet"
    assert verdict.reason
