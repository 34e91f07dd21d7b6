"""Pictures as HTML: the fastest way to show a moving picture in a notebook, and safe from any thread, without pyplot."""

import base64
import html
import io
import math

from PIL import Image

from gan_lib.pictures import FAKE, REAL, THEORY, D

LOSSES, OUTPUTS = (("d_loss", D), ("g_loss", FAKE)), (("d_real", REAL), ("d_fake", FAKE))
DASHED = {"stroke": THEORY, "stroke_dasharray": 4}


def failure(error):
    """An exception as HTML: its type and its message."""
    return f"<b>{type(error).__name__}</b>: {html.escape(str(error))}"


def img(picture, width, alt):
    """An HTML image of a uint8 picture [height, width], shown `width` CSS pixels wide with sharp pixels."""
    png = io.BytesIO()
    Image.fromarray(picture).save(png, "png", compress_level=1)
    height = round(width * picture.shape[0] / picture.shape[1])
    source = base64.b64encode(png.getvalue()).decode()
    return (
        f'<img alt="{html.escape(alt)}" width="{width}" height="{height}" style="image-rendering: pixelated" '
        f'src="data:image/png;base64,{source}">'
    )


def figures(pictures, width):
    """HTML of uint8 pictures [height, width] side by side, `width` CSS pixels wide each: {the label below it: picture}."""
    each = [
        f'<figure style="margin: 0; width: {width}px">{img(picture, width, label)}'
        f'<figcaption style="line-height: 1.3">{html.escape(label)}</figcaption></figure>'
        for label, picture in pictures.items()
    ]
    return f'<div style="display: flex; flex-wrap: wrap; gap: 8px">{"".join(each)}</div>'


def element(name, content="", **attributes):
    """An SVG element: `font_size=11` becomes font-size="11", and a float has one decimal."""
    values = {key: f"{value:.1f}" if isinstance(value, float) else value for key, value in attributes.items()}
    written = "".join(f' {key.replace("_", "-")}="{value}"' for key, value in values.items())
    return f"<{name}{written}>{content}</{name}>"


def svg(width, height, label, parts):
    """An SVG image of these elements, with a label for screen readers."""
    return element("svg", "".join(parts), width=width, height=height, fill="currentColor", role="img", aria_label=label)


def curves_svg(records, width=440, height=130):
    """Losses (left) and D(x), D(G(z)) (right) over the steps of `records`, as one SVG; their theoretical values are dashed.

    Draws fewer than 400 records, evenly spaced up to the last.
    """
    records = records[:: -max(1, len(records) // 200)][::-1]
    w, h, last, parts = width / 2 - 12, height - 18, max([1, *(record.step for record in records)]), []
    losses = [loss for record in records for loss in (record.d_loss, record.g_loss)]
    for left, low, high, title, levels, lines in (
        (0, min([0, *losses]), max([1.5, *losses]), "d_loss, g_loss", (math.log(4), math.log(2)), LOSSES),
        (width / 2, 0, 1, "D(x), D(G(z))", (0.5,), OUTPUTS),
    ):
        y = lambda value, low=low, high=high: 16 + h * (high - value) / (high - low)
        parts.append(element("text", title, x=left + 2, y=11, font_size=11))
        parts.append(element("rect", x=left, y=16, width=w, height=h, fill="none", stroke=THEORY))
        parts += [element("line", x1=left, x2=left + w, y1=y(at), y2=y(at), **DASHED) for at in levels]
        for field, colour in lines:
            points = " ".join(f"{left + w * r.step / last:.1f},{y(getattr(r, field)):.1f}" for r in records)
            parts.append(element("polyline", points=points, fill="none", stroke=colour, stroke_width=1.5))
    return svg(width, height, "training curves", parts)


def move_svg(before, after, n, width=640):
    """How a step changed D's mean output for n real and n fake samples, as one SVG: a ring before, a dot after.

    `before` and `after` have `d_real` and `d_fake`, probabilities.
    """
    left, w, changes = 74, width - 200, []
    title = f"what D says about the same {n} x and the same {n} z, from 0 (fake) to 1 (real): before ○, after ●"
    parts = [element("text", title, x=2, y=12, font_size=12)]
    parts.append(element("line", x1=left + w / 2, x2=left + w / 2, y1=20, y2=68, **DASHED))
    for y, name, field, colour in ((32, "D(x)", "d_real", REAL), (56, "D(G(z))", "d_fake", FAKE)):
        old, new = getattr(before, field), getattr(after, field)
        x1, x2, change = left + w * old, left + w * new, f"{old:.3f} → {new:.3f}"
        changes.append(f"{name} {change}")
        parts += [
            element("text", name, x=2, y=y + 4, font_size=13),
            element("line", x1=left, x2=left + w, y1=y, y2=y, stroke=THEORY),
            element("line", x1=x1, x2=x2, y1=y, y2=y, stroke=colour, stroke_width=5),
            element("circle", cx=x1, cy=y, r=6, fill="none", stroke=colour, stroke_width=2),
            element("circle", cx=x2, cy=y, r=6, fill=colour),
            element("text", change, x=left + w + 12, y=y + 4, font_size=13),
        ]
    return svg(width, 70, f"{title}: {', '.join(changes)}", parts)


def classes_svg(counts, width=440, height=80):
    """Bars of `counts`, the numbers of samples that the digit net reads as each digit, as one SVG; an even share is dashed."""
    n, w, floor = sum(counts), width / len(counts), height - 14
    scale = (floor - 16) / max([*counts, 2 * n / len(counts)])  # pixels for one sample
    even, title = floor - scale * n / len(counts), f"what the digit net reads in {n} samples"
    parts = [element("text", title, x=2, y=11, font_size=11)]
    parts.append(element("line", x1=0, x2=width, y1=even, y2=even, **DASHED))
    for digit, count in enumerate(counts):
        x, h = w * digit, scale * count
        parts.append(element("rect", x=x + 6, y=floor - h, width=w - 12, height=h, fill=FAKE))
        parts.append(element("text", digit, x=x + w / 2, y=height - 2, font_size=11, text_anchor="middle"))
    shares = ", ".join(f"{count} as {digit}" for digit, count in enumerate(counts))
    return svg(width, height, f"{title}: {shares}", parts)
