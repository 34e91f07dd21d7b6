"""What every self-check is made of: verdicts, the decorator `check`, and comparisons of answers."""

import functools
from typing import NamedTuple

import torch


class Verdict(NamedTuple):
    """`status` is "right", "not yet" (then `reason` says why) or "not tried yet". True only for "right"."""

    status: str
    reason: str = ""

    def __bool__(self):
        return self.status == "right"

    def __repr__(self):
        return {
            "right": "Right.",
            "not tried yet": "Not tried yet: replace the `...` above, run that cell, and then this one again.",
            "not yet": f"Not yet, because {self.reason}",
        }[self.status]


class NotTried(Exception):
    """The stub is unchanged."""


def check(test):
    """Turn `test` into a check: a function of the learner's answer that returns a `Verdict` and never raises.

    `test(answer)` yields pairs (is this wrong?, reason), and the first pair that is wrong gives the reason of the verdict.
    An exception gives the reason too. An answer is not tried yet when it is `...`, or a function that returns `...`. `test` and
    answer draw from seed 0 of PyTorch, whose random state is afterwards as it was.
    """

    @functools.wraps(test)
    def checked(answer):
        try:
            if answer is ...:
                raise NotTried
            with torch.random.fork_rng(devices=[]):
                torch.default_generator.manual_seed(0)
                reason = next((reason for wrong, reason in test(answer) if wrong), None)
        except NotTried:
            return Verdict("not tried yet")
        except Exception as error:  # a learner's code may raise anything
            return Verdict("not yet", f"it raised {type(error).__name__}: {error}")
        return Verdict("not yet", reason) if reason else Verdict("right")

    return checked


def call(function, *arguments):
    """The result of the learner's function. Raises `NotTried` if the result is `...`."""
    if (result := function(*arguments)) is ...:
        raise NotTried
    if result is None:
        raise ValueError("your function returned None; is there a return?")
    return result


def same(got, expected, tolerance=1e-5):
    """Whether two numbers or tensors are equal, in shape and up to `tolerance`."""
    got, expected = torch.as_tensor(got).cpu().double(), torch.as_tensor(expected).cpu().double()
    return got.shape == expected.shape and torch.allclose(got, expected, rtol=0, atol=tolerance)
