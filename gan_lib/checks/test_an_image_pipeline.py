"""Checks of the lesson on a robustness test: the degraded strip, and the false alarms of a statistical test."""

import numpy as np
from scipy import ndimage

from gan_lib.checks.check import call, check, same


def reference_degrade(strip, blur, noise, rng):
    """The right answer to `degrade`. The lesson uses it until the learner's answer is right."""
    return np.clip(ndimage.gaussian_filter(strip, blur) + noise * rng.standard_normal(strip.shape), 0, 1)


@check
def degrade(answer):
    """`answer(strip, blur, noise, rng)` → the strip [28, width], blurred, then with noise, then clipped to [0, 1]."""
    point, grey = np.pad([[1.0]], ((14, 13), (20, 19))), np.full((28, 400), 0.5)
    run = lambda strip, *values, seed=0: np.asarray(call(answer, strip.copy(), *values, np.random.default_rng(seed)))
    plain, noisy, strong = run(point, 2, 0), run(grey, 2, 0.1), run(point, 1, 2)
    yield plain.shape != (28, 40), f"a strip of shape [28, 40] keeps its shape; yours has {list(plain.shape)}."
    yield abs(plain.max() - 0.04) > 2e-3, f"blur 2 leaves 0.040 of a white pixel; yours leaves {plain.max():.3f}."
    neighbours = np.corrcoef(noisy[:, 1:].ravel(), noisy[:, :-1].ravel())[0, 1]
    yield neighbours > 0.3, "your noise is blurred too: add it after the blur."
    mean, std = noisy.mean(), noisy.std()
    yield abs(mean - 0.5) + abs(std - 0.1) > 0.01, f"grey 0.5 with noise 0.1 has mean {mean:.2f} and std {std:.2f}."
    yield strong.min() < 0 or strong.max() > 1, "some pixels lie outside of [0, 1]."


def reference_false_alarms(rate, n, m, alarm, rng):
    """The right answer to `false_alarms`."""
    return np.mean([alarm(rng.binomial(n, rate), n, rng.binomial(m, rate), m) for _ in range(1000)])


@check
def false_alarms(answer):
    """`answer(rate, n, m, alarm, rng)` → the share of 1,000 simulated tests in which `alarm(a, n, b, m)` is True."""
    tests = []
    got = call(answer, 0.2, 100, 400, lambda *test: tests.append(test) or test[0] > 21, np.random.default_rng(0))
    yield len(tests) != 1000, f"it calls `alarm` {len(tests)} times, not 1,000."
    a, n, b, m = np.array(tests).T
    yield {*n, *m} != {100, 400} or n[0] > m[0], "`alarm` takes a, n, b and m, in this order."
    yield a.std() * b.std() == 0, "a or b is the same in every test: draw both at random."
    yield abs(a.mean() - 20) + abs(b.mean() - 80) > 2, "on average a should be 20 and b 80: `rate` times the size."
    yield abs(np.corrcoef(a, b)[0, 1]) > 0.2, "a and b depend on each other: draw each on its own."
    yield not same(got, (a > 21).mean()), f"{(a > 21).sum()} of your 1,000 tests raise an alarm, and you return {got}."
