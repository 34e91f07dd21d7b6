"""Numbers as text: columns for the command line, Markdown for README and docs/, and plain values for JSON."""

from statistics import fmean, stdev
from typing import get_type_hints

from gan_lib.evaluation import Score

MEANINGS = {field: hint.__metadata__[0] for field, hint in get_type_hints(Score, include_extras=True).items()}
EFFECTS = """\
R²: of a linear fit of the attribute on z. own: the effect of one step on its attribute. leak: on the others, root mean square.
random: the effect of a random direction of that length on the attribute."""
BY_CLASS = """\
read as it: share of the samples of a label that the digit net reads as that digit. The others compare the samples of a label
with the test digits of that label; in brackets, what as many training digits get."""


def scores(found, floor):
    """A line for each number of `evaluation.Score`: of samples, and beside them of real digits."""
    lines = [f"{'':12}{'samples':>20}{'training digits':>20}"]
    for field, meaning in MEANINGS.items():
        columns = [mean_and_deviation([getattr(score, field) for score in each]) for each in (found, floor)]
        lines.append(f"{field:12}{columns[0]:>20}{columns[1]:>20}   {meaning}")
    return "\n".join(lines)


def class_scores(found, floor):
    """A line for each label: means of `ClassScore`s, ten for each set of samples, and beside them of training digits."""
    fields = ("precision", "recall", "density", "coverage")
    lines = [f"{'label':>9}{'read as it':>12}" + "".join(f"{field:>20}" for field in fields)]
    for label, (ours, real) in enumerate(zip(zip(*found, strict=True), zip(*floor, strict=True), strict=True)):
        line = f"{label:9}{fmean(score.right for score in ours):12.1%}"
        for field in fields:
            got, best = (fmean(getattr(score, field) for score in each) for each in (ours, real))
            line += f"{got:13.2f} ({best:.2f})"
        lines.append(line)
    return "\n".join([*lines, BY_CLASS])


def effects(found):
    """A line for each direction: its `studies.effects.Effect`."""
    lines = [f"{'':12}{'R²':>10}{'own':>8}{'leak':>8}{'random':>8}"]
    lines += [f"{e.name:12}{e.explained:10.0%}{e.own:8.2f}{e.leak:8.2f}{e.random:8.2f}" for e in found]
    return "\n".join([*lines, EFFECTS])


def markdown(sides, heads, rows):
    """A Markdown table of cells that are text; `sides` aligns the columns, as "llr" does three of them."""
    lines = [heads, [{"l": "---", "r": "---:"}[side] for side in sides], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def mean_and_deviation(values, mean=".3g", deviation=".2g", zeros=False):
    """Mean ± standard deviation as text, in these formats: not of one value, nor, without `zeros`, one that rounds to 0."""
    spread = format(stdev(values), deviation) if len(values) > 1 else ""
    return format(fmean(values), mean) + (f" ± {spread}" if spread and (zeros or float(spread)) else "")


def plain(found):
    """Named tuples, also within lists and dicts, as dicts for JSON."""
    if isinstance(found, dict):
        return {key: plain(value) for key, value in found.items()}
    return found._asdict() if hasattr(found, "_asdict") else [plain(each) for each in found]
