"""Pictures as HTML: their pixels, where lines and bars are, and words for screen readers."""

import base64
import io
import math
import re

import numpy as np
import pytest
from PIL import Image

from gan_lib.training import Record
from gan_lib.widgets import html


def decode_all(value):
    """The pictures of all `<img>` in HTML, each as numpy uint8 [height, width]."""
    pngs = re.findall(r'src="data:image/png;base64,([^"]+)"', value)
    return [np.array(Image.open(io.BytesIO(base64.b64decode(png)))) for png in pngs]


def decode(value):
    """The only picture in HTML."""
    (picture,) = decode_all(value)
    return picture


def test_figures_are_side_by_side_with_their_labels_sizes_and_sharp_pixels():
    pictures = {"a <b>": np.arange(60, dtype=np.uint8).reshape(6, 10), '"c"': np.full((6, 10), 9, np.uint8)}
    shown = html.figures(pictures, 50)
    assert np.array_equal(decode_all(shown), list(pictures.values()))
    captions = re.findall(r"<figcaption[^>]*>([^<]*)<", shown)
    alts = re.findall(r'alt="([^"]*)" width="50" height="30" style="image-rendering: pixelated', shown)
    assert captions == alts == ["a &lt;b&gt;", "&quot;c&quot;"]


# Curves, a single step, and classes


def points(svg):
    """The lines of an SVG as lists of (x, y)."""
    lines = re.findall(r'<polyline points="([^"]*)"', svg)
    return [[tuple(map(float, pair.split(","))) for pair in line.split()] for line in lines]


def test_curves_are_where_the_records_are_and_the_theoretical_values_are_dashed():
    records = [Record(100, 0, 0.0, 2.0, 0.5, 0.25, 0.75), Record(200, 0, 0.0, 1.0, 1.5, 1.0, 0.0)]
    svg = html.curves_svg(records, width=200, height=118)
    left, right = (44, 88), (144, 188)  # half of the width less a gap of 12; 200 is the last step
    heights = [(16, 66), (91, 41)], [(91, 16), (41, 116)]  # a loss of 2 is the top, at 16; 0 the bottom, at 116
    expected = [(left, y) for y in heights[0]] + [(right, y) for y in heights[1]]
    assert points(svg) == [list(zip(*line, strict=True)) for line in expected]
    dashed = re.findall(r'<line x1="([\d.]+)" x2="[\d.]+" y1="([\d.]+)"[^>]*dasharray', svg)
    assert [float(x) for x, _ in dashed] == [0, 0, 100]
    levels = [16 + 100 * (2 - math.log(4)) / 2, 16 + 100 * (2 - math.log(2)) / 2, 16 + 50]
    assert [float(y) for _, y in dashed] == pytest.approx(levels, abs=0.06)


def test_curves_below_zero_and_of_no_records_stay_inside_and_those_of_a_long_run_are_small():
    records = [Record(100, 0, 0.0, 1.0, -2.5, 0.5, 0.5), Record(200, 0, 0.0, 1.0, -0.1, 0.5, 0.5)]
    lines = points(html.curves_svg(records, height=130))
    assert all(16 <= y <= 128 for line in lines for _, y in line)
    assert lines[1][0][1] == 128
    assert points(html.curves_svg([])) == [[], [], [], []]

    records = [Record(step, 0, 0.0, 1.0, 1.0, step / 500, 0.5) for step in range(1, 501)]
    line = points(html.curves_svg(records, width=200, height=118))[2]
    assert len(line) == 250
    assert line[-1] == (188, 16)
    assert line == sorted(line, key=lambda at: at[0])


def test_a_move_goes_from_a_ring_to_a_dot_and_has_a_label():
    svg = html.move_svg(Record(1, 8, 0.0, 1.0, 1.0, 0.25, 0.5), Record(1, 8, 0.0, 1.0, 1.0, 0.5, 0.0), 8, width=300)
    circles = re.findall(r'<circle cx="([\d.]+)" cy="(\d+)" r="6" fill="([^"]+)"', svg)
    places = [(99, 32), (124, 32), (124, 56), (74, 56)]  # 0 is at x = 74, 1 at 174
    assert [(float(x), int(y)) for x, y, _ in circles] == places
    assert [fill == "none" for *_, fill in circles] == [True, False, True, False]
    label = re.search(r'role="img" aria-label="([^"]*)"', svg)[1]
    assert label.endswith(": D(x) 0.250 → 0.500, D(G(z)) 0.500 → 0.000")
    assert "the same 8 x and the same 8 z" in label


@pytest.mark.parametrize(("counts", "heights", "even", "label"), [
    ([0, 30, *[10] * 6, 5, 5], [0, 60, *[20] * 6, 10, 10], 56, "0 as 0, 30 as 1, 10 as 2"),
    ([10] * 10, [30] * 10, 46, "10 as 0, 10 as 1, 10 as 2"),  # even bars end half way up
])  # fmt: skip
def test_bars_are_as_high_as_the_counts_and_have_a_label(counts, heights, even, label):
    svg = html.classes_svg(counts, height=90)
    assert [float(h) for h in re.findall(r'<rect [^>]*height="([\d.]+)"', svg)] == heights
    assert f'y1="{even}.0" y2="{even}.0"' in svg  # the even share, 10; the bars stand at 76
    assert f'role="img" aria-label="what the digit net reads in 100 samples: {label}, ' in svg
