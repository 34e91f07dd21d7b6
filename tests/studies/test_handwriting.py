"""Numbers in one handwriting: which z, which label, and how the digits stand beside each other."""

import numpy as np
import pytest
import torch

from gan_lib.studies import handwriting


def test_all_digits_of_a_number_have_the_same_z(told):
    z = told.noise(3)
    written = handwriting.write(told, "404", z)
    assert written.shape == (3, 3, 1, 28, 28)
    for i in range(3):
        for j, digit in enumerate((4, 0, 4)):
            assert torch.allclose(written[i, j], told.of(digit)(z[i : i + 1])[0], atol=1e-6)
    assert written[0, 0].equal(written[0, 2])


@pytest.mark.parametrize("text", ["", "2o26", "-1", "²", "٣", "1 2"])
def test_what_is_no_number_is_refused(text, told):
    with pytest.raises(ValueError, match="must be digits from 0 to 9, not "):
        handwriting.write(told, text, told.noise(1))


def test_a_line_sets_the_ink_of_its_digits_a_gap_apart():
    images = torch.full((3, 1, 28, 28), -1.0)
    images[0, 0, 5:20, 3:9] = 1.0  # 6 columns of ink, the third digit 2, the second none
    images[2, 0, 5:20, 20:22] = 1.0
    line = handwriting.line(images, gap=4)
    inked = (line.max(0) > 0).nonzero()[0].tolist()
    assert line.shape == (28, 4 + 6 + 4 + 28 + 4 + 2 + 4)
    assert inked == [*range(4, 10), *range(46, 48)]


def test_lines_are_stacked_as_wide_as_the_widest():
    short, long = np.full((28, 5), 9, np.uint8), np.full((28, 8), 7, np.uint8)
    picture = handwriting.stack([short, long])
    assert picture.shape == (56, 8)
    assert (picture[:28, :5] == 9).all() and (picture[:28, 5:] == 0).all() and (picture[28:] == 7).all()
