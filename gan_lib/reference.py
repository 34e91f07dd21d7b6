"""Runs to hold yours against: what several seeds of each recipe gave. Introduced in lesson 02.

`python tools/reference.py` makes the files in gan_lib/reference/: RECIPE.csv, the course of each run in up to 60 rows of
means, and results.json, the scores of the finished generators.
"""

import csv
import json
import math
from importlib import resources
from statistics import fmean, stdev, variance
from typing import NamedTuple

FOLDER = resources.files("gan_lib") / "reference"
LABELS = {"d_loss": "d_loss", "g_loss": "g_loss", "d_real": "D(x)", "d_fake": "D(G(z))"}
REACH = 4  # standard deviations from the mean of the seeds to the edge of the band
PATIENCE = 3  # rows in a row outside it, and a run has left it
PUBLISHED = (  # on stacked digits: who, modes of 1,000, KL in nats, where that stands
    ("DCGAN", "99", "3.40", "Srivastava et al. 2017"),
    ("DCGAN, run again", "78.9", "4.50", "Lin et al. 2017"),
    ("VEEGAN", "150", "2.95", "Srivastava et al. 2017"),
    ("PacDCGAN2", "1000", "0.06", "Lin et al. 2017"),
    ("StyleGAN2", "940", "0.42", "Huang et al. 2025"),
    ("vanilla loss, R1 + R2", "693", "0.93", "Huang et al. 2025"),
    ("relativistic loss, R1 + R2", "1000", "0.078", "Huang et al. 2025"),
    ("R3GAN", "1000", "0.029", "Huang et al. 2025"),
)


ARMS = {  # what the classifiers of tools/augment.py learn from
    "real": "real digits",
    "own": "+ a generator of these",
    "all": "+ the generator of all 60,000",
    "synthetic": "generated digits only",
}


class Band(NamedTuple):
    """Between which values the reference runs went, row by row."""

    steps: list  # the last step of each row
    low: list
    high: list


def names():
    """The recipes that have reference runs."""
    return sorted(path.name.removesuffix(".csv") for path in FOLDER.iterdir() if path.name.endswith(".csv"))


