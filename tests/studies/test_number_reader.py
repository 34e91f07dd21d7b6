"""The pipeline on simple shapes, and the robustness test with results that can be computed by hand."""

import math

import numpy as np
import pytest
import torch
from skimage import measure

from gan_lib import UserError, attributes, data
from gan_lib.studies import number_reader
from gan_lib.studies.number_reader import Condition
from tests.notebooks.test_same_code import defined

segment, deskew, thin, process, read = defined("13", "segment", "deskew", "thin", "process", "read")


def bar(left=12, right=16, top=4, bottom=24, lean=0.0):
    """A digit [1, 28, 28] in [-1, 1]: a bar whose rows move right by `lean` pixels for each row upwards."""
    y, x = torch.meshgrid(torch.arange(28.0), torch.arange(28.0), indexing="ij")
    x = x + lean * (y - 13.5)
    return (((x >= left) & (x < right) & (y >= top) & (y < bottom)).float() * 2 - 1).unsqueeze(0)


def strip_of(*bars, gap=4):
    return number_reader.write(torch.stack(bars), gap)


def misread(pipeline, *arguments):
    result = number_reader.test(pipeline, read, *arguments)
    return result.k, result.n


@pytest.fixture(scope="module")
def real():
    """The readable ones of 600 test digits."""
    images, labels = data.load(train=False)
    return number_reader.stock(data.to_range(images[:600]), labels[:600])


# Strips


@pytest.mark.parametrize("gap", [5, 1, 0, -2])
def test_a_strip_has_the_given_gap(gap):
    strip = strip_of(bar(), bar(3, 9), bar(), gap=gap)
    ink = strip.any(0)
    assert strip.shape == (28, 4 + 4 + gap + 6 + gap + 4 + 4)
    assert ink.sum() == min(14, 14 + 2 * gap)
    if gap > 0:
        assert np.flatnonzero(np.diff(ink.astype(int)) == 1).tolist() == [3, 7 + gap, 13 + 2 * gap]


def test_a_strip_keeps_the_brighter_of_two_digits_and_the_columns_of_an_empty_one():
    assert strip_of(bar(), bar().clamp(max=0.5), gap=-2)[10, 4:10].tolist() == [1, 1, 1, 1, 0.75, 0.75]
    assert number_reader.write(-torch.ones(2, 1, 28, 28)).shape == (28, 4 + 28 + 4 + 28 + 4)


def test_noise_has_the_given_deviation_and_is_clipped():
    draw = lambda noise: number_reader.write(torch.zeros(1, 1, 28, 28), 4, noise, np.random.default_rng(0))
    assert draw(0.1)[:, 4:-4].std() == pytest.approx(0.1, rel=0.1)
    assert (draw(5.0).min(), draw(5.0).max()) == (0, 1)


# The pipeline


def test_pieces_are_the_components_from_left_to_right_without_specks():
    strip = strip_of(bar(top=10), bar(3, 9), bar(bottom=8))
    strip[0, 0:3] = 1  # a speck of three pixels
    pieces = segment(strip)
    assert [piece.shape for piece in pieces] == [(28, 4), (28, 6), (28, 4)]
    assert [np.flatnonzero(piece.any(1))[[0, -1]].tolist() for piece in pieces] == [[10, 23], [4, 23], [4, 7]]
    slanted = bar(lean=0.5)  # bounding boxes overlap here, but not the ink
    pieces = segment(strip_of(slanted, slanted, gap=-3))
    assert [piece.sum() for piece in pieces] == [(slanted > 0).sum()] * 2
    assert segment(np.zeros((28, 40))) == []


def test_touching_digits_are_cut_where_they_touch():
    strip = strip_of(bar(5, 20), bar(5, 20), gap=2)
    strip[12:14, 19:21] = 1  # a bridge
    widths = lambda strip, **options: [piece.shape[1] for piece in segment(strip, **options)]
    assert widths(strip) == [32]
    assert widths(strip, split=True) == [15, 17]
    assert widths(strip_of(bar(4, 26)), split=True) == [22]


