"""Reference runs to compare a run with: several seeds of each recipe, from tools/make_reference.py. Introduced in lesson 02.

gan_lib/reference/ holds RECIPE.csv, up to 60 rows of means for each seed, and results.json, scores of the finished generators.
"""

import csv
import json
import math
from importlib import resources
from itertools import pairwise
from statistics import fmean, variance

from gan_lib import UserError

FOLDER = resources.files("gan_lib") / "reference"
LABELS = {"d_loss": "d_loss", "g_loss": "g_loss", "d_real": "D(x)", "d_fake": "D(G(z))"}
PATIENCE = 3  # a run has left the band after so many rows outside it, one after another


def names():
    """The recipes that have reference runs."""
    return sorted(path.name.removesuffix(".csv") for path in FOLDER.iterdir() if path.name.endswith(".csv"))


class Reference:
    """The reference runs of a recipe, all seeds together. Raises `UserError` for a recipe that has none."""

    def __init__(self, recipe):
        if recipe not in names():
            raise UserError(f"There are no reference runs of {recipe!r}; choose one of: {', '.join(names())}.")
        self.recipe, by_step = recipe, {}
        with (FOLDER / f"{recipe}.csv").open(newline="") as file:
            for row in csv.DictReader(file):
                by_step.setdefault(int(row["step"]), []).append(row)
        self.steps, self.rows = list(by_step), list(by_step.values())  # the last step of each row; a row for each seed

    def band(self, field):
        """The lowest and the highest value to expect in each row: two lists, of d_loss, g_loss, d_real or d_fake.

        The mean over the seeds ± 4 standard deviations. Five seeds give a poor estimate of a deviation, so each row's is
        pooled with those of five rows to either side.
        """
        rows = [[float(run[field]) for run in row] for row in self.rows]
        pooled = [math.sqrt(fmean(map(variance, rows[max(0, i - 5) : i + 6]))) for i in range(len(rows))]
        return [[fmean(row) + k * deviation for row, deviation in zip(rows, pooled, strict=True)] for k in (-4, 4)]

    def remark(self, records):
        """A sentence that says where the run of `records` first leaves the band, or that it stays inside."""
        exits = []
        for field, label in LABELS.items():
            rows = list(zip(self.steps, *self.band(field), means_until(records, field, self.steps), strict=False))
            outside = [not low <= mean <= high for _, low, high, mean in rows]
            for i, (step, low, high, mean) in enumerate(rows):
                if sum(outside[i : i + PATIENCE]) == PATIENCE:
                    side = "above" if mean > high else "below"
                    exits.append((step, f"{label} is {mean:.2f}, {side} the {low:.2f} to {high:.2f} of the band"))
                    break
        if exits:
            return "This run leaves the band of {} about step {}: {}.".format(self.recipe, *min(exits))
        return f"This run {'stays inside' if rows else 'is too short to compare with'} the band of {self.recipe}."


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


def results():
    """results.json: {"classic": [[step, [distance …]] …], "floor": [score …], "recipes": {name: about}, "floor_by_class"}.

    `about` is {seeds, parameters, steps, ms_a_step, "scores", "effects", "by_class" of a conditional recipe}: the last three have
    an entry for each run. "classic" holds the distances of `mlp` during training, without EMA.
    """
    return json.loads((FOLDER / "results.json").read_text())
