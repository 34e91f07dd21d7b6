"""The pipeline of lesson 13 on simple shapes, and its robustness test with results that can be computed by hand."""

import math

import numpy as np
import pytest
import torch
from skimage import measure

from gan_lib import attributes, data
from gan_lib.checks import test_an_image_pipeline as checks
from tests.notebooks.test_same_code import defined

typeset, segment, deskew, thin, process, read = defined("13", "typeset", "segment", "deskew", "thin", "process", "read")
Condition, conditions, readable, fits = defined("13", "Condition", "conditions", "readable", "fits")
[misread] = defined("13", "misread", degrade=checks.reference_degrade)


def bar(left=12, right=16, top=4, bottom=24, lean=0.0):
    """A digit [1, 28, 28] in [-1, 1]: a bar whose rows move right by `lean` pixels for each row upwards."""
    y, x = torch.meshgrid(torch.arange(28.0), torch.arange(28.0), indexing="ij")
    x = x + lean * (y - 13.5)
    return (((x >= left) & (x < right) & (y >= top) & (y < bottom)).float() * 2 - 1).unsqueeze(0)


def strip_of(*bars, gap=4):
    return typeset(torch.stack(bars), gap)


@pytest.fixture(scope="module")
def real():
    """The readable ones of 600 test digits, and their labels."""
    images, labels = data.load(train=False)
    images, labels = data.to_range(images[:600]), labels[:600]
    right = readable(images, labels)
    assert right.sum() in range(590, 601)
    wrong = labels.clone()
    wrong[:10] = (wrong[:10] + 1) % 10
    assert readable(images, wrong).equal(right & (torch.arange(600) >= 10))
    return images[right], labels[right]


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
    assert typeset(-torch.ones(2, 1, 28, 28)).shape == (28, 4 + 28 + 4 + 28 + 4)


def test_what_the_exercises_ask_for_passes_their_checks():
    assert checks.degrade(checks.reference_degrade)
    assert checks.false_alarms(checks.reference_false_alarms)


def test_pieces_are_the_components_from_left_to_right_without_specks():
    strip = strip_of(bar(top=10), bar(3, 9), bar(bottom=8))
    strip[0, 0:3] = 1  # a speck of three pixels
    pieces = segment(strip)
    assert [piece.shape for piece in pieces] == [(28, 4), (28, 6), (28, 4)]
    assert [np.flatnonzero(piece.any(1))[[0, -1]].tolist() for piece in pieces] == [[10, 23], [4, 23], [4, 7]]
    slanted = bar(lean=0.5)  # bounding boxes overlap here, but not the ink
    assert [each.sum() for each in segment(strip_of(slanted, slanted, gap=-3))] == [(slanted > 0).sum()] * 2
    assert segment(np.zeros((28, 40))) == []


@pytest.mark.parametrize("lean", [-0.6, 0.0, 0.6])
def test_a_piece_is_deskewed_and_centred(lean):
    slanted = bar(top=2, bottom=20, lean=lean)
    (piece,) = segment(strip_of(slanted))
    upright = torch.from_numpy(deskew(piece)).float().view(1, 1, 28, 28) * 2 - 1
    assert abs(attributes.slant(slanted.unsqueeze(0)).item() - math.degrees(math.atan(lean))) < 2
    assert abs(attributes.slant(upright).item()) < 2
    assert abs(np.argwhere(upright[0, 0].numpy() > 0).mean(0) - 13.5).max() < 0.6  # its centre
    assert deskew(np.ones((1, 12), bool)).sum() == pytest.approx(12)  # a dash has no slant


def test_thinning_gives_every_stroke_one_width_and_keeps_holes():
    fine, thick = (thin(bar(13 - k, 14 + k)[0].numpy() > 0) for k in (0, 3))
    assert thick[14].sum() == pytest.approx(fine[14].sum(), rel=0.1)
    assert fine.max() <= 1
    ring = np.hypot(*(np.indices((28, 28)) - 13.5))
    assert measure.euler_number(thin((ring > 5) & (ring < 9)) > 0.5) == 0


def test_the_pipeline_reads_what_is_written(real):
    images, labels = real
    assert read([]).shape == (0,)
    strip = typeset(images[[3, 2, 1, 0]])
    pieces = process(strip)
    assert read(pieces).tolist() == labels[[3, 2, 1, 0]].tolist() == [0, 1, 2, 7]
    assert np.allclose(thin(process(strip, thinned=False)[0]), pieces[0])


def test_a_condition_selects_digits_by_slant_and_thickness(real):
    images, _ = real
    slant, thickness = attributes.slant(images), attributes.thickness(images)
    chosen = fits(images, Condition(slant=(10, 20), thickness=(2, 3)))
    assert chosen.tolist() == [10 <= a < 20 and 2 <= b < 3 for a, b in zip(slant, thickness, strict=True)]
    assert 0 < chosen.sum() < 600


def test_a_generated_digit_fits_its_condition_and_is_steered(real):
    images, labels = real
    steered = []

    def draw(z, y):
        """Real digits with these labels."""
        steered.append(z[:, 0].mean())
        assert z.norm(dim=1).mean() == pytest.approx(0.9 * 8, rel=0.05)
        return torch.stack([images[labels == each][i % 30] for i, each in enumerate(y)])

    sampler = type("Sampler", (), {"truncation": 0.9, "__call__": staticmethod(draw)})()
    [generate] = defined("13", "generate", sampler=sampler, directions=torch.eye(2, 64))
    for steer in (0, 3):
        condition = Condition(slant=(10, 20), thickness=(2, 3), steer=(steer, 0))
        made, y = generate(condition, 40, torch.Generator().manual_seed(0))
        assert len(made) == len(y) == 40
        assert fits(made, condition).all() and readable(made, y).all() and len(y.unique()) > 5
    assert steered[0] < 0.5 < 1.5 < steered[-1]


def test_a_wrong_missing_or_added_digit_makes_a_number_misread(real, monkeypatch):
    numbers = [each[:40] for each in real]
    assert misread(*numbers, Condition(), thinned=False)[0] <= 3
    for n in range(4):  # empty pieces
        monkeypatch.setitem(misread.__globals__, "process", lambda strip, thinned, n=n: [np.zeros((28, 28))] * n)
        assert misread(*numbers, Condition()) == (20, 20)


def test_only_what_differs_from_the_ordinary_condition_fails():
    [count_failing] = defined("13", "count_failing", false_alarms=checks.reference_false_alarms)
    failing, chance = count_failing({"ordinary": (30, 450), "same": (10, 150), "more": (40, 150), "less": (0, 150)})
    assert failing == ["more"]
    assert 0 < chance < 0.03
