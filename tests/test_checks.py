"""The machinery of the self-checks: three verdicts, and nothing that a learner writes makes a check raise."""

import pytest
import torch

from gan_lib import training
from gan_lib.checks import watch_it_learn
from gan_lib.checks.check import call, check, same
from tests.notebooks.wrong_answers import CHECKS


@check
def doubles(answer):
    """The answer should be a function that doubles."""
    for x in (3, 4):
        got = call(answer, x)
        yield same(got, x / 2), "that is half of it."
        yield not same(got, 2 * x), f"{x} should become {2 * x}."


@pytest.mark.parametrize(("answer", "status", "words"), [
    (..., "not tried yet", "Not tried yet: replace the `...`"),
    (lambda x: ..., "not tried yet", "Not tried yet: replace the `...`"),
    (lambda x: 2 * x, "right", "Right."),
    (lambda x: x / 2, "not yet", "Not yet, because that is half of it."),
    (lambda x: x + 3, "not yet", "Not yet, because 4 should become 8."),
    (lambda x: {3: 0}[x], "not yet", "Not yet, because 3 should become 6."),  # 4 is not tried
    (lambda: 6, "not yet", "Not yet, because it raised TypeError: "),
    (lambda x: x / 0, "not yet", "Not yet, because it raised ZeroDivisionError: division by zero"),
    (lambda x: "six", "not yet", "Not yet, because it raised "),
])  # fmt: skip
def test_the_verdict_has_the_first_reason_and_is_true_only_if_the_answer_is_right(answer, status, words):
    """So a lesson goes on with `answer if checks.name(answer) else …`."""
    verdict = doubles(answer)
    assert verdict.status == status and bool(verdict) == (status == "right")
    assert repr(verdict) == words if words.endswith(".") else repr(verdict).startswith(words)
    assert bool(verdict.reason) == (status == "not yet")


def test_a_check_draws_from_seed_0_and_leaves_the_random_state_as_it_was():
    drawn = []
    for seed in (5, 6):
        state = torch.manual_seed(seed).get_state()
        assert doubles(lambda x: drawn.append(torch.rand(1).item()) or 2 * x)
        assert torch.get_rng_state().equal(state)
    assert drawn[:2] == drawn[2:] == torch.rand(2, generator=torch.Generator().manual_seed(0)).tolist()


@pytest.mark.parametrize(("arguments", "verdict"), [
    ((1.0, 1 + 1e-6), True),
    ((1.0, 1.001), False),
    ((0.999, 1.0), False),  # from below too
    ((torch.ones(3), torch.ones(3)), True),
    ((torch.ones(3), torch.ones(1, 3)), False),  # equal when broadcast, but of another shape
    ((torch.tensor([1, 2]), [1.0, 2.0]), True),
    ((float("nan"), 1.0), False),
    ((1.0, 1.05, 0.1), True),  # the third is the tolerance
    ((1.0, 1.05, 0.01), False),
])  # fmt: skip
def test_two_answers_are_the_same_in_shape_and_value(arguments, verdict):
    assert same(*arguments) is verdict


@pytest.mark.parametrize("function", [check for found in CHECKS.values() for check in found.values()])
@pytest.mark.parametrize("nonsense", [None, "seven", -1, object(), lambda *_, **__: None, lambda *_, **__: 1 / 0])
def test_no_check_of_any_lesson_raises_or_praises_nonsense(function, nonsense):
    verdict = function(nonsense)
    assert verdict.status == "not yet"
    assert verdict.reason


def test_the_share_of_the_start_is_that_of_the_library():
    """The EMA of a weight that is 1 at the start and 0 from then on."""
    game = training.Game(torch.nn.Linear(1, 1), torch.nn.Linear(1, 1), latent_dim=1, ema=0.15)
    game.average.weight.fill_(1)
    torch.nn.init.zeros_(game.generator.weight)
    for game.step in range(3):
        training.update_average(game)
    assert watch_it_learn.reference_share(3, 0.15, warm_up=True) == pytest.approx(game.average.weight.item())
