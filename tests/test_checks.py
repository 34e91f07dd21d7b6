"""The machinery of the self-checks: three verdicts, and nothing that a learner writes makes a check raise."""

import inspect

import pytest
import torch

from gan_lib import checks
from gan_lib.checks import Verdict, call, check, differ


@check
def doubles(answer):
    """The answer should be a function that doubles."""
    if differ(call(answer, 3), 6):
        return "3 should become 6."


@pytest.mark.parametrize("stub", [..., lambda x: ...])
def test_a_stub_is_not_tried_yet(stub):
    assert doubles(stub) == Verdict("not tried yet")
    assert repr(doubles(stub)).startswith("Not tried yet: replace the `...`")


def test_a_right_answer_is_right():
    assert doubles(lambda x: 2 * x) == Verdict("right", "")
    assert repr(doubles(lambda x: 2 * x)) == "Right."


def test_a_wrong_answer_gets_its_reason():
    assert doubles(lambda x: x + 1) == Verdict("not yet", "3 should become 6.")
    assert repr(doubles(lambda x: x + 1)) == "Not yet, because 3 should become 6."


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (lambda: 6, "it raised TypeError: "),
        (lambda x: x / 0, "it raised ZeroDivisionError: division by zero"),
        (lambda x: [][x], "it raised IndexError: list index out of range"),
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
        (1, 1, False),
        (1.0, 1 + 1e-6, False),
        (1.0, 1.001, True),
        (0.999, 1.0, True),  # from below too
        (torch.ones(3), torch.ones(3), False),
        (torch.ones(3), torch.ones(1, 3), True),  # equal when broadcast, and yet another shape
        (torch.ones(3), 1.0, True),
        (torch.tensor([1, 2]), [1.0, 2.0], False),
        (float("nan"), 1.0, True),
        (float("inf"), 1.0, True),
    ],
)
def test_two_answers_differ_in_shape_or_in_value(got, expected, verdict):
    assert differ(got, expected) is verdict


def test_the_tolerance_is_what_one_says():
    assert not differ(1.0, 1.05, tolerance=0.1)
    assert differ(1.0, 1.05, tolerance=0.01)


def every_check():
    return [f for _, f in inspect.getmembers(checks, inspect.isfunction) if hasattr(f, "__wrapped__")]


def test_no_check_of_any_lesson_raises_or_praises_a_stub():
    for function in every_check():
        assert function(...) == Verdict("not tried yet"), function.__name__


@pytest.mark.parametrize("nonsense", [None, "seven", -1, object(), lambda *_: None, lambda: 1 / 0])
def test_no_check_of_any_lesson_raises_or_praises_nonsense(nonsense):
    for function in every_check():
        verdict = function(nonsense)
        assert verdict.status == "not yet", function.__name__
        assert verdict.reason, function.__name__
