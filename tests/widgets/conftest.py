"""What the tests of the widgets share."""

import pytest


@pytest.fixture
def sampler(new_sampler):
    """A sampler of z with 9 numbers."""
    return new_sampler(9)
