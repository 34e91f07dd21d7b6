"""Checks of the lesson on the latent space: slerp, the slant of a digit, a latent direction by least squares."""

import torch

from gan_lib import attributes, latent
from gan_lib.checks.check import call, check, same


@check
def slerp(answer):
    """`answer(a, b, t)` → the spherical interpolation of a [d] and b [d] at t."""
    a, b = torch.randn(2, 64, generator=torch.Generator().manual_seed(0)) * torch.tensor([[0.9], [1.1]])
    for t in (0.0, 0.2, 0.5, 0.9):
        got, straight, expected = call(answer, a, b, t), latent.lerp(a, b, t), latent.slerp(a, b, t)
        yield got.shape != a.shape, f"the point should have the shape {list(a.shape)}, not {list(got.shape)}."
        yield got.isnan().any(), "it is nan: the cosine of the angle is a·b / (|a| |b|), and at most 1."
        backwards = t != 0.5 and same(got, latent.slerp(b, a, t), 1e-3)
        yield backwards, "it goes from b to a: t = 0 should give a, and t = 1 should give b."
        yield t == 0.2 and same(got, straight, 1e-3), "that is lerp, a straight line through the inside of the sphere."
        scaled = t == 0.2 and torch.cosine_similarity(got, straight, 0) > 0.9999
        yield scaled, "that is lerp, scaled to the sphere; its speed isn't constant: weight a and b with sines."
        parallel = not same(got, expected, 1e-3) and torch.cosine_similarity(got, expected, 0) > 0.9999
        yield parallel, "the direction is right and the length is not: divide by sin ω."
        formula = "(sin((1 - t) ω) a + sin(t ω) b) / sin ω"
        yield not same(got, expected, 1e-3), f"at t = {t} the point is off: it should be {formula}."


@check
def slant_in_degrees(answer):
    """`answer(images)` → the slant [N] in degrees."""
    leans = torch.tensor([-30.0, 0.0, 10.0, 25.0])
    y, x = torch.arange(28.0).view(1, 28, 1) - 13.5, torch.arange(28.0) - 13.5
    across = (x + torch.deg2rad(leans).tan().view(-1, 1, 1) * y).abs()
    half = torch.tensor([2.5, 2.5, 2.5, 8.5]).view(-1, 1, 1)  # a fat bar: its longest axis is not its slant
    bars = ((half - across).clamp(0, 1) * (y.abs() < 10) * 2 - 1).unsqueeze(1)
    got, radians, (var_x, _, cov) = call(answer, bars), torch.deg2rad(leans), attributes.moments(bars)
    slopes, by_x = radians.tan().abs(), torch.rad2deg(torch.atan(cov / var_x)).abs()
    yield got.shape != leans.shape, f"it should be a number for each image, [{len(bars)}], not {list(got.shape)}."
    yield same(got, radians, 0.02), "that is in radians; the answer should be in degrees."
    yield same(got.abs(), slopes, 0.02), "that is the slope, the tangent of the angle: take its arctangent."
    yield same(got, -leans, 1.0), "the sign is wrong: right is positive, and y points down."
    yield same(got.abs(), by_x, 0.1), "you divide by the variance of x; x depends on y, so the slope is cov / var(y)."
    measured = [round(each, 1) for each in got.tolist()]
    yield not same(got, leans, 1.0), f"bars drawn with the slants {leans.tolist()} measure {measured}."


@check
def direction_by_least_squares(answer):
    """`answer(z, values)` → w / |w|, unit vector [d], of the linear fit values ≈ w · z + c."""
    rng = torch.Generator().manual_seed(0)
    z = torch.randn(200, 5, generator=rng) @ torch.randn(5, 5, generator=rng) + 0.5
    direction = torch.tensor([0.6, 0.0, -0.8, 0.0, 0.0])
    values = 3 * z @ direction + 20
    got = call(answer, z, values)
    yield got.numel() == 6, "it has 6 numbers for 5 coordinates: leave out c, the weight of the column of ones."
    yield got.shape != direction.shape, f"its shape should be [5], like one z, not {list(got.shape)}."
    yield same(got, 3 * direction, 0.01), "its length is 3: divide by the length, so that it becomes 1."
    yield same(got, -direction, 0.01), "it has the opposite sign: the values fall along it."
    origin = torch.cosine_similarity(got, torch.linalg.lstsq(z, values[:, None]).solution[:, 0], 0) > 0.9999
    yield origin, "the fit is forced through the origin: add a column of ones to z, for the constant c."
    found = [round(each, 2) for each in got.tolist()]
    yield not same(got, direction, 0.01), f"for values that grow along [0.6, 0, -0.8, 0, 0] it gives {found}."
