"""Checks of the lesson on the latent space: the slant of a digit, a direction by least squares, Gram–Schmidt."""

import torch

from gan_lib import latent
from gan_lib.checks.check import call, check, same


@check
def slant_in_degrees(answer):
    """`answer(images)` → the slant [N] in degrees."""
    leans = torch.tensor([-30.0, 0.0, 10.0, 25.0])
    y, x = torch.arange(28.0).view(1, 28, 1) - 13.5, torch.arange(28.0) - 13.5
    across = (x + torch.deg2rad(leans).tan().view(-1, 1, 1) * y).abs()
    half = torch.tensor([2.5, 2.5, 2.5, 8.5]).view(-1, 1, 1)  # a fat bar: its longest axis is not its slant
    bars = ((half - across).clamp(0, 1) * (y.abs() < 10) * 2 - 1).unsqueeze(1)
    got, radians = call(answer, bars), torch.deg2rad(leans)
    yield got.shape != leans.shape, f"it should be a number for each image, [{len(bars)}], not {list(got.shape)}."
    yield same(got, radians, 0.02), "that is in radians; the answer should be in degrees."
    slope = same(got.abs(), radians.tan().abs(), 0.02)
    yield slope, "that is the slope, the tangent of the angle: take its arctangent."
    yield same(got, -leans, 1.0), "the sign is wrong: right is positive, and y points down."
    yield not same(got, leans, 1.0), f"bars drawn with the slants {leans.tolist()} measure {got.numpy().round(1)}."


def reference_direction(z, values):
    """The unit vector [d] along which the linear fit of values [N] on z [N, d] grows fastest."""
    return torch.nn.functional.normalize(latent.fit(z, values[:, None], ["values"])[0].vector, dim=0)


@check
def direction_by_least_squares(answer):
    """`answer(z, values)` → w / |w|, unit vector [d], of the linear fit values ≈ w · z + c."""
    z, direction = torch.randn(200, 5) @ torch.randn(5, 5) + 0.5, torch.tensor([0.6, 0.0, -0.8, 0.0, 0.0])
    values = 3 * z @ direction + 20
    got, no_constant = call(answer, z, values), torch.linalg.lstsq(z, values[:, None]).solution[:, 0]
    yield got.shape != direction.shape, f"its shape should be [5], as that of w without c, not {list(got.shape)}."
    yield same(got, 3 * direction, 0.01), "its length is 3: divide by the length, so that it becomes 1."
    origin = torch.cosine_similarity(got, no_constant, 0) > 0.9999
    yield origin, "the fit is forced through the origin: add a column of ones to z, for the constant c."
    yield not same(got, direction, 0.01), f"it gives {got.numpy().round(2)} for values along {direction.numpy()}."


def reference_orthogonalise(v, others):
    """v [d] without its components along `others`, vectors [d] that are orthogonal to each other (Gram–Schmidt)."""
    return v - sum((v @ u) / (u @ u) * u for u in others)


@check
def orthogonalise(answer):
    """`answer(v, others)` → as `reference_orthogonalise`."""
    v, a, b = torch.tensor([[1.0, 2, 3, 4], [2, 2, 0, 0], [1, -1, 1, 0]])
    right, got = reference_orthogonalise(v, [a, b]), call(answer, v.clone(), [a, b])
    yield got.shape != v.shape, f"its shape should be [4], like v, not {list(got.shape)}."
    yield same(got, v - right), "that is the part along the others: subtract it from v."
    yield same(got, right * got.norm() / right.norm()) != same(got, right), "the length is wrong: only subtract from v."
    yield not same(got, right), f"its dot products with the others are {got @ a:.2f} and {got @ b:.2f}, not 0."
