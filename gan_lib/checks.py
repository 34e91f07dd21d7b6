"""The exercises' self-checks. Each returns a `Verdict`, which says in one line how the answer stands, and never raises."""

import functools
import math
from typing import NamedTuple

import torch


class Verdict(NamedTuple):
    """`status` is "right", "not yet" (then `reason` says why) or "not tried yet"."""

    status: str
    reason: str = ""

    def __repr__(self):
        return {
            "right": "Right.",
            "not tried yet": "Not tried yet: replace the `...` and run the cell again.",
            "not yet": f"Not yet, because {self.reason}",
        }[self.status]


def check(test):
    """Make a check of `test(answer)`, which returns the reason why the answer is not right yet, or None.

    An answer is not tried yet when it is `...`, or a function that returns `...`. What it raises becomes the reason.
    """

    @functools.wraps(test)
    def checked(answer):
        if answer is ...:
            return Verdict("not tried yet")
        try:
            reason = test(answer)
        except NotTried:
            return Verdict("not tried yet")
        except Exception as error:  # a learner's code may raise anything
            return Verdict("not yet", f"it raised {type(error).__name__}: {error}")
        return Verdict("not yet", reason) if reason else Verdict("right")

    return checked


class NotTried(Exception):
    """The stub is as it was."""


def call(function, *arguments):
    """The answer's result for these arguments; raises `NotTried` where that is `...`."""
    result = function(*arguments)
    if result is ...:
        raise NotTried
    return result


def differ(got, expected, tolerance=1e-5):
    """Whether two numbers or tensors differ, in shape or by more than `tolerance`."""
    got, expected = torch.as_tensor(got).double(), torch.as_tensor(expected).double()
    return got.shape != expected.shape or not torch.allclose(got, expected, rtol=0, atol=tolerance)
