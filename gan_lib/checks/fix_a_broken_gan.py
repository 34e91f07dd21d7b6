"""Checks of the lesson on diagnosis: the change of a net's weights, and three blind runs."""

import torch
from torch.nn.utils import parameters_to_vector

from gan_lib.checks.check import NotTried, call, check, same
from gan_lib.studies import diagnosis, faults

MARKS = {  # what the curves and samples of a fault look like
    "range": "with that fault, D is ahead from the start and stays ahead, and G's digits are blurs on grey",
    "one optimiser": "with that fault, D is sure within a few dozen iterations, and g_loss climbs or oscillates",
    "learning rate": "with that fault, d_loss climbs far beyond 3",
    "swapped labels": "with that fault, D(G(z)) lies above D(x)",
    "sigmoid twice": "with that fault, D(x) and D(G(z)) stay between 0.50 and 0.73",
    "discriminator too strong": "with that fault, D is sure within a few dozen iterations, and g_loss stays level",
}


def reference_change(net, step):
    """How far step() moves the weights of a net, relative to their norm."""
    weights = lambda: parameters_to_vector(net.parameters()).detach()
    before = weights()
    step()
    return ((weights() - before).norm() / before.norm()).item()


@check
def relative_change(answer):
    """`answer(net, step)` → the norm of the change of net's weights by step(), over their norm before."""
    net, calls = torch.nn.Linear(2, 1), []
    put = lambda *w: [net.weight.data.copy_(torch.tensor([w[:2]])), net.bias.data.fill_(w[2])]
    put(3.0, 0.0, 4.0)
    got = float(call(answer, net, lambda: calls.append(put(3.0, 2.0, 8.0))))
    yield len(calls) != 1, f"it should call step() once, and it does so {len(calls)} times."
    yield got == 0, "it is 0 for weights that moved: copy them before you call step()."
    yield not same(got, 0.8**0.5), f"from (3, 0, 4) to (3, 2, 8) the change is 0.894, not {got:.3f}."


@check
def blind_runs(answer):
    """The faults of the three `faults.make_blind_runs()`, a list of names."""
    names = [faults.HEALTHY, *faults.FAULTS]
    yield not isinstance(answer, list | tuple) or len(answer) != 3, "it should be three names, one for each run."
    if ... in answer:
        raise NotTried
    for name in answer:
        yield name not in names, f"{name!r} is none of the names: {', '.join(names)}."
    for i, (name, right) in enumerate(zip(answer, faults.blind_faults(), strict=True)):
        if name != right:
            game, records, images = faults.make_blind_runs()[i]
            sign = MARKS[name] if name in MARKS else diagnosis.diagnose(records, game, images).sign
            yield True, f"the {('first', 'second', 'third')[i]} run is not {name}: {sign}."
