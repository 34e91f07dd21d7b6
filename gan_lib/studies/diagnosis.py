"""Diagnosis of a training run, from its records and from one trial iteration that is undone. Introduced in lesson 08."""

import itertools
from statistics import fmean
from typing import NamedTuple

import torch

from gan_lib import training
from gan_lib.studies.dry_run import Trial, flatten, flatten_gradient, untouched

SPAN = 100  # iterations per mean: over fewer, the records of a sound run can look like those of any fault
LEAST, MOST = 5e-5, 0.5  # one iteration of a sound run changes a net by 3e-4 to 0.2 of its weights' norm ...
LOW, HIGH = 1e-5, 5e-3  # ... at learning rates between these
HAVE_MODES = torch.nn.modules.batchnorm._BatchNorm, torch.nn.Dropout  # train and eval mode differ
ORDER = "check in this order: "


class Remark(NamedTuple):
    """What `diagnose` found."""

    fault: str  # a cause, or a symptom where several causes are possible
    sign: str  # the evidence, with numbers
    cure: str  # what to do; after a symptom, what to check, most likely cause first

    def __str__(self):
        return f"{self.fault}: {self.sign}; {self.cure}"


def diagnose(records, game=None, images=None):
    """The most basic fault of a training run as a `Remark`, or None.

    `training.Record`s show symptoms, once they span 100 iterations. With `game`, one iteration is run and undone: it shows
    causes. `images` are the training data, as `training.real_batches` takes them; without them fakes stand in. A run on
    several processes is judged by its records alone, because one process can't run an iteration without the others.
    """
    means = spans(records)
    if game is None or game.team.size > 1:
        return next(symptoms(means), None)
    with untouched(game):
        try:
            trial = Trial(game, images)
            remark = check_inputs(trial) or check_step(trial, "D") or check_step(trial, "G") or check_outputs(trial)
            return remark or check_results(trial, means) or next(symptoms(means, causes_excluded=True), None)
        except RuntimeError as error:
            return Remark("a step fails", str(error).partition("\n")[0], "run one by hand and read the traceback")


def spans(records):
    """Means of the records over 100 iterations each, or over one record where records are further apart.

    An incomplete span at the end is left out. If the first record is past step 100, the spans begin with it.
    """
    means, span, start = [], [], records[0].step if records and records[0].step > SPAN else 0
    for record in records:
        span.append(record)
        if record.step - start >= SPAN:
            steps = [b - a for a, b in itertools.pairwise([start, *(each.step for each in span)])]
            columns = zip(*(each[3:] for each in span), strict=True)  # after step, images and seconds
            means.append(training.Record(*record[:3], *(fmean(column, steps) for column in columns)))
            span, start = [], record.step
    return means


def symptoms(means, causes_excluded=False):
    """Yield a `Remark` for each symptom in `means` (see `spans`). `causes_excluded`: a trial iteration has shown no cause."""
    high = max((mean.d_loss for mean in means), default=0)
    if high > 3:
        causes = "the learning rates, that the images are in [-1, 1], that losses are means over the batch, the sign of D's loss"
        yield Remark("high d_loss", f"d_loss reaches {high:.3g}; in healthy runs it stays below 3", ORDER + causes)
    if means and means[-1].d_fake - means[-1].d_real > 0.5:
        sign = f"D(x) ends at {means[-1].d_real:.2f}, and D(G(z)) at {means[-1].d_fake:.2f}"
        causes = "that D's loss labels real images 1 and fakes 0, that D's optimiser minimises it, D's learning rate"
        yield Remark("D takes fakes for real", sign, ORDER + causes)
    if sure := [mean.d_loss for mean in means if 0 <= mean.d_loss < 0.01 and mean.d_real > 0.99 and mean.d_fake < 0.01]:
        causes = "whether a gradient reaches G and moves it, whether D's step moves G, the images' range, whether fakes differ"
        causes = f"{'what else gives fakes away' if causes_excluded else causes}, D's learning rate (or add a penalty)"
        yield Remark("D is sure", f"d_loss falls to {min(sure):.4f}, so G learns little from D", ORDER + causes)


# Each check returns a `Remark` or None. A fault is checked before the effects that it has on later checks.