@pytest.mark.parametrize("lean", [-0.6, 0.0, 0.6])
def test_a_piece_is_deskewed_and_centred(lean):
    slanted = bar(top=2, bottom=20, lean=lean)
    (piece,) = segment(strip_of(slanted))
    upright = torch.from_numpy(deskew(piece)).float().view(1, 1, 28, 28) * 2 - 1
    assert abs(attributes.slant(slanted.unsqueeze(0)).item() - math.degrees(math.atan(lean))) < 2
    assert abs(attributes.slant(upright).item()) < 2
    centre = np.argwhere(upright[0, 0].numpy() > 0).mean(0)
    assert abs(centre - 13.5).max() < 0.6
    assert deskew(np.ones((1, 12), bool)).sum() == pytest.approx(12)  # a dash has no slant


def test_thinning_gives_every_stroke_one_width_and_keeps_holes():
    fine, thick = (thin(bar(13 - k, 14 + k)[0].numpy() > 0) for k in (0, 3))
    assert thick[14].sum() == pytest.approx(fine[14].sum(), rel=0.1)
    assert fine.max() <= 1
    ring = np.hypot(*(np.indices((28, 28)) - 13.5))
    assert measure.euler_number(thin((ring > 5) & (ring < 9)) > 0.5) == 0


def test_the_pipeline_reads_what_is_written(real):
    assert read([]).shape == (0,)
    strip = number_reader.write(real.images[[3, 2, 1, 0]])
    pieces = process(strip)
    assert read(pieces).tolist() == real.labels[[3, 2, 1, 0]].tolist() == [0, 1, 2, 7]
    grey = process(strip, thinned=False)
    assert np.allclose(thin(grey[0]), pieces[0])
    assert not np.allclose(grey[0], process(strip, blur=1.5, thinned=False)[0])
    touching = number_reader.write(real.images[[1, 1]], -4)
    assert [len(process(touching, split=split)) for split in (False, True)] == [1, 2]


# The robustness test


def test_the_stock_holds_the_readable_digits_and_their_attributes(real):
    assert len(real.labels) in range(590, 601)
    wrong = real.labels.clone()
    wrong[:10] = (wrong[:10] + 1) % 10
    kept = number_reader.stock(real.images, wrong)
    assert kept.images.equal(real.images[10:])
    assert kept.labels.equal(real.labels[10:])
    assert real.slant.equal(attributes.slant(real.images))
    assert real.thickness.equal(attributes.thickness(real.images))


@pytest.mark.parametrize(("slant", "thickness"), [((10, 20), (2, 3)), (number_reader.ANY, number_reader.ANY)])
def test_a_condition_selects_digits_by_slant_and_thickness(slant, thickness, real):
    seen = []
    misread(lambda strip: seen.append(strip.tobytes()) or [], real, Condition(slant, thickness), 600)
    fits = lambda i: slant[0] <= real.slant[i] < slant[1] and thickness[0] <= real.thickness[i] < thickness[1]
    chosen = [real.images[i : i + 1] for i in range(len(real.labels)) if fits(i)]
    assert sorted(seen) == sorted(number_reader.write(image).tobytes() for image in chosen) != []


def test_a_wrong_missing_or_added_digit_makes_a_number_misread(real):
    pieces = lambda strip: process(strip, thinned=False)
    added = lambda strip: [*pieces(strip), np.zeros((28, 28))]
    assert misread(pieces, real, Condition(), 50)[0] <= 3
    assert misread(added, real, Condition(), 50) == (50, 50)
    assert misread(lambda strip: pieces(strip)[:3], real, Condition(length=4), 20) == (20, 20)


def test_each_digit_is_used_once_and_the_seed_decides_the_numbers():
    stock = number_reader.Stock(bar().repeat(7, 1, 1, 1), torch.arange(7), torch.zeros(7), torch.ones(7))
    assert misread(lambda strip: [], stock, Condition(length=3)) == (2, 2)
    runs = [[], [], []]
    for strips, seed in zip(runs, (0, 0, 1), strict=True):
        misread(lambda strip, seen=strips: seen.append(strip) or [], stock, Condition(noise=0.2), 3, seed)
    assert np.array_equal(runs[0], runs[1])
    assert not np.allclose(runs[0], runs[2])


def test_a_condition_that_no_digits_fit_is_an_error(real):
    with pytest.raises(UserError, match=r"No digits fit Condition\(slant=\(80, 90\)"):
        misread(lambda strip: [], real, Condition(slant=(80, 90)))
