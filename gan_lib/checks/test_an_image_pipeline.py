"""Checks of the lesson on a robustness test: deskewing."""

import math

import torch

from gan_lib import attributes
from gan_lib.checks.check import call, check, same


@check
def deskewing_shifts(answer):
    """`answer(image)` → the shift of each row of an image [1, 28, 28] to the right that deskews it, in pixels [28]."""
    y, x = torch.meshgrid(torch.arange(28.0), torch.arange(28.0), indexing="ij")
    for lean, top, left in ((0.5, 3, 16), (-0.3, 6, 9)):  # strokes that end in a foot
        stroke = ((x + lean * (y - top) - left).abs() < 1.5) & (y >= top) & (y < 22)
        image = ((stroke | ((y >= 20) & (y < 22) & (x >= 5) & (x < 15))).float() * 2 - 1).unsqueeze(0)
        var_x, var_y, cov = (each.item() for each in attributes.moments(image.unsqueeze(0)))
        ink, rows = (image[0] + 1).sum(1), torch.arange(28.0)
        slope, from_centre = cov / var_y, rows - (ink * rows).sum() / ink.sum()
        got, expected = torch.as_tensor(call(answer, image.clone())).float(), -slope * from_centre
        yield got.shape != (28,), f"there are 28 rows to shift, and its shape is {list(got.shape)}."
        if same(got, expected, 1e-2):
            continue
        yield same(got, -expected, 1e-3), "with this sign the digit leans twice as much."
        yield same(got, -slope * rows, 1e-3), "the whole digit moves: count y from the centre of the ink."
        yield same(got, -slope * (rows - 13.5), 1e-3), "13.5 is the centre of the image; count y from that of the ink."
        by_x, angle = -cov / var_x * from_centre, math.atan(slope)
        yield same(got, by_x, 1e-3), "you divide by the variance of x; divide by that of y."
        yield same(got, -angle * from_centre, 1e-3), "an angle is not a slope: x grows by cov / var(y) for each row."
        yield True, f"it shifts the top row by {got[0]:.2f} pixels; it should be {expected[0]:.2f}."
