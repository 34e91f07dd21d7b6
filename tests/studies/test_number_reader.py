"""The pipeline on pictures drawn by hand, and a bench whose tallies can be worked out beforehand."""

import math

import numpy as np
import pytest
import torch
from skimage import measure

from gan_lib import attributes, data
from gan_lib.studies import number_reader
from gan_lib.studies.number_reader import Condition, Tally


def bar(left=12, right=16, top=4, bottom=24, lean=0.0):
    """A digit [1, 28, 28] in [-1, 1]: an upright bar, or one whose rows move right by `lean` pixels a row upwards."""
    y, x = torch.meshgrid(torch.arange(28.0), torch.arange(28.0), indexing="ij")
    x = x + lean * (y - 13.5)
    return (((x >= left) & (x < right) & (y >= top) & (y < bottom)).float() * 2 - 1).unsqueeze(0)


@pytest.fixture(scope="module")
def real():
    digits = data.load(train=False)
    return number_reader.stock(data.to_range(digits.images[:600]), digits.labels[:600])


# What stands on the paper


@pytest.mark.parametrize("gap", [5, 1, 0, -2])
def test_a_strip_has_the_gap_that_was_asked_for(gap):
    strip = number_reader.write(torch.stack([bar(), bar(3, 9), bar()]), gap)
    ink = strip.any(0)
    assert strip.shape == (28, 4 + 4 + gap + 6 + gap + 4 + 4)
    assert ink.sum() == min(14, 14 + 2 * gap)
    if gap > 0:
        assert np.flatnonzero(np.diff(ink.astype(int)) == 1).tolist() == [3, 3 + 4 + gap, 3 + 4 + gap + 6 + gap]


def test_where_digits_overlap_the_brighter_wins():
    grey = bar().clamp(max=0.5)
    assert number_reader.write(torch.stack([bar(), grey]), -2)[10, 4:10].tolist() == [1, 1, 1, 1, 0.75, 0.75]


def test_noise_has_the_given_deviation_and_stays_within_what_a_file_holds():
    half = torch.zeros(1, 1, 28, 28)  # grey all over
    spoilt = number_reader.write(half, 4, 0.1, np.random.default_rng(0))[:, 4:-4]
    assert math.isclose(spoilt.std(), 0.1, rel_tol=0.1)
    loud = number_reader.write(half, 4, 5.0, np.random.default_rng(0))
    assert (loud.min(), loud.max()) == (0, 1)
    assert (number_reader.write(half, 4, 0.1, np.random.default_rng(0))[:, 4:-4] == spoilt).all()


def test_an_empty_digit_is_white_paper():
    assert number_reader.write(-torch.ones(2, 1, 28, 28)).shape == (28, 4 + 28 + 4 + 28 + 4)


# The pipeline


def test_pieces_come_from_left_to_right_at_their_height_and_specks_do_not():
    strip = number_reader.write(torch.stack([bar(top=10), bar(3, 9), bar(bottom=8)]))
    strip[0, 0:3] = 1  # three pixels of dirt
    pieces = number_reader.segment(strip)
    assert [piece.shape for piece in pieces] == [(28, 4), (28, 6), (28, 4)]
    assert [np.flatnonzero(piece.any(1))[[0, -1]].tolist() for piece in pieces] == [[10, 23], [4, 23], [4, 7]]


def test_a_piece_has_only_its_own_ink():
    """Two slanted bars, whose boxes overlap and whose ink does not."""
    pieces = number_reader.segment(number_reader.write(torch.stack([bar(lean=0.5), bar(lean=0.5)]), -3))
    assert len(pieces) == 2
    assert [piece.sum() for piece in pieces] == [(bar(lean=0.5) > 0).sum()] * 2


def test_touching_digits_are_cut_where_they_touch_if_asked():
    strip = number_reader.write(torch.stack([bar(5, 20), bar(5, 20)]), 2)
    strip[12:14, 19:21] = 1  # a bridge
    assert [piece.shape[1] for piece in number_reader.segment(strip)] == [32]
    assert [piece.shape[1] for piece in number_reader.segment(strip, split=True)] == [15, 17]
    assert [
        piece.shape[1] for piece in number_reader.segment(number_reader.write(bar(4, 26).unsqueeze(0)), split=True)
    ] == [22]


@pytest.mark.parametrize("lean", [-0.6, 0.0, 0.6])
def test_a_piece_is_brought_upright_and_to_the_middle(lean):
    (piece,) = number_reader.segment(number_reader.write(bar(top=2, bottom=20, lean=lean).unsqueeze(0)))
    upright = torch.from_numpy(number_reader.deskew(piece)).float().view(1, 1, 28, 28) * 2 - 1
    before = attributes.slant(bar(top=2, bottom=20, lean=lean).unsqueeze(0)).item()
    assert abs(before - math.degrees(math.atan(lean))) < 2
    assert abs(attributes.slant(upright).item()) < 2
    y, x = np.nonzero(upright[0, 0].numpy() > 0)
    assert abs(y.mean() - 13.5) < 0.6
    assert abs(x.mean() - 13.5) < 0.6