def check_inputs(trial):
    """Noise, real images, and the weights before the iteration."""
    for fault, batch, later in trial.inputs:
        equal = "a batch" if same(batch) else "two batches" if batch.equal(later) else None
        sign = f"values of {equal} are equal" if equal else "values are not finite"
        if equal or not batch.isfinite().all():
            return Remark(fault, sign, "look at the values, and at how they are drawn")
    for player, (net, _) in trial.players.items():
        if not flatten(net.parameters()).isfinite().all():
            return Remark("not a number", f"in the weights of {player}", ORDER + "real pixels, gradients, rates")


def check_step(trial, player):
    """The step of "D" or "G"."""
    (net, optimizer), (opponent, _) = trial.players[player], trial.players["G" if player == "D" else "D"]
    weights, others = list(net.parameters()), list(opponent.parameters())
    expected = trial.expected_gradient(player, weights)
    if expected is None:
        causes = f"that {player} has requires_grad, that the fakes are made without detach or no_grad"
        return Remark("no gradient", f"the loss of {player} doesn't depend on its weights", ORDER + causes)
    before, others_before = flatten(weights), flatten(others)
    stale = flatten_gradient(weights)
    seen = trial.step(player, optimizer, weights)
    held = {id(tensor) for group in optimizer.param_groups for tensor in group["params"]}
    own, foreign = (sum(id(tensor) in held for tensor in tensors) for tensors in (weights, others))
    if foreign or own < len(weights):
        sign = f"{player}'s optimiser holds {own} of the {len(weights)} tensors of {player}, and {foreign} of its opponent's"
        fault = "one optimiser" if foreign and own else "optimiser"
        return Remark(fault, sign, "give each net its own optimiser, made from its parameters()")
    if not flatten(others).equal(others_before):
        return Remark("optimiser", f"{player}'s step moves its opponent", "step the optimiser of one net only")
    if not net.training and any(isinstance(layer, HAVE_MODES) for layer in net.modules()):
        return Remark("eval mode", f"{player} is trained in it", f"call train() on {player} before its step")
    if seen is None:
        return Remark("optimiser", f"{player}'s never steps", "call its step() after backward()")
    found, count, times = seen
    if times > 1:  # an optimiser that doesn't step in each iteration
        return None
    if not found.isfinite().all():
        return Remark("not a number", f"in the gradients of {player}", "look for log, sqrt or division by 0")
    if not found.any() and expected.any():
        causes = "that zero_grad comes before backward, that the fakes are not detached"
        return Remark("no gradient", f"none reaches {player} in its step", ORDER + causes)
    if 0 < count < len(weights):
        sign = f"none reaches {len(weights) - count} of the {len(weights)} tensors of {player}"
        return Remark("no gradient", sign, "check that they have requires_grad, and that forward uses them")
    if stale.any() and (found - expected - stale).norm() < 0.1 * stale.norm():
        return Remark("stale gradients", f"{player}'s step adds to earlier ones", "call zero_grad before backward")
    against = torch.cosine_similarity(found, expected, dim=0).item() < -0.5
    even, up = torch.zeros(2), torch.full((2,), 0.1)  # logits of an undecided D, and where the player does better
    loss = trial.game.loss
    loss, better = (loss.discriminator, (up, -up)) if player == "D" else (loss.generator, (even, up))
    maximize = optimizer.param_groups[0].get("maximize", False)
    trial.uphill[player] = against ^ maximize ^ bool(loss(*better) > loss(even, even))
    if found.any() or player == "G":  # beyond the margin the hinge loss of D has no gradient, and that is sound
        trial.change[player] = ((flatten(weights) - before).norm() / before.norm()).item() * found.any().item()


