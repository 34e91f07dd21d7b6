"""Every picture of the lessons: plain `uint8` pictures and matplotlib axes (`ax` in, `ax` out).

One colour per role, everywhere, told apart by colour-blind readers too (Okabe and Ito's set). Introduced in lesson 01.
"""

import math
from pathlib import Path

import imageio.v3 as imageio
import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.font_manager import findfont
from matplotlib.ticker import LogFormatter
from PIL import Image, ImageDraw, ImageFont

from gan_lib import data
from gan_lib import reference as bands

REAL, FAKE, D, THEORY = "#009E73", "#CC79A7", "#0072B2", "#999999"
GAP = 2  # pixels between two digits of a grid
CELL = 28 + GAP


def pixels(images):
    """float [N, 1, 28, 28] in [-1, 1], or uint8 [N, 28, 28] → uint8 [N, 28, 28] on the CPU; `ValueError` for others."""
    shown = images if images.dtype == torch.uint8 else data.to_uint8(images)
    if shown.ndim != 3 or shown.shape[1:] != (28, 28):
        raise ValueError(f"The images must be float [N, 1, 28, 28] or uint8 [N, 28, 28], not {list(images.shape)}.")
    return shown.cpu()


def tile(images, columns=10, scale=1):
    """Images (as `pixels` takes them) in rows: numpy uint8 [height, width], `scale`² pixels for each of theirs."""
    images = pixels(images).numpy()
    columns = min(columns, len(images))
    rows = math.ceil(len(images) / columns)
    picture = np.full((rows * CELL + GAP, columns * CELL + GAP), 40, np.uint8)
    for i, image in enumerate(images):
        top, left = i // columns * CELL + GAP, i % columns * CELL + GAP
        picture[top : top + 28, left : left + 28] = image
    return picture.repeat(scale, 0).repeat(scale, 1)


