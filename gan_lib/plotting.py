"""Figures with Matplotlib: every function takes axes, or makes some, and returns them. Introduced in lesson 01."""

import math
from bisect import bisect

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.ticker import LogFormatter

from gan_lib import files
from gan_lib.pictures import FAKE, GAP, REAL, THEORY, D, rgb, tile
from gan_lib.reference import means_until


def subplots(width, height, columns=1, **options):
    """New axes in a figure of this size in inches, or an array of them if there are several `columns`."""
    return plt.subplots(1, columns, figsize=(width, height), dpi=100, layout="constrained", **options)[1]


def show(picture, ax=None, title=None, width=7):
    """Show a uint8 picture [height, width] or [height, width, 3], `width` inches wide, without interpolation and ticks."""
    height = width * picture.shape[0] / picture.shape[1] + (0.3 if title else 0)
    ax = subplots(width, height) if ax is None else ax
    ax.imshow(picture, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    if title:
        ax.set_title(title, fontsize=10)
    return ax


def grid(images, columns=10, ax=None, title=None, width=7):
    """Show images, float [N, 1, 28, 28] in [-1, 1] or uint8 [N, 28, 28], as a grid."""
    return show(tile(images, columns), ax, title, width)


def rows(batches, labels, columns=10, ax=None):
    """Show the first images of each of `batches`, as `grid` takes them or all [N, 3, 28, 28], in a row beside its label."""
    strips = [(rgb if batch.shape[1] == 3 else tile)(batch[:columns], columns) for batch in batches]
    picture = np.concatenate([strip[GAP * (i > 0) :] for i, strip in enumerate(strips)])  # one gap between two strips
    ax = subplots(7.8, 7 * picture.shape[0] / picture.shape[1]) if ax is None else ax  # 0.8 inches for the labels
    show(picture, ax)
    ax.set_anchor("E")  # the labels stand on the left
    ax.set_yticks([GAP + 14 + (28 + GAP) * i for i in range(len(labels))], labels, fontsize=9)
    ax.tick_params(length=0)
    return ax


def finish(ax, **properties):
    """Give axes their labels and scales, a legend without a frame, and no spine at the top and the right."""
    ax.set(**properties)
    ax.legend(frameon=False, fontsize=9)
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def histogram(groups, ax=None, bins=60, xlabel=None):
    """Draw overlaid histograms of `groups`, {name: (values [N], colour)}. The bars of each group add up to 1."""
    ax = subplots(7, 2.6) if ax is None else ax
    groups = {name: (torch.as_tensor(values).cpu().numpy(), color) for name, (values, color) in groups.items()}
    edges = np.histogram_bin_edges(np.concatenate([values for values, _ in groups.values()]), bins)
    for name, (values, color) in groups.items():
        ax.hist(values, edges, weights=np.full(len(values), 1 / len(values)), color=color, alpha=0.7, label=name)
    return finish(ax, xlabel=xlabel, ylabel="share")


def curves(records, axes=None, reference=None):
    """Draw d_loss and g_loss, and beside them D(x) and D(G(z)), over the steps of `records`. Returns the two axes.

    The dashed lines hold for the optimal D against perfect fakes: D = 1/2, and log 4 and log 2 for the cross-entropy losses
    (Goodfellow et al. 2014, arXiv 1406.2661, theorem 1). `reference`, a `reference.Reference`, adds the bands of its runs
    (mean ± 4 standard deviations) and a sentence that says where this run leaves them. The lines are then means over the same
    steps as the bands, and the records are drawn pale.
    """
    axes = subplots(10, 3.2, 2) if axes is None else axes
    steps = [record.step for record in records]
    panels = [
        ("losses", [("d_loss", D, "d_loss"), ("g_loss", FAKE, "g_loss")], {"log 4": math.log(4), "log 2": math.log(2)}),
        ("mean output of D", [("d_real", REAL, "D(x)"), ("d_fake", FAKE, "D(G(z))")], {"1/2": 0.5}),
    ]
    for ax, (title, lines, levels) in zip(axes, panels, strict=True):
        for name, level in levels.items():
            ax.axhline(level, color=THEORY, linestyle="--", linewidth=1)
            ax.text(1.01, level, name, color=THEORY, va="center", fontsize=9, transform=ax.get_yaxis_transform())
        for field, color, label in lines:
            values, until = [getattr(record, field) for record in records], steps
            if reference is not None:
                ax.plot(steps, values, color=color, linewidth=0.6, alpha=0.4)
                values = means_until(records, field, reference.steps)
                until = reference.steps[: len(values)]
                low, high = reference.band(field)
                n = bisect(reference.steps, max(steps, default=0))
                ax.fill_between(reference.steps[:n], low[:n], high[:n], color=color, alpha=0.18, linewidth=0)
            ax.plot(until, values, color=color, label=label)
        lowest = min([0, *(getattr(r, field) for r in records for field, _, _ in lines)])  # the minimax loss is below 0
        finish(ax, xlabel="iteration", title=title, ylim=(lowest, 1 if title == "mean output of D" else None))
    if reference is not None:
        axes[0].figure.suptitle(reference.remark(records), fontsize=10)
    return axes


def plain_numbers(*axes):
    """Label logarithmic axes (`ax.xaxis`, `ax.yaxis`) with 10 and 1000 instead of powers."""
    for axis in axes:
        axis.set_major_formatter(LogFormatter())
        axis.set_minor_formatter(LogFormatter())


def save_figure(ax, path, close=False):
    """Write the figure of `ax` as PNG, and make its folder. A notebook shows the figure too, unless `close`."""
    with files.replacing(path) as temporary:
        ax.figure.savefig(temporary, dpi=100)
    if close:
        plt.close(ax.figure)
