"""Matplotlib, here and nowhere else: every function takes axes, or makes some, and returns them. Introduced in lesson 01."""

import math
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.ticker import LogFormatter

from gan_lib import reference as bands
from gan_lib.pictures import FAKE, GAP, REAL, THEORY, D, tile


def subplots(width, height, columns=1, **options):
    """New axes, or an array of `columns` of them that share the size, in inches."""
    return plt.subplots(1, columns, figsize=(width, height), dpi=100, layout="constrained", **options)[1]


def show(picture, ax=None, title=None, width=7):
    """Show a uint8 picture, grey or [height, width, 3], `width` inches wide, with nearest pixels and no axes."""
    if ax is None:
        ax = subplots(width, width * picture.shape[0] / picture.shape[1] + (0.3 if title else 0))
    ax.imshow(picture, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    if title:
        ax.set_title(title, fontsize=10)
    return ax


def grid(images, columns=10, ax=None, title=None, width=7):
    """Show images (as `pictures.pixels` takes them) as a grid."""
    return show(tile(images, columns), ax, title, width)


def rows(batches, labels, columns=10, ax=None):
    """Show a row of digits for each of `labels`; `batches` holds the images of each row.

    With the same z in every batch and a row for each moment of training, a column shows how one digit develops.
    """
    picture = np.concatenate([tile(batch[:columns], columns)[GAP * (i > 0) :] for i, batch in enumerate(batches)])
    if ax is None:
        ax = subplots(7.8, 7 * picture.shape[0] / picture.shape[1])  # 0.8 inches for the labels
    show(picture, ax)
    ax.set_anchor("E")  # the labels stand on the left
    ax.set_yticks([GAP + 14 + (28 + GAP) * i for i in range(len(labels))], labels, fontsize=9)
    ax.tick_params(length=0)
    return ax


def histogram(groups, ax=None, bins=60, xlabel=None):
    """Draw overlaid histograms of `groups`, {name: (values [N], colour)}, each as shares of its own group."""
    ax = subplots(7, 2.6) if ax is None else ax
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

    With the name of a recipe as `reference` (one of `reference.names()`), pale bands show its reference runs (mean ± 4
    standard deviations), and a sentence above the figure says where this run leaves them, if it does.

    The dashed lines are the values of a D that is undecided (D = 1/2 everywhere): log 4 and log 2 for the cross-entropy
    losses (Goodfellow et al. 2014, arXiv 1406.2661, theorem 1), and 1/2.
    """
    axes = subplots(10, 3.2, 2) if axes is None else axes
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
    ax = subplots(7, 3.6) if ax is None else ax
    for name, (runs, color) in courses.items():
        for i, run in enumerate(runs):
            ax.plot(*zip(*run, strict=True), "o-", color=color, markersize=3, linewidth=1, label=None if i else name)
    ax.set(xscale="log", yscale="log", xlabel="seconds of training", ylabel="Fréchet distance")
    plain_numbers(ax.xaxis, ax.yaxis)
    ax.legend(frameon=False, fontsize=9)
    ax.spines[["top", "right"]].set_visible(False)
    return ax


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


def save_figure(ax, path, close=False):
    """Write the figure that `ax` belongs to as PNG, making its folder if need be. A notebook shows it too, unless `close`."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    ax.figure.savefig(path, dpi=100)
    if close:
        plt.close(ax.figure)
