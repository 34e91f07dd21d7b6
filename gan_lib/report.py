"""What the command line says of a generator: tables, as text."""

from statistics import fmean, stdev

MEANINGS = {
    "frechet": "Fréchet distance of the features; training digits give the floor",
    "kernel": "kernel distance of the features; unbiased around 0",
    "precision": "share of samples that lie among real digits",
    "recall": "share of real digits that lie among samples",
    "density": "how deep among real digits the samples lie",
    "coverage": "share of real digits with a sample beside them",
    "classes": "of ten, those that are not missing",
    "kl": "divergence of the shares of the classes, in nats",
    "imbalance": "largest gap of a class's share, as a part of it",
    "confidence": "how sure the digit net is, on average",
    "novelty": "distance to the nearest training digit; test digits: 1, copies: 0",
}
EFFECTS = """\
explained: share of the attribute's variance that a straight line through z explains. own: what the step does to its
attribute. leak: to the others, root mean square. random: what a random direction of that length does to it."""
BY_CLASS = """\
read as it: share that the digit net reads as the digit asked for. The others hold the samples of a class against the test
digits of that class; in brackets, what as many training digits get."""


def measured(scores, floor):
    """`evaluation.Score`s of samples beside those of real digits, a line for each number."""
    lines = [f"{'':12}{'samples':>20}{'training digits':>20}"]
    for field, meaning in MEANINGS.items():
        columns = [mean_and_spread([getattr(score, field) for score in pile]) for pile in (scores, floor)]
        lines.append(f"{field:12}{columns[0]:>20}{columns[1]:>20}   {meaning}")
    return "\n".join(lines)


def by_class(scores, floor):
    """`evaluation.ClassScore`s, a list of ten for each pile of samples, beside those of real digits: a line for each digit."""
    fields = ("precision", "recall", "density", "coverage")
    lines = [f"{'asked for':>9}{'read as it':>12}" + "".join(f"{field:>20}" for field in fields)]
    for label, (ours, real) in enumerate(zip(zip(*scores, strict=True), zip(*floor, strict=True), strict=True)):
        line = f"{label:9}{fmean(score.right for score in ours):12.1%}"
        for field in fields:
            got, best = (fmean(getattr(score, field) for score in pile) for pile in (ours, real))
            line += f"{got:13.2f} ({best:.2f})"
        lines.append(line)
    return "\n".join([*lines, BY_CLASS])


def steered(found):
    """`latent.Effect`s, a line for each direction."""
    lines = [f"{'':12}{'explained':>10}{'own':>8}{'leak':>8}{'random':>8}"]
    lines += [f"{e.name:12}{e.explained:10.0%}{e.own:8.2f}{e.leak:8.2f}{e.random:8.2f}" for e in found]
    return "\n".join([*lines, EFFECTS])


def mean_and_spread(values):
    """As text: the mean, and the standard deviation where there are several values."""
    spread = stdev(values) if len(values) > 1 else 0
    return f"{fmean(values):.3g}" + (f" ± {spread:.2g}" if spread else "")
