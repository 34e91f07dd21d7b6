"""Pictures as HTML: what they hold, where lines stand, and words for those who cannot see them."""

import base64
import io
import re

import numpy as np
from PIL import Image

from gan_lib import pictures
from gan_lib.pictures import figures
from gan_lib.training import Record


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
    tag = pictures.img(picture, 200, "sixty shades")
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
    d_loss, g_loss, d_real, d_fake = points(pictures.curves_svg(records, width=200, height=118))
    assert [x for x, _ in d_loss] == [44, 88]  # half of the width less a gap of 12; 200 is the last step
    assert [x for x, _ in d_real] == [144, 188]
    assert [y for _, y in d_loss] == [16, 66]  # 2 is the top, at 16; 0 the bottom, at 116
    assert [y for _, y in g_loss] == [91, 41]
    assert [y for _, y in d_real] == [91, 16]
    assert [y for _, y in d_fake] == [41, 116]


def test_curves_below_zero_stay_inside():
    records = [Record(100, 0, 0.0, 1.0, -2.5, 0.5, 0.5), Record(200, 0, 0.0, 1.0, -0.1, 0.5, 0.5)]
    svg = pictures.curves_svg(records, height=130)
    assert all(16 <= y <= 128 for line in points(svg) for _, y in line)
    assert points(svg)[1][0][1] == 128


def test_curves_of_no_records_are_a_picture_too():
    assert pictures.curves_svg([]).startswith("<svg")
    assert points(pictures.curves_svg([])) == [[], [], [], []]
