"""Numbers in one handwriting: z, labels, repeated digits, and digits side by side."""

import numpy as np
import pytest
import torch

from gan_lib import UserError
from gan_lib.studies import handwriting


def test_all_digits_of_a_number_have_the_same_z(conditional):
    z = conditional.noise(600)  # more than fit into one batch
    written = handwriting.write(conditional, "404", z)
    assert written.shape == (600, 3, 1, 28, 28)
    for j, digit in enumerate((4, 0, 4)):
        torch.testing.assert_close(written[:, j], conditional.of(digit)(z))


def test_with_variation_a_repeated_digit_looks_different(conditional):
    z = conditional.noise(4)
    first, zero, second, _ = handwriting.write(conditional, "2026", z, variation=0.25).unbind(1)
    torch.testing.assert_close(first, conditional.of(2)(z))
    torch.testing.assert_close(zero, conditional.of(0)(z))
    moved = z + 0.25 * z.flip(1)
    moved *= (z.norm(dim=1) / moved.norm(dim=1)).unsqueeze(1)
    torch.testing.assert_close(second, conditional.of(2)(moved))
    assert (first - second).abs().mean() > 1e-3
    alone = handwriting.write(conditional, "2026", z[2:3], 0.25)[0, 2]
    torch.testing.assert_close(alone, second[2])  # as among others


@pytest.mark.parametrize("text", ["", "2o26", "-1", "²", "٣", "1 2"])
def test_anything_but_digits_is_refused(text, conditional):
    with pytest.raises(UserError, match="must be digits from 0 to 9, not "):
        handwriting.write(conditional, text, conditional.noise(1))


def test_a_line_sets_the_ink_of_its_digits_a_gap_apart_and_lines_are_padded_to_the_widest():
    images = torch.full((3, 1, 28, 28), -1.0)
    images[0, 0, 5:20, 3:9] = 1.0  # 6 columns of ink, the third digit 2, the second none
    images[2, 0, 5:20, 20:22] = 1.0
    line = handwriting.line(images, gap=4)
    assert line.shape == (28, 4 + 6 + 4 + 28 + 4 + 2 + 4)
    assert (line.max(0) > 0).nonzero()[0].tolist() == [*range(4, 10), *range(46, 48)]
    short, long = np.full((28, 5), 9, np.uint8), np.full((28, 8), 7, np.uint8)
    picture = handwriting.stack([short, long])
    assert picture.shape == (56, 8)
    assert (picture[:28, :5] == 9).all() and (picture[:28, 5:] == 0).all() and (picture[28:] == 7).all()