def save_picture(picture, path, dpi=72):
    """Write a uint8 picture [height, width] as PNG or PDF, making its folder if need be; printed, it has `dpi` pixels an inch."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path, dpi=(dpi, dpi), quality=90)  # quality: a PDF holds a JPEG


def show(picture, ax=None, title=None, width=7):
    """Show a uint8 picture, grey or [height, width, 3], `width` inches wide, with nearest pixels and no axes."""
    if ax is None:
        size = (width, width * picture.shape[0] / picture.shape[1] + (0.3 if title else 0))
        _, ax = plt.subplots(figsize=size, dpi=100, layout="constrained")
    ax.imshow(picture, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    if title:
        ax.set_title(title, fontsize=10)
    return ax


def grid(images, columns=10, ax=None, title=None, width=7):
    """Show images (as `pixels` takes them) as a grid."""
    return show(tile(images, columns), ax, title, width)


def rows(batches, labels, columns=10, ax=None):
    """Show a row of digits for each of `labels`, which stand beside them; `batches` holds the images of each row.

    With the same z in every batch, and the moments of training as rows, each column is one digit growing up.
    """
    picture = np.concatenate([tile(batch[:columns], columns)[GAP * (i > 0) :] for i, batch in enumerate(batches)])
    if ax is None:
        size = (7.8, 7 * picture.shape[0] / picture.shape[1])  # 0.8 inches for the labels
        _, ax = plt.subplots(figsize=size, dpi=100, layout="constrained")
    show(picture, ax)
    ax.set_anchor("E")  # what the picture leaves free is for the labels
    ax.set_yticks([GAP + 14 + (28 + GAP) * i for i in range(len(labels))], labels, fontsize=9)
    ax.tick_params(length=0)
    return ax


def tinted(images, field, columns=10):
    """Images [N, 1, 28, 28] in [-1, 1], red where `field` (of their shape) is above 0 and blue where it is below.

    Full colour is the 99.5 % quantile of |field| in that image. numpy uint8 [height, width, 3], for `show`. Lesson 04.
    """
    scale = field.abs().flatten(1).quantile(0.995, dim=1).clamp(min=1e-12).view(-1, 1, 1, 1)
    red, blue = (field / scale).clamp(0, 1), (-field / scale).clamp(0, 1)
    grey = (images + 1) * (1 - red - blue) - 1
    return np.stack([tile(channel, columns) for channel in (grey + 2 * red, grey, grey + 2 * blue)], -1)


def colours(images, columns=10):
    """Images [N, 3, 28, 28] in [-1, 1] in red, green and blue: numpy uint8 [height, width, 3], for `show`. Lesson 07."""
    return np.stack([tile(channel.unsqueeze(1), columns) for channel in images.unbind(1)], -1)


def histogram(groups, ax=None, bins=60, xlabel=None):
    """Draw histograms over each other of `groups`, {name: (values [N], colour)}, each as shares of its own group."""
    if ax is None:
        _, ax = plt.subplots(figsize=(7, 2.6), dpi=100, layout="constrained")
    groups = {name: (torch.as_tensor(values).cpu().numpy(), color) for name, (values, color) in groups.items()}
    edges = np.histogram_bin_edges(np.concatenate([values for values, _ in groups.values()]), bins)
    for name, (values, color) in groups.items():
        ax.hist(values, edges, weights=np.full(len(values), 1 / len(values)), color=color, alpha=0.7, label=name)
    ax.set(xlabel=xlabel, ylabel="share")
    ax.legend(frameon=False, fontsize=9)
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def curves(records, axes=None, reference=None):
    """Draw d_loss and g_loss, and beside them D(x) and D(G(z)), over the steps of `records`. Returns the two axes.

    With the name of a recipe as `reference` (one of `reference.names()`), pale bands show where its other runs went (their
    mean ± 4 standard deviations), and a sentence above the figure says where this run left them, if it did.

    The dashed lines are where the game stands when D cannot tell (D = 1/2 everywhere): log 4 and log 2 for the
    cross-entropy losses (Goodfellow et al. 2014, arXiv 1406.2661, theorem 1), and 1/2.
    """
    if axes is None:
        _, axes = plt.subplots(1, 2, figsize=(10, 3.2), dpi=100, layout="constrained")
    undecided = [(math.log(4), "log 4"), (math.log(2), "log 2")]
    panels = [
        ("losses", [("d_loss", D, "d_loss"), ("g_loss", FAKE, "g_loss")], undecided),
        ("what D believes", [("d_real", REAL, "D(x)"), ("d_fake", FAKE, "D(G(z))")], [(0.5, "1/2")]),
    ]
    for ax, (title, lines, levels) in zip(axes, panels, strict=True):
        for level, name in levels:
            ax.axhline(level, color=THEORY, linestyle="--", linewidth=1)
            ax.text(1.01, level, name, color=THEORY, va="center", fontsize=9, transform=ax.get_yaxis_transform())
        for field, color, label in lines:
            if reference is not None and records:
                shade(ax, bands.band(reference, field), records[-1].step, color)
            ax.plot([r.step for r in records], [getattr(r, field) for r in records], color=color, label=label)
        ax.set(xlabel="step", title=title)
        lowest = min([0, *(getattr(r, field) for r in records for field, _, _ in lines)])  # minimax goes below 0
        ax.set_ylim(lowest, 1 if title == "what D believes" else None)
        ax.legend(frameon=False, fontsize=9)
        ax.spines[["top", "right"]].set_visible(False)
    if reference is not None:
        axes[0].figure.suptitle(bands.remark(records, reference), fontsize=10)
    return axes


def race(courses, ax=None):
    """Draw distances over seconds, both on logarithmic scales: `courses` is {name: ([(seconds, distance) …] …, colour)}."""
    if ax is None:
        _, ax = plt.subplots(figsize=(7, 3.6), dpi=100, layout="constrained")
    for name, (runs, color) in courses.items():
        for i, run in enumerate(runs):
            ax.plot(*zip(*run, strict=True), "o-", color=color, markersize=3, linewidth=1, label=None if i else name)
    ax.set(xscale="log", yscale="log", xlabel="seconds of training", ylabel="Fréchet distance")
    plain_numbers(ax.xaxis, ax.yaxis)
    ax.legend(frameon=False, fontsize=9)
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def gains(axes=None):
    """Draw `reference.errors` over the real digits a class, without and with jitter: means ± standard deviations. Lesson 09."""
    if axes is None:
        _, axes = plt.subplots(1, 2, figsize=(10, 3.6), dpi=100, layout="constrained", sharey=True)
    styles = {"real": {"color": REAL}, "own": {"color": FAKE, "linestyle": "--"}, "all": {"color": FAKE}}
    for ax, how, title in zip(axes, ("plain", "jitter"), ("without jitter", "with jitter"), strict=True):
        for arm, style in styles.items():
            counts, seeds = zip(*bands.errors(how, arm).items(), strict=True)
            ax.errorbar(counts, np.mean(seeds, 1), np.std(seeds, 1, ddof=1), capsize=3, label=bands.ARMS[arm], **style)
        [seeds] = bands.errors(how, "synthetic").values()
        ax.axhline(np.mean(seeds), color=THEORY, linestyle="--", linewidth=1, label=bands.ARMS["synthetic"])
        ax.set(xscale="log", yscale="log", xlabel="real digits a class", title=title)
        plain_numbers(ax.xaxis, ax.yaxis)
        ax.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("test digits read wrongly, %")
    axes[1].legend(frameon=False, fontsize=9)
    return axes


def plain_numbers(*axes):
    """Write 10 and 1000 beside logarithmic axes (`ax.xaxis`, `ax.yaxis`), not powers."""
    for axis in axes:
        axis.set_major_formatter(LogFormatter())
        axis.set_minor_formatter(LogFormatter())


def shade(ax, band, end, color):
    """Draw a `reference.Band`, pale, as far as step `end`."""
    rows = [row for row in zip(*band, strict=True) if row[0] <= end]
    if rows:
        ax.fill_between(*zip(*rows, strict=True), color=color, alpha=0.18, linewidth=0)


def save_animation(frames, path, columns=10, labels=None, scale=2, seconds=6.0, hold=0.5):
    """Write batches of images (as `pixels` takes them) as a moving picture; `path` ends in .gif or .mp4.

    It lasts `seconds`, and the last frame is held for `hold` times as long as all of them take. A bar at the bottom shows how
    far it is; below it stands the frame's label, if there are `labels`. A GIF has 16 levels of grey: noise compresses badly.
    """
    pictures = [tile(frame, columns, scale) for frame in frames]
    for i, picture in enumerate(pictures):
        picture[-2 * scale :, : max(1, round(picture.shape[1] * (i + 1) / len(pictures)))] = 200
    if labels is not None:
        pictures = [caption(picture, label) for picture, label in zip(pictures, labels, strict=True)]
    pictures += [pictures[-1]] * max(hold > 0, int(hold * len(pictures)))
    fps = max(1.0, len(pictures) / seconds)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    if str(path).endswith(".gif"):
        coarse = ((np.arange(256) + 8.5) // 17 * 17).astype(np.uint8)  # 0, 17, ... 255
        Path(path).write_bytes(gif(coarse[np.stack(pictures)], 1000 / fps))
    else:
        colour = np.stack(pictures)[..., None].repeat(3, -1)
        imageio.imwrite(path, colour, fps=fps, plugin="FFMPEG", codec="libx264", macro_block_size=2, quality=8)


def gif(pictures, milliseconds):
    """The bytes of a GIF that plays uint8 pictures [N, height, width] without end, each for so many milliseconds."""
    return imageio.imwrite("<bytes>", pictures, extension=".gif", duration=milliseconds, loop=0)


def caption(picture, text):
    """The uint8 picture [height, width] with a line of text below it: [height + 20, width]."""
    line = Image.new("L", (picture.shape[1], 20))
    ImageDraw.Draw(line).text((6, 3), text, fill=255, font=ImageFont.truetype(findfont("DejaVu Sans"), 12))
    return np.concatenate([picture, np.asarray(line)])


def untile(picture, scale=1):
    """The uint8 images [N, 28, 28], as a tensor, of a picture that `tile` made (all its places filled)."""
    picture = picture[::scale, ::scale]
    rows, columns = picture.shape[0] // CELL, picture.shape[1] // CELL
    places = [(r * CELL + GAP, c * CELL + GAP) for r in range(rows) for c in range(columns)]
    return torch.from_numpy(np.stack([picture[top : top + 28, left : left + 28] for top, left in places]))


def load_picture(path):
    """A grey PNG as numpy uint8 [height, width]."""
    return np.array(Image.open(path).convert("L"))


def save_figure(ax, path, close=False):
    """Write the figure that `ax` belongs to as PNG, making its folder if need be. A notebook shows it too, unless `close`."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    ax.figure.savefig(path, dpi=100)
    if close:
        plt.close(ax.figure)