def course(recipe):
    """The rows of RECIPE.csv by step, in order: {step: [a dict of floats for each seed]}; what is not known is nan."""
    if recipe not in names():
        raise ValueError(f"There are no reference runs of {recipe!r}; choose one of: {', '.join(names())}.")
    by_step = {}
    with (FOLDER / f"{recipe}.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            by_step.setdefault(int(row["step"]), []).append({key: float(value or "nan") for key, value in row.items()})
    return by_step


def band(recipe, field):
    """The mean of the seeds ± 4 standard deviations, of d_loss, g_loss, d_real or d_fake.

    Five seeds tell little of a deviation, so that of a row is pooled with the five rows before it and after it.
    """
    by_step = course(recipe)
    rows = [[seed[field] for seed in seeds] for seeds in by_step.values()]
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


def table():
    """`results` as a Markdown table, a row for each recipe and the floor above them: means ± standard deviations."""
    fields = ("frechet", "precision", "recall", "density", "coverage", "classes")
    heads = ("recipe", "parameters", "minutes", "runs", "Fréchet distance", *fields[1:])
    lines = [heads, ["---"] + ["---:"] * (len(heads) - 1)]
    found = results()
    lines.append(["*real digits*", "", "", str(len(found["floor"])), *scored(found["floor"], fields)])
    for name, about in found["recipes"].items():
        minutes = about["steps"] * about["ms_a_step"] / 60_000
        size, runs = f"{about['parameters']:,}", str(len(about["scores"]))
        rows = {f"`{name}`": about["scores"]}
        if "untruncated" in about:
            rows = {f"`{name}`, ψ = 1": about["untruncated"], f"`{name}`, ψ = {about['truncation']}": about["scores"]}
        lines += [[label, size, f"{minutes:.1f}", runs, *scored(scores, fields)] for label, scores in rows.items()]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def class_table(recipe="cgan"):
    """How `recipe` answers, a row for each digit, as Markdown: means over the runs, and in brackets what training digits get."""
    fields = ("precision", "recall", "density", "coverage")
    lines = [("asked for", "read as it", *fields), ["---"] + ["---:"] * 5]
    found = results()
    ours, floor = (
        zip(*scores, strict=True) for scores in (found["recipes"][recipe]["by_class"], found["floor_by_class"])
    )
    for digit, piles in enumerate(zip(ours, floor, strict=True)):  # of this digit, one score for each run
        means = [{field: fmean(score[field] for score in pile) for field in ("right", *fields)} for pile in piles]
        cells = [f"{means[0][field]:.2f} ({means[1][field]:.2f})" for field in fields]
        lines.append([str(digit), f"{means[0]['right']:.1%}", *cells])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def directions_table():
    """The directions of `results` as a Markdown table, a row for each attribute of each recipe: means over the runs."""
    lines = [("recipe", "attribute", "explained", "own", "leak", "random"), ["---"] * 2 + ["---:"] * 4]
    for recipe, about in results()["recipes"].items():
        for effects in zip(*about.get("effects", []), strict=True):  # of one attribute, one for each run
            means = [f"{fmean(e['explained'] for e in effects):.0%}", *scored(effects, ("own", "leak", "random"))]
            lines.append([f"`{recipe}`", effects[0]["name"], *means])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def stacked():
    """stacked.json, by tools/stacked.py: {"floor": modes, "runs": [{recipe, seed, step, seconds, threads, found, kl} …]}, where
    found and kl are those of `stacked.Modes`; a run has a row for each moment at which it was counted.
    """
    return json.loads((FOLDER / "stacked.json").read_text())


def stacked_table():
    """`stacked` at the last step that all recipes reached, beside `PUBLISHED`, in Markdown: means ± standard deviations."""
    floor, runs = stacked().values()
    names = dict.fromkeys(run["recipe"] for run in runs)
    last = min(max(run["step"] for run in runs if run["recipe"] == name) for name in names)
    lines = [("", "runs", "modes of 1,000", "KL, nats", "whose"), ["---", "---:", "---:", "---:", "---"]]
    lines.append(["*real test digits*", "1", *counted([floor]), "ours"])
    for name in names:
        ours = [run for run in runs if (run["recipe"], run["step"]) == (name, last)]
        lines.append([f"`{name}`", str(len(ours)), *counted(ours), f"ours, {last:,} steps"])
    lines += [[who, "", *figures] for who, *figures in PUBLISHED]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def augmentation():
    """augmentation.json, by tools/augment.py: [{arm, per_class, seed, plain, jitter} …], the last two being the shares of the
    test digits that a classifier reads, trained without and with jitter. Of "own" and "synthetic" it also tells what the
    generator makes: its Fréchet distance, `augmentation.novelty`, and the share of its digits that show what was asked for.
    """
    return json.loads((FOLDER / "augmentation.json").read_text())


def errors(how, *arms):
    """{real digits a class: [the share of test digits read wrongly, in %, for each seed]}; how is "plain" or "jitter"."""
    return {count: [100 - 100 * value for value in values] for count, values in by_count(how, *arms).items()}


def by_count(field, *arms):
    """{real digits a class: [a field of `augmentation` for each seed]} of these arms."""
    rows = [row for row in augmentation() if row["arm"] in arms]
    return {
        count: [row[field] for row in rows if row["per_class"] == count]
        for count in sorted({r["per_class"] for r in rows})
    }


def augmentation_table():
    """`errors` as a Markdown table, a row for each number of real digits, and how good the generators are: means ± deviations."""
    columns = [errors(how, *arms) for how in ("plain", "jitter") for arms in (["real"], ["own"], ["all", "synthetic"])]
    columns += [by_count(field, "own", "synthetic") for field in ("novelty", "as_asked")]
    heads = [label for arm, label in ARMS.items() if arm != "synthetic"]
    lines = [["real digits a class", *heads, *(f"{head}, jitter" for head in heads), "novelty", "as asked"]]
    lines.append(["---:"] * len(lines[0]))
    for count in sorted(columns[2], key=lambda count: count or math.inf):
        lines.append([f"{count:,}" if count else "none", *(told(column.get(count, []), 2) for column in columns)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def counted(runs):
    """The cells of `stacked_table` for these runs."""
    return [told([run[field] for run in runs], places) for field, places in (("found", 0), ("kl", 3))]


def told(values, places):
    """Mean ± standard deviation; that of one value has no spread, and no values are an empty cell."""
    if not values:
        return ""
    spread = f" ± {stdev(values):.{places}f}" if len(values) > 1 else ""
    return f"{fmean(values):.{places}f}{spread}"


def scored(scores, fields):
    """The cells of `table` for these scores; a spread that rounds to nothing, or that of one run, is left out."""
    for field in fields:
        values = [score[field] for score in scores]
        mean = f"{fmean(values):.3g}" if field == "classes" else f"{fmean(values):.2f}"
        spread = f"{stdev(values):.2f}" if len(values) > 1 else "0.00"
        yield mean if spread == "0.00" else f"{mean} ± {spread}"
