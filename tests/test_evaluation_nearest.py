"""Nearest neighbours by pixels, against distances taken one by one."""

import pytest
import torch

from gan_lib import data, evaluation


@pytest.fixture
def reference():
    return torch.randint(0, 256, (23, 28, 28), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


@pytest.fixture
def images():
    return torch.rand(5, 1, 28, 28, generator=torch.Generator().manual_seed(1)) * 2 - 1


@pytest.mark.parametrize("chunk", [1, 2, 7, 23, 10_000])
def test_the_nearest_are_those_of_distances_taken_one_by_one(images, reference, chunk):
    """Whatever the size of a chunk, smaller than k too."""
    distances, indices = evaluation.nearest(images, reference, k=3, chunk=chunk)
    assert distances.shape == indices.shape == (5, 3)
    for image, some, at in zip(images, distances, indices, strict=True):
        each = [(image[0] - (other.double() / 127.5 - 1)).square().sum().sqrt() for other in reference]
        expected = sorted(range(23), key=lambda i: each[i])[:3]
        assert at.tolist() == expected
        assert torch.allclose(some.double(), torch.stack([each[i] for i in expected]), atol=1e-4)


def test_an_image_of_the_reference_is_its_own_nearest_at_distance_zero(reference):
    distances, indices = evaluation.nearest(data.to_range(reference), reference, chunk=10)
    assert indices.squeeze(1).tolist() == list(range(23))
    assert distances.eq(0).all()


def test_by_default_one_is_found_for_each(images, reference):
    distances, indices = evaluation.nearest(images, reference)
    assert distances.shape == indices.shape == (5, 1)
    assert indices.dtype == torch.int64
