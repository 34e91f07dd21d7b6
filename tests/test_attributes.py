"""Attributes of drawn bars have the values of their formulas, image by image."""

import math

import numpy as np
import pytest
import torch

from gan_lib import attributes, evaluation


def bar(width, height, lean=0.0):
    """A white bar in the middle of a black image [1, 1, 28, 28], sheared to lean right by `lean` degrees."""
    x, y = torch.arange(28.0).view(1, 28), torch.arange(28.0).view(28, 1)
    middle = 13.5 + math.tan(math.radians(lean)) * (13.5 - y)  # y points down: the top moves to the right
    inside = (width / 2 + 0.5 - (x - middle).abs()).clamp(0, 1)  # edges cover their pixels in part
    return (inside * ((y - 13.5).abs() < height / 2)).view(1, 1, 28, 28) * 2 - 1


def covariance(image):
    """The ink-weighted covariance of x and y by NumPy: [2, 2]."""
    y, x = (grid.ravel() for grid in np.mgrid[:28, :28])
    return np.cov(np.stack([x, y]), aweights=((image[0, 0] + 1) / 2).double().numpy().ravel(), ddof=0)


@pytest.mark.parametrize("lean", [-30, -10, 0, 5, 20, 40])
def test_slant_is_the_lean_in_degrees(lean):
    assert attributes.slant(bar(3, 18, lean)).item() == pytest.approx(lean, abs=0.3)


@pytest.mark.parametrize("thick", [2, 3, 4])
def test_thickness_is_that_of_the_stroke_in_pixels(thick):
    """A bar L long and t thick has outline 2 (L + t), its ends included: t L / (L + t)."""
    assert attributes.thickness(bar(thick, 24)).item() == pytest.approx(thick * 24 / (24 + thick), rel=0.03)


@pytest.mark.parametrize(("width", "height"), [(4, 10), (10, 16), (20, 6), (2, 20), (6, 20)])
def test_width_height_and_ink_of_a_box_are_those_of_the_docstrings(width, height):
    expected = {"width": math.sqrt(width**2 - 1), "height": math.sqrt(height**2 - 1), "ink": width * height}
    for name, value in expected.items():
        assert attributes.ATTRIBUTES[name](bar(width, height)).item() == pytest.approx(value, abs=1e-2)


def test_width_does_not_count_the_slant():
    assert attributes.width(bar(6, 16, 25)).item() == pytest.approx(attributes.width(bar(6, 16)).item(), abs=0.2)
    assert attributes.moments(bar(6, 16, 25))[0] > 1.5 * attributes.moments(bar(6, 16))[0]


@pytest.mark.parametrize("lean", [0, 30])
def test_roundness_is_the_short_axis_over_the_long(lean):
    low, high = np.linalg.eigvalsh(covariance(bar(5, 20, lean)))
    assert attributes.roundness(bar(5, 20, lean)).item() == pytest.approx(math.sqrt(low / high), abs=1e-4)
    line = torch.full((1, 1, 28, 28), -1.0)
    line[..., range(4, 20), range(2, 18)] = 1
    assert attributes.roundness(line).item() == pytest.approx(0, abs=1e-3)
    assert attributes.roundness(bar(8, 8)).item() == pytest.approx(1, abs=1e-3)


def test_attributes_are_measured_image_by_image_even_where_there_is_no_ink():
    images = torch.cat([bar(3, 18), torch.full((1, 1, 28, 28), -1.0), bar(5, 18, -20)])
    confidence = attributes.confidence(images)
    assert confidence.equal(evaluation.features_and_logits(images)[1].softmax(1).max(1).values)
    assert confidence[0] > 0.9  # a one
    assert list(attributes.ATTRIBUTES) == ["slant", "thickness", "width", "height", "ink", "roundness", "confidence"]
    for measure in attributes.ATTRIBUTES.values():
        values = measure(images)
        assert values.shape == (3,) and values.isfinite().all()
        assert torch.allclose(values[2:], measure(images[2:]), atol=1e-4)
