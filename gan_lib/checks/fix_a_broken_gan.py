"""Checks of the lesson on diagnosis: three blind runs."""

from gan_lib.checks.check import NotTried, check
from gan_lib.studies import diagnosis, faults

MARKS = {  # what the curves and samples of a fault look like
    "range": "D is ahead from the start and stays ahead, and G's digits are blurs on grey",
    "no detach": "D is sure within a few dozen iterations, and g_loss climbs or oscillates",
    "learning rate": "d_loss climbs far beyond 3",
    "swapped labels": "D(G(z)) lies above D(x)",
    "sigmoid twice": "D(x) and D(G(z)) stay between 0.50 and 0.73",
    "discriminator too strong": "D is sure within a few dozen iterations, and g_loss stays level",
}


@check
def blind_runs(answer):
    """The faults of the three `faults.make_blind_runs()`, a list of names."""
    names = [faults.HEALTHY, *faults.FAULTS]
    three = isinstance(answer, list | tuple) and len(answer) == 3
    yield not three, "it should be a list of three names, one for each run."
    if ... in answer:
        raise NotTried
    for name in answer:
        yield name not in names, f"{name!r} is none of the names: {', '.join(names)}."
    for i, (name, right) in enumerate(zip(answer, faults.blind_faults(), strict=True)):
        if name != right:
            game, records, images = faults.make_blind_runs()[i]
            sign = (
                f"with that fault, {MARKS[name]}" if name in MARKS else diagnosis.diagnose(records, game, images).sign
            )
            yield True, f"the {('first', 'second', 'third')[i]} run is not {name}: {sign}."
