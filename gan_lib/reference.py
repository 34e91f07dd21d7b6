"""Reference runs to compare a run with: several seeds of each recipe, from tools/make_reference.py. Introduced in lesson 02.

gan_lib/reference/ holds RECIPE.csv, up to 60 rows of means for each seed, and results.json, scores of the finished generators.
"""

import csv
import json
import math
from importlib import resources
from itertools import pairwise
from statistics import fmean, variance
from typing import NamedTuple

from gan_lib import UserError

FOLDER = resources.files("gan_lib") / "reference"
LABELS = {"d_loss": "d_loss", "g_loss": "g_loss", "d_real": "D(x)", "d_fake": "D(G(z))"}
DEVIATIONS = 4  # standard deviations from the mean of the seeds to the edge of the band
PATIENCE = 3  # a run has left the band after so many rows outside it, one after another


class Band(NamedTuple):
    """The values to expect of a run, row by row."""

    steps: list  # the last step of each row
    low: list
    high: list


def names():
    """The recipes that have reference runs."""
    return sorted(path.name.removesuffix(".csv") for path in FOLDER.iterdir() if path.name.endswith(".csv"))


def band(recipe, field):
    """The mean over the seeds ± 4 standard deviations, of d_loss, g_loss, d_real or d_fake.

    Five seeds give a poor estimate of a deviation, so each row's is pooled with those of five rows to either side.
    """
    if recipe not in names():
        raise UserError(f"There are no reference runs of {recipe!r}; choose one of: {', '.join(names())}.")
    by_step = {}  # the values of all seeds
    with (FOLDER / f"{recipe}.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            by_step.setdefault(int(row["step"]), []).append(float(row[field]))
    rows, low, high = list(by_step.values()), [], []
    for i, row in enumerate(rows):
        reach = DEVIATIONS * math.sqrt(fmean(map(variance, rows[max(0, i - 5) : i + 6])))
        low.append(fmean(row) - reach)
        high.append(fmean(row) + reach)
    return Band(list(by_step), low, high)


def means_until(records, field, steps):
    """The mean of a field of `records` from each of `steps` to the next, as far as the records reach."""
    means, start = [], 0
    for end in steps:
        inside = [record for record in records if start < record.step <= end]
        ends = [start, *(record.step for record in inside)]
        if ends[-1] < end:
            break
        covered = [b - a for a, b in pairwise(ends)]  # a record is a mean over the steps since the one before
        means.append(fmean([getattr(record, field) for record in inside], covered))
        start = end
    return means


def remark(records, recipe):
    """A sentence that says where the run of `records` first leaves the band of `recipe`, or that it stays inside."""
    exits = []
    for field, label in LABELS.items():
        edges = band(recipe, field)
        rows = list(zip(*edges, means_until(records, field, edges.steps), strict=False))
        outside = [not low <= mean <= high for _, low, high, mean in rows]
        for i, (step, low, high, mean) in enumerate(rows):
            if sum(outside[i : i + PATIENCE]) == PATIENCE:
                side = "above" if mean > high else "below"
                exits.append((step, f"{label} is {mean:.2f}, {side} the {low:.2f} to {high:.2f} of the band"))
                break
    if exits:
        return "This run leaves the band of {} about step {}: {}.".format(recipe, *min(exits))
    return f"This run {'stays inside' if rows else 'is too short to compare with'} the band of {recipe}."


def results():
    """results.json: {"classic": [[step, [distance …]] …], "floor": [score …], "recipes": {name: about}, "floor_by_class"}.

    `about` is {seeds, parameters, steps, ms_a_step, "scores", "effects", "by_class" of a conditional recipe}: the last three have
    an entry for each run. "classic" holds the distances of `mlp` during training, without EMA.
    """
    return json.loads((FOLDER / "results.json").read_text())
