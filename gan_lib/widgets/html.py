"""Pictures as HTML for the widgets, which show one by replacing another's text. Pure functions.

It is the fastest way to show a moving picture in a notebook, and safe from any thread, for no pyplot is involved.
"""

import base64
import html
import io
import math

from PIL import Image

from gan_lib.pictures import FAKE, REAL, THEORY, D


def failure(error):
    """An exception as HTML: its name, and what it says."""
    return f"<b>{type(error).__name__}</b>: {html.escape(str(error))}"


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
    """Losses (left) and D(x), D(G(z)) (right) over the steps of `records`, as one SVG; theory's levels dashed.

    Of very many records it draws every k-th, counted from the last: the picture has no room for more.
    """
    records = records[:: -max(1, len(records) // 200)][::-1]
    losses, undecided = [loss for r in records for loss in (r.d_loss, r.g_loss)], (math.log(4), math.log(2))
    lowest, highest = min([0, *losses]), max([1.5, *losses])
    panels = [
        (0, lowest, highest, [("d_loss", D), ("g_loss", FAKE)], undecided, "d_loss, g_loss"),
        (width / 2, 0, 1, [("d_real", REAL), ("d_fake", FAKE)], (0.5,), "D(x), D(G(z))"),
    ]
    last = max(1, records[-1].step) if records else 1
    parts = []
    w, h = width / 2 - 12, height - 18
    for left, low, high, lines, levels, title in panels:
        down = lambda value, low=low, high=high: f"{16 + h * (high - value) / (high - low):.1f}"
        parts.append(f'<text x="{left + 2:.0f}" y="11" font-size="11" fill="currentColor">{title}</text>')
        parts.append(f'<rect x="{left:.0f}" y="16" width="{w:.0f}" height="{h:.0f}" fill="none" stroke="{THEORY}"/>')
        for level in map(down, levels):
            ends = f'x1="{left:.0f}" x2="{left + w:.0f}" y1="{level}" y2="{level}"'
            parts.append(f'<line {ends} stroke="{THEORY}" stroke-dasharray="4"/>')
        for field, colour in lines:
            points = " ".join(f"{left + w * r.step / last:.1f},{down(getattr(r, field))}" for r in records)
            parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
    return f'<svg width="{width}" height="{height}" role="img" aria-label="training curves">{"".join(parts)}</svg>'


def move_svg(before, after, n, width=640):
    """How one step moved D's mean opinion of n real and n fakes: a ring at what it was, a dot at what it is, as one SVG.

    `before` and `after` have `d_real` and `d_fake`, probabilities.
    """
    left, w, parts, told = 74, width - 200, [], []
    for y, name, field, colour in ((32, "D(x)", "d_real", REAL), (56, "D(G(z))", "d_fake", FAKE)):
        was, now = getattr(before, field), getattr(after, field)
        told.append(f"{name} {was:.3f} → {now:.3f}")
        parts += [
            f'<text x="2" y="{y + 4}" font-size="13" fill="currentColor">{name}</text>',
            f'<line x1="{left}" x2="{left + w}" y1="{y}" y2="{y}" stroke="{THEORY}"/>',
            f'<line x1="{left + w * was:.1f}" x2="{left + w * now:.1f}" y1="{y}" y2="{y}" stroke="{colour}" stroke-width="5"/>',
            f'<circle cx="{left + w * was:.1f}" cy="{y}" r="6" fill="none" stroke="{colour}" stroke-width="2"/>',
            f'<circle cx="{left + w * now:.1f}" cy="{y}" r="6" fill="{colour}"/>',
            f'<text x="{left + w + 12}" y="{y + 4}" font-size="13" fill="currentColor">{was:.3f} → {now:.3f}</text>',
        ]
    title = f"what D says of the same {n} x and the same {n} z, from 0, fake, to 1, real: before ○, after ●"
    half = left + w / 2
    return (
        f'<svg width="{width}" height="70" role="img" aria-label="{title}: {", ".join(told)}">'
        f'<text x="2" y="12" font-size="12" fill="currentColor">{title}</text>'
        f'<line x1="{half}" x2="{half}" y1="20" y2="68" stroke="{THEORY}" stroke-dasharray="4"/>{"".join(parts)}</svg>'
    )


def classes_svg(counts, width=440, height=80):
    """How many samples are read as each digit, as bars in one SVG; an even share is dashed. `counts` is a list of numbers."""
    top, floor, each = max([*counts, 2 * sum(counts) / len(counts)]), height - 14, width / len(counts)
    title = f"what the digit net reads in {sum(counts)} samples"
    even = floor - (floor - 16) * sum(counts) / len(counts) / top
    parts = [f'<line x1="0" x2="{width}" y1="{even:.1f}" y2="{even:.1f}" stroke="{THEORY}" stroke-dasharray="4"/>']
    for digit, count in enumerate(counts):
        x, h = each * digit, (floor - 16) * count / top
        parts.append(
            f'<rect x="{x + 6:.1f}" y="{floor - h:.1f}" width="{each - 12:.1f}" height="{h:.1f}" fill="{FAKE}"/>'
        )
        middle = f'x="{x + each / 2:.1f}" y="{height - 2}" font-size="11" text-anchor="middle" fill="currentColor"'
        parts.append(f"<text {middle}>{digit}</text>")
    told = ", ".join(f"{count} as {digit}" for digit, count in enumerate(counts))
    return (
        f'<svg width="{width}" height="{height}" role="img" aria-label="{title}: {told}">'
        f'<text x="2" y="11" font-size="11" fill="currentColor">{title}</text>{"".join(parts)}</svg>'
    )