def test_a_level_dash_has_no_slant_and_blank_paper_no_pieces():
    assert number_reader.deskew(np.ones((1, 12), bool)).sum() == pytest.approx(12)
    assert number_reader.segment(np.zeros((28, 40))) == []


def test_thin_and_thick_strokes_are_drawn_with_one_pen():
    thin, thick = (number_reader.thin(bar(13 - k, 14 + k)[0].numpy() > 0) for k in (0, 3))
    assert thick[14].sum() == pytest.approx(thin[14].sum(), rel=0.1)
    assert thin.max() <= 1
    ring = np.hypot(*(np.indices((28, 28)) - 13.5))
    assert measure.euler_number(number_reader.thin((ring > 5) & (ring < 9)) > 0.5) == 0  # the hole is still there


def test_the_pipeline_reads_what_is_written(real):
    assert number_reader.read([]).shape == (0,)
    strip = number_reader.write(real.images[[3, 2, 1, 0]])
    assert (
        number_reader.read(number_reader.process(strip)).tolist() == real.labels[[3, 2, 1, 0]].tolist() == [0, 1, 2, 7]
    )
    grey = number_reader.process(strip, thinned=False)
    assert [piece.shape for piece in grey] == [(28, 28)] * 4
    assert np.allclose(number_reader.thin(grey[0]), number_reader.process(strip)[0])
    assert not np.allclose(grey[0], number_reader.process(strip)[0])
    assert not np.allclose(grey[0], number_reader.process(strip, blur=1.5, thinned=False)[0])
    assert len(number_reader.process(number_reader.write(real.images[[1, 1]], -4))) == 1
    assert len(number_reader.process(number_reader.write(real.images[[1, 1]], -4), split=True)) == 2


# The bench


def test_the_stock_is_measured_and_holds_what_can_be_read(real):
    digits = data.load(train=False)
    images, labels = data.to_range(digits.images[:600]), digits.labels[:600]
    wrong = labels.clone()
    wrong[:10] = (wrong[:10] + 1) % 10
    assert len(real.labels) in range(590, 601)
    assert len(number_reader.stock(images, wrong).labels) == len(real.labels) - 10
    assert real.slant.equal(attributes.slant(real.images))
    assert real.thickness.equal(attributes.thickness(real.images))


def test_a_condition_picks_its_digits(real):
    chosen = number_reader.of_kind(real, Condition(slant=(10, 20), thickness=(2, 3)))
    expected = [i for i in range(len(real.labels)) if 10 <= real.slant[i] < 20 and 2 <= real.thickness[i] < 3]
    assert chosen.tolist() == expected != []
    assert len(number_reader.of_kind(real, Condition())) == len(real.labels)


def test_a_tally_counts_numbers_with_a_digit_wrong_or_a_piece_too_many(real):
    pieces = lambda strip: number_reader.process(strip, thinned=False)
    assert number_reader.test(pieces, real, Condition(), most=50).rate <= 0.06
    assert number_reader.test(lambda strip: [], real, Condition(), most=50) == Tally(50, 50)
    assert number_reader.test(lambda strip: [*pieces(strip), np.zeros((28, 28))], real, Condition(), 50) == Tally(
        50, 50
    )
    one = number_reader.test(pieces, real, Condition(length=1), 100)
    four = number_reader.test(lambda strip: pieces(strip)[:3], real, Condition(length=4), 20)
    assert (one.of, four) == (100, (20, 20))


def test_no_digit_is_used_twice_and_the_same_seed_tests_the_same():
    stock = number_reader.Stock(bar().repeat(7, 1, 1, 1), torch.arange(7), torch.zeros(7), torch.ones(7))
    seen = []
    number_reader.test(lambda strip: seen.append(strip) or [], stock, Condition(length=3), most=200)
    assert len(seen) == 2
    runs = []
    for seed in (0, 0, 1):
        strips = []
        number_reader.test(lambda strip, kept=strips: kept.append(strip) or [], stock, Condition(noise=0.2), 3, seed)
        runs.append(np.stack(strips))
    assert (runs[0] == runs[1]).all()
    assert not np.allclose(runs[0], runs[2])


def test_an_interval_is_wilsons():
    low, high = Tally(3, 40).interval()
    n, p, z = 40, 3 / 40, 1.959964
    middle, half = (p + z * z / (2 * n)) / (1 + z * z / n), z / (1 + z * z / n)
    half *= math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    assert (low, high) == pytest.approx((middle - half, middle + half), abs=1e-6)
    assert Tally(3, 40).interval(0.5)[0] > low
    assert Tally(0, 0).interval() == (0, 1)
    assert math.isnan(Tally(0, 0).rate)
