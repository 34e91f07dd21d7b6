"""Pictures as HTML for the widgets, which show one by replacing another's text. Pure functions.

It is the fastest way to show a moving picture in a notebook, and safe from any thread, for no pyplot is involved.
"""

import base64
import html
import io
import math

from PIL import Image

from gan_lib.plotting import FAKE, REAL, THEORY, D


def img(picture, width, alt):
    """An HTML image of a uint8 picture [height, width], shown `width` CSS pixels wide with sharp pixels."""
    png = io.BytesIO()
    Image.fromarray(picture).save(png, "png", compress_level=1)
    height = round(width * picture.shape[0] / picture.shape[1])
    source = base64.b64encode(png.getvalue()).decode()
    return (
        f'<img alt="{alt}" width="{width}" height="{height}" style="image-rendering: pixelated" '
        f'src="data:image/png;base64,{source}">'
    )


def figures(pictures, width):
    """HTML of uint8 pictures [height, width] side by side, `width` CSS pixels wide each: {the label below it: picture}."""
    each = [
        f'<figure style="margin: 0; width: {width}px">{img(picture, width, html.escape(label))}'
        f'<figcaption style="line-height: 1.3">{html.escape(label)}</figcaption></figure>'
        for label, picture in pictures.items()
    ]
    return f'<div style="display: flex; flex-wrap: wrap; gap: 8px">{"".join(each)}</div>'


def curves_svg(records, width=440, height=130):
    """Losses (left) and D(x), D(G(z)) (right) over the steps of `records`, as one SVG; theory's levels dashed."""
    losses = [loss for r in records for loss in (r.d_loss, r.g_loss)]
    panels = [
        (0, min([0, *losses]), max([1.5, *losses]), [("d_loss", D), ("g_loss", FAKE)], math.log(2), "d_loss, g_loss"),
        (width / 2, 0, 1, [("d_real", REAL), ("d_fake", FAKE)], 0.5, "D(x), D(G(z))"),
    ]
    last = max(1, records[-1].step) if records else 1
    parts = []
    w, h = width / 2 - 12, height - 18
    for left, low, high, lines, level, title in panels:
        down = lambda value, low=low, high=high: f"{16 + h * (high - value) / (high - low):.1f}"
        parts.append(f'<text x="{left + 2:.0f}" y="11" font-size="11" fill="currentColor">{title}</text>')
        parts.append(f'<rect x="{left:.0f}" y="16" width="{w:.0f}" height="{h:.0f}" fill="none" stroke="{THEORY}"/>')
        ends = f'x1="{left:.0f}" x2="{left + w:.0f}" y1="{down(level)}" y2="{down(level)}"'
        parts.append(f'<line {ends} stroke="{THEORY}" stroke-dasharray="4"/>')
        for field, colour in lines:
            points = " ".join(f"{left + w * r.step / last:.1f},{down(getattr(r, field))}" for r in records)
            parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
    return f'<svg width="{width}" height="{height}" role="img" aria-label="training curves">{"".join(parts)}</svg>'
