"""Pictures as HTML: what they hold, where lines stand, and words for those who cannot see them."""

import base64
import io
import math
import re

import numpy as np
import pytest
from PIL import Image

from gan_lib.training import Record
from gan_lib.widgets import html
from gan_lib.widgets.html import figures


def decode_all(value):
    """The pictures of all `<img>` in HTML, each as numpy uint8 [height, width]."""
    pngs = re.findall(r'src="data:image/png;base64,([^"]+)"', value)
    return [np.array(Image.open(io.BytesIO(base64.b64decode(png)))) for png in pngs]


def decode(value):
    """The only picture in HTML."""
    (picture,) = decode_all(value)
    return picture


def test_an_image_has_its_size_and_words_for_those_who_cannot_see_it():
    picture = np.arange(60, dtype=np.uint8).reshape(6, 10)
    tag = html.img(picture, 200, "sixty shades")
    assert (decode(tag) == picture).all()
    assert 'alt="sixty shades" width="200" height="120"' in tag
    assert "pixelated" in tag


def test_pictures_stand_side_by_side_over_their_labels():
    pictures = {"a <b>": np.zeros((6, 10), np.uint8), '"c"': np.full((6, 10), 9, np.uint8)}
    shown = figures(pictures, 50)
    for found, picture in zip(decode_all(shown), pictures.values(), strict=True):
        assert (found == picture).all()
    assert re.findall(r"<figcaption[^>]*>([^<]*)<", shown) == ["a &lt;b&gt;", "&quot;c&quot;"]
    assert re.findall(r'alt="([^"]*)" width="50" height="30"', shown) == ["a &lt;b&gt;", "&quot;c&quot;"]


# Curves


def points(svg):
    """The lines of an SVG as lists of (x, y)."""
    lines = re.findall(r'<polyline points="([^"]*)"', svg)
    return [[tuple(map(float, pair.split(","))) for pair in line.split()] for line in lines]


def test_curves_stand_where_the_records_are():
    records = [Record(100, 0, 0.0, 2.0, 0.5, 0.25, 0.75), Record(200, 0, 0.0, 1.0, 1.5, 1.0, 0.0)]
    d_loss, g_loss, d_real, d_fake = points(html.curves_svg(records, width=200, height=118))
    assert [x for x, _ in d_loss] == [44, 88]  # half of the width less a gap of 12; 200 is the last step
    assert [x for x, _ in d_real] == [144, 188]
    assert [y for _, y in d_loss] == [16, 66]  # 2 is the top, at 16; 0 the bottom, at 116
    assert [y for _, y in g_loss] == [91, 41]
    assert [y for _, y in d_real] == [91, 16]
    assert [y for _, y in d_fake] == [41, 116]


def test_curves_below_zero_stay_inside():
    records = [Record(100, 0, 0.0, 1.0, -2.5, 0.5, 0.5), Record(200, 0, 0.0, 1.0, -0.1, 0.5, 0.5)]
    svg = html.curves_svg(records, height=130)
    assert all(16 <= y <= 128 for line in points(svg) for _, y in line)
    assert points(svg)[1][0][1] == 128


def test_curves_of_no_records_are_a_picture_too():
    assert html.curves_svg([]).startswith("<svg")
    assert points(html.curves_svg([])) == [[], [], [], []]


def test_curves_of_a_long_run_stay_small_and_end_with_the_last_record():
    records = [Record(step, 0, 0.0, 1.0, 1.0, step / 500, 0.5) for step in range(1, 501)]
    line = points(html.curves_svg(records, width=200, height=118))[2]
    assert len(line) == 250
    assert line[-1] == (188, 16)
    assert line == sorted(line, key=lambda at: at[0])


# What one step did


def test_a_move_goes_from_a_ring_to_a_dot_and_is_told_in_words():
    svg = html.move_svg(Record(1, 8, 0.0, 1.0, 1.0, 0.25, 0.5), Record(1, 8, 0.0, 1.0, 1.0, 0.5, 0.0), 8, width=300)
    circles = re.findall(r'<circle cx="([\d.]+)" cy="(\d+)" r="6" fill="([^"]+)"', svg)
    assert [(float(x), int(y)) for x, y, _ in circles] == [
        (99, 32),
        (124, 32),
        (124, 56),
        (74, 56),
    ]  # 0 at 74, 1 at 174
    assert [fill == "none" for *_, fill in circles] == [True, False, True, False]
    label = re.search(r'role="img" aria-label="([^"]*)"', svg)[1]
    assert label.endswith(": D(x) 0.250 → 0.500, D(G(z)) 0.500 → 0.000")
    assert "the same 8 x and the same 8 z" in label


# Classes


def heights(svg):
    return [float(h) for h in re.findall(r'<rect [^>]*height="([\d.]+)"', svg)]


def test_bars_are_as_high_as_the_counts_and_are_told_in_words():
    svg = html.classes_svg([0, 30, 10, 10, 10, 10, 10, 10, 5, 5], height=90)
    assert heights(svg) == [0, 60, 20, 20, 20, 20, 20, 20, 10, 10]
    assert 'y1="56.0" y2="56.0"' in svg  # an even share, 10, is 20 above the floor, which is at 76
    assert 'role="img" aria-label="what the digit net reads in 100 samples: 0 as 0, 30 as 1, ' in svg


def test_even_bars_reach_the_dashed_line_half_way_up():
    svg = html.classes_svg([10] * 10, height=90)
    assert heights(svg) == [30] * 10
    assert 'y1="46.0" y2="46.0"' in svg


def test_the_levels_of_theory_are_dashed():
    records = [Record(100, 0, 0.0, 2.0, 0.5, 0.25, 0.75)]
    dashed = re.findall(
        r'<line x1="([\d.]+)" x2="[\d.]+" y1="([\d.]+)"[^>]*dasharray', html.curves_svg(records, 200, 118)
    )
    assert [float(x) for x, _ in dashed] == [0, 0, 100]
    heights = [16 + 100 * (2 - math.log(4)) / 2, 16 + 100 * (2 - math.log(2)) / 2, 16 + 50]
    assert [float(y) for _, y in dashed] == pytest.approx(heights, abs=0.06)