@torch.no_grad()
def check_outputs(trial):
    """The ranges that the nets' outputs can reach, with large random weights. The weights stay so."""
    game, real, z, y = trial.game, trial.real[:16], 10 * trial.z[:16], None if trial.y is None else trial.y[:16]
    logits, fakes = [], []
    game.generator.eval()
    for factor in (10, 1, 1):
        for tensor in (*game.generator.parameters(), *game.discriminator.parameters()):
            tensor.mul_(factor * torch.randn_like(tensor))
        logits += [game.judge(10 * images, y) for images in (real, torch.randn_like(real))]
        fakes.append(game.generate(z, y))
    (low, high), loss = torch.cat(logits).aminmax(), game.loss.discriminator
    ends_at_1 = abs(high - 1) < 0.01 and min(abs(low), abs(low + 1)) < 0.01
    if ends_at_1 and loss(high, low) > loss(torch.full_like(high, 10), torch.full_like(high, -10)) + 0.1:
        sign = f"D's logits stay between {low:.2f} and {high:.2f}, however large its weights"
        return Remark("bounded logits" if low < -0.5 else "sigmoid twice", sign, "end D with a linear layer")
    if len(trial.inputs) == 1 or real.ndim == 2:  # no real images, or points, which have no range
        return None
    (low, high), (bottom, top), (least, most) = (x.aminmax() for x in (trial.real, torch.cat(fakes), trial.fake))
    width, reach, sign = high - low, top - bottom, f"real pixels lie in [{low:.2f}, {high:.2f}], and G's "
    beyond = low < bottom - 0.05 * reach or high > top + 0.05 * reach
    if beyond or (reach < 10 * width and (low > bottom + 0.25 * reach or high < top - 0.25 * reach)):
        return Remark("range", f"{sign}can lie in [{bottom:.2f}, {top:.2f}]", "use data.to_range, and end G with tanh")
    if reach > 10 * width and (least < low - width / 2 or most > high + width / 2):
        return Remark("unbounded pixels", f"{sign}in [{least:.2f}, {most:.2f}], without a bound", "end G with tanh")


def check_results(trial, means):
    """What the whole iteration and the records show together."""
    game, remarks = trial.game, {remark.fault: remark for remark in symptoms(means)}
    uphill = trial.uphill.get("D"), trial.uphill.get("G")  # both are True where logits are high for fakes: sound
    if uphill == (True, False):
        cure = "label real images 1 and fakes 0 in D's loss, and let D's optimiser minimise it"
        return Remark("swapped labels", "D's step lowers D(x) and raises D(G(z))", cure)
    if uphill == (False, True):
        return Remark("wrong sign", "G's step lowers D(G(z))", "G's loss must fall as D's logits of fakes rise")
    training.update_average(game)
    if trial.change.get("G") and flatten(game.average.parameters()).equal(trial.average):
        return Remark("average", "the EMA doesn't follow G", "call update_average after G's step")
    rates = dict(zip("GD", game.rates, strict=True))
    lrs = {player: trial.players[player][1].param_groups[0]["lr"] for player in rates}
    high = [f"{player}'s learning rate is {lrs[player]:.2g}" for player in rates if rates[player] > HIGH]
    if "high d_loss" in remarks and high:
        sign = f"{remarks['high d_loss'].sign}; {' and '.join(high)}"
        return Remark("learning rate", sign, "lower it" if len(high) == 1 else "lower both")
    for player, rate in rates.items():
        lr, change = lrs[player], trial.change.get(player)
        change = change and change * rate / lr if lr else change  # as if the rate had not decayed
        if change is not None and game.step >= SPAN and (change > MOST or (change < LEAST and rate < LOW)):
            sign = f"one iteration at {lr:.2g} changes the weights of {player} by {100 * change:.2g} %"
            return Remark("learning rate", sign, "raise it" if change < LEAST else "lower it")
    if same(trial.fake):
        return Remark("collapse", "all fakes are equal", ORDER + "whether G gets z, G's gradient, the learning rates")
    if trial.change.get("G") == 0:
        return Remark("vanishing gradient", "G's is 0", ORDER + "whether D is too sure, whether pixels saturate")
    if "D is sure" in remarks and game.rates[1] >= 10 * game.rates[0]:
        sign = f"d_loss is near 0, and D's learning rate is {game.rates[1] / game.rates[0]:.0f} times that of G"
        return Remark("discriminator too strong", sign, "lower D's rate or raise G's, or add a gradient penalty")


def same(batch):
    """Whether all elements of a batch [N, ...] are equal."""
    return len(batch) > 1 and bool((batch - batch[0]).abs().max() < 1e-3)
