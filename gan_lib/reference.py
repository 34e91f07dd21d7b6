"""Runs to hold yours against: what several seeds of each recipe gave. Introduced in lesson 02.

`python tools/make_reference.py` makes the files in gan_lib/reference/: RECIPE.csv, the course of each run in up to 60 rows of
means, results.json, the scores of the finished generators, and README's tables of them.
"""

import csv
import json
import math
from importlib import resources
from statistics import fmean, variance
from typing import NamedTuple

from gan_lib import UserError

FOLDER = resources.files("gan_lib") / "reference"
LABELS = {"d_loss": "d_loss", "g_loss": "g_loss", "d_real": "D(x)", "d_fake": "D(G(z))"}
REACH = 4  # standard deviations from the mean of the seeds to the edge of the band
PATIENCE = 3  # rows in a row outside it, and a run has left it


class Band(NamedTuple):
    """Between which values the reference runs went, row by row."""

    steps: list  # the last step of each row
    low: list
    high: list


def names():
    """The recipes that have reference runs."""
    return sorted(path.name.removesuffix(".csv") for path in FOLDER.iterdir() if path.name.endswith(".csv"))


def band(recipe, field):
    """The mean of the seeds ± 4 standard deviations, of d_loss, g_loss, d_real or d_fake.

    Five seeds tell little of a deviation, so that of a row is pooled with the five rows before it and after it.
    """
    if recipe not in names():
        raise UserError(f"There are no reference runs of {recipe!r}; choose one of: {', '.join(names())}.")
    by_step = {}  # the values of all seeds
    with (FOLDER / f"{recipe}.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            by_step.setdefault(int(row["step"]), []).append(float(row[field]))
    rows = list(by_step.values())
    spreads = [math.sqrt(fmean(map(variance, rows[max(0, i - 5) : i + 6]))) for i in range(len(rows))]
    low = [fmean(row) - REACH * spread for row, spread in zip(rows, spreads, strict=True)]
    high = [fmean(row) + REACH * spread for row, spread in zip(rows, spreads, strict=True)]
    return Band(list(by_step), low, high)


def means_until(records, field, steps):
    """The mean of a field of `records` from each of `steps` to the next, as far as the records reach."""
    means, start = [], 0
    for end in steps:
        inside, before = [], start
        for record in records:
            if start < record.step <= end:
                inside += [getattr(record, field)] * (record.step - before)  # a record is a mean over the steps since
                before = record.step
        if before < end:
            break
        means.append(fmean(inside))
        start = end
    return means


def remark(records, recipe):
    """A sentence that says where the run of `records` first left the band of `recipe`, or that it did not."""
    left = []
    for field, label in LABELS.items():
        edges = band(recipe, field)
        means = means_until(records, field, edges.steps)
        outside = [not low <= mean <= high for mean, low, high in zip(means, edges.low, edges.high, strict=False)]
        for i in range(len(outside) - PATIENCE + 1):
            if all(outside[i : i + PATIENCE]):
                side = "above" if means[i] > edges.high[i] else "below"
                here = f"{label} is {means[i]:.2f}, {side} the {edges.low[i]:.2f} to {edges.high[i]:.2f} of the band"
                left.append((edges.steps[i], here))
                break
    if left:
        step, here = min(left)
        return f"This run leaves the band of {recipe} about step {step}: {here}."
    if not means:
        return f"This run is too short to be held against the band of {recipe}."
    return f"This run stays inside the band of {recipe}."


def results():
    """results.json: {"classic": [[step, [distance …]] …], "floor": [score …], "recipes": {name: about}}, where about is
    {seeds, parameters, steps, ms_a_step, "scores": [score …], "effects": [[effect …] …]}, one of each for a run; "by_class":
    [[score of a digit …] …] where labels are told, and "floor_by_class" beside "floor". Classic is `mlp` without its moving
    average, as it trains.
    """
    return json.loads((FOLDER / "results.json").read_text())
