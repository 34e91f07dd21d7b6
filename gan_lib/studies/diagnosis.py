"""The diagnosis: what is wrong with a training run, by its records and by one iteration on trial. Lesson 07."""

import itertools
from statistics import fmean
from typing import NamedTuple

import torch

from gan_lib import training
from gan_lib.studies import dry_run

SPAN = 100  # iterations that a mean of records is taken over: within a few, a sound run may look like any fault
LEAST, MOST = 5e-5, 0.5  # sound iterations move a net by 3e-4 to 0.2 of its weights ...
LOW, HIGH = 1e-5, 5e-3  # ... at learning rates between these
ORDER = "check in this order: "


class Remark(NamedTuple):
    """What `diagnose` found."""

    fault: str  # a cause, or a symptom where several causes are possible
    sign: str  # what shows it, with the numbers
    cure: str  # what to do; after a symptom, what to check, in this order

    def __str__(self):
        return f"{self.fault}: {self.sign}; {self.cure}"


def diagnose(records, game=None, images=None):
    """The first `Remark` that there is reason for, or None.

    `training.Record`s show symptoms, once they span 100 iterations. With `game`, one iteration is played on trial and undone:
    it shows causes. `images`, as `training.real_batches` takes them, are what the game learns; without them fakes stand in.
    A run of several processes is judged by its records alone, for one process can't play without the others.
    """
    if game is None or game.team.size > 1:
        return next(symptoms(spans(records)), None)
    with dry_run.untouched(game):
        try:
            return next(mechanisms(spans(records), game, images), None)
        except RuntimeError as error:
            return Remark("a step fails", str(error).partition("\n")[0], "play one by hand and read the traceback")


def symptoms(means, probed=False):
    """Yield a `Remark` for each symptom in these means; causes that the probe has ruled out are not in its list."""
    high = max((mean.d_loss for mean in means), default=0)
    if high > 3:
        causes = "the learning rates, that the images are in [-1, 1], that losses are means over the batch, the sign of D's loss"
        yield Remark("high d_loss", f"up to {high:.3g}, and a D that can't decide pays 2 at most", ORDER + causes)
    if means and means[-1].d_fake - means[-1].d_real > 0.5:
        sign = f"D(x) ends at {means[-1].d_real:.2f}, and D(G(z)) at {means[-1].d_fake:.2f}"
        causes = "that D's loss labels real images 1 and fakes 0, that D's optimiser descends, D's learning rate"
        yield Remark("D takes fakes for real", sign, ORDER + causes)
    if sure := [mean.d_loss for mean in means if 0 <= mean.d_loss < 0.01 and mean.d_real > 0.99 and mean.d_fake < 0.01]:
        causes = "whether a gradient reaches G and moves it, whether D's step moves G, the images' range, whether fakes differ"
        causes = f"{'what else gives fakes away' if probed else causes}, D's learning rate (or add a penalty)"
        yield Remark("D is sure", f"d_loss falls to {min(sure):.4f}, and G has little to go by", ORDER + causes)


def spans(records):
    """The records, brought together to means over 100 iterations, or more where they lie further apart; without a last part.

    Those of a run that went on from a later step begin with their first, for nobody knows how far that one reaches back.
    """
    found, some, start = [], [], 0
    if records and records[0].step > SPAN:
        start = records[0].step
    for record in records:
        some.append(record)
        if record.step - start >= SPAN:
            steps = [b - a for a, b in itertools.pairwise([start, *(each.step for each in some)])]
            columns = zip(*(each[3:] for each in some), strict=True)  # behind step, images and seconds
            found.append(training.Record(*record[:3], *(fmean(column, steps) for column in columns)))
            some, start = [], record.step
    return found


def mechanisms(means, game, images):
    """Yield a `Remark` for each fault that one iteration shows, then for each of `symptoms`. Spoils the game."""
    z, other = game.noise(game.batch_size), game.noise(game.batch_size)
    if same(z) or z.equal(other):
        which = "a batch" if same(z) else "two batches"
        yield Remark("noise", f"the z of {which} are equal", "draw new z for each image")
    if images is None:
        y = torch.arange(len(z), device=z.device) % game.classes if game.classes else None
        real = game.generate(other, y).detach()
    else:
        batches = training.real_batches(game, images)
        (real, y), (later, _) = next(batches), next(batches)
        if not real.isfinite().all():
            yield Remark("data", "pixels of real images are not finite", "look at the real images")
        if same(real) or real.equal(later):
            which = "the images of a batch" if same(real) else "two batches"
            yield Remark("data", f"{which} are equal", "look at the real images, and at how they are drawn")
    for player, net in (("D", game.discriminator), ("G", game.generator)):
        if not flat(net.parameters()).isfinite().all():
            yield Remark("not a number", f"weights of {player} are not finite", ORDER + "real pixels, gradients, rates")
    training.set_learning_rates(game)
    fake, uphill, moves, average = game.generate(z, y), {}, {}, flat(game.average.parameters())
    for player in "DG":
        yield from step(game, player, z, real, fake, y, uphill, moves)
    if uphill.get("D") and uphill.get("G") is False:  # both: their logits are high for fakes, and that is sound
        cure = "label real images 1 and fakes 0 in D's loss, and let D's optimiser descend"
        yield Remark("swapped labels", "D's step takes real images for fakes", cure)
    if uphill.get("G") and uphill.get("D") is False:
        yield Remark("wrong sign", "G's step lowers D(G(z))", "let G's loss fall where D's logits of fakes rise")
    training.update_average(game)
    if moves.get("G") and flat(game.average.parameters()).equal(average):
        yield Remark("average", "it doesn't follow G", "call update_average after G's step")
    yield from ends(game, real, fake, z, y, images is not None and real.ndim > 2)
    found = list(symptoms(means, probed=True))
    names = [remark.fault for remark in found]
    for player, rate, optimizer in zip("GD", game.rates, (game.g_optimizer, game.d_optimizer), strict=True):
        lr, move = optimizer.param_groups[0]["lr"], moves.get(player)
        if "high d_loss" in names and rate > HIGH:
            yield Remark("learning rate", f"{found[0].sign}; {player} learns at {lr:.2g}", "lower it")
        move = move and move * rate / lr if lr else move  # as before the rates fell
        if move is not None and game.step >= SPAN and (move > MOST or (move < LEAST and rate < LOW)):
            sign = f"one iteration at {lr:.2g} moves {player} by {100 * move:.2g} % of its weights"
            yield Remark("learning rate", sign, "raise it" if move < LEAST else "lower it")
    if same(fake):
        yield Remark("collapse", "all fakes are equal", ORDER + "whether G gets z, G's gradient, the learning rates")
    if moves.get("G") == 0:
        yield Remark("vanishing gradient", "that of G is 0", ORDER + "whether D is too sure, whether pixels saturate")
    if "D is sure" in names and game.rates[1] >= 10 * game.rates[0]:
        sign = f"it is sure, and learns at {game.rates[1] / game.rates[0]:.0f} times the rate of G"
        yield Remark("discriminator too strong", sign, "lower D's rate or raise G's, or add a gradient penalty")
    yield from found


def step(game, player, z, real, fake, y, uphill, moves):
    """Yield a `Remark` for each fault of a player's step. Notes whether it goes uphill, and how far it moves its net."""
    net, opponent = (game.discriminator, game.generator)[:: 1 if player == "D" else -1]
    optimizer, params = game.d_optimizer if player == "D" else game.g_optimizer, list(net.parameters())
    wanted = expected(game, player, params, real, fake, y)
    if wanted is None:
        causes = f"that {player} has requires_grad, that the fakes are made without detach or no_grad"
        yield Remark("no gradient", f"the loss of {player} doesn't depend on its weights", ORDER + causes)
    was, were, stale, trail = flat(params), flat(opponent.parameters()), slope(params), slope(opponent.parameters())
    found, there = play(game, player, optimizer, params, real, fake, y), slope(opponent.parameters())
    if player == "D" and there.any() and not there.equal(trail):
        yield Remark("no detach", "a gradient of D's loss reaches G", "detach the fakes in D's step")
    held = {id(weights) for group in optimizer.param_groups for weights in group["params"]}
    mine, foreign = (sum(id(weights) in held for weights in each) for each in (params, opponent.parameters()))
    if foreign or mine < len(params):
        sign = f"{player}'s holds {mine} of the {len(params)} tensors of {player}, and {foreign} of its opponent's"
        yield Remark("optimiser", sign, "give each net an optimiser of its own, made from its parameters()")
    if not flat(opponent.parameters()).equal(were):
        yield Remark("optimiser", f"{player}'s step moves its opponent", "step the optimiser of one net only")
    if not net.training and any(
        isinstance(part, (torch.nn.modules.batchnorm._BatchNorm, torch.nn.Dropout)) for part in net.modules()
    ):
        yield Remark("eval mode", f"{player} trains in it", f"call train() on {player} before its step")
    if found is None:
        for _ in range(10):  # it may be left out at times
            game.step += 1
            if play(game, player, optimizer, params, real, game.generate(z, y), y):
                return
        return (yield Remark("optimiser", f"{player}'s is never told to step", "call its step() after backward()"))
    gradient, count = found
    if not gradient.isfinite().all():
        yield Remark("not a number", f"gradients of {player} are not finite", "look for log, sqrt or division by 0")
    if not gradient.any() and wanted.any():
        causes = "that zero_grad comes before backward, that the fakes are not detached"
        yield Remark("no gradient", f"none reaches {player} in its step", ORDER + causes)
    if 0 < count < len(params):
        sign = f"none reaches {len(params) - count} of the {len(params)} tensors of {player}"
        yield Remark("no gradient", sign, "see that they have requires_grad, and that forward uses them")
    if stale.any() and (gradient - wanted - stale).norm() < 0.1 * stale.norm():
        yield Remark("stale gradients", f"{player}'s step adds to those from before", "call zero_grad before backward")
    against = torch.cosine_similarity(gradient, wanted, dim=0).item() < -0.5
    even, up = torch.zeros(2), torch.full((2,), 0.1)  # logits where D is undecided, and where one player does better
    loss, better = (game.loss.discriminator, (up, -up)) if player == "D" else (game.loss.generator, (even, up))
    climbs = optimizer.param_groups[0].get("maximize", False)
    uphill[player] = against ^ climbs ^ bool(loss(*better) > loss(even, even))
    if gradient.any() or player == "G":  # where D has its margin, hinge has no gradient, and that is sound
        moves[player] = ((flat(params) - was).norm() / was.norm()).item() * gradient.any().item()


def expected(game, player, params, real, fake, y):
    """The gradient of a player's loss as one tensor [n]; None where the loss doesn't depend on its weights."""
    game.discriminator.requires_grad_(True)
    if player == "D":
        loss = game.loss.discriminator(*game.judge_both(real, fake.detach(), y))
        loss = loss + training.gradient_penalty(game, real, fake.detach(), y)
    else:
        loss = game.loss.generator(game.judge(real, y) if game.loss.paired else None, game.judge(fake, y))
    learnt = [weights for weights in params if weights.requires_grad and loss.requires_grad]
    found = torch.autograd.grad(loss, learnt, retain_graph=True, allow_unused=True) if learnt else []
    known = {weights: gradient for weights, gradient in zip(learnt, found, strict=False) if gradient is not None}
    return flat(known.get(weights, torch.zeros_like(weights)) for weights in params) if known else None


def play(game, player, optimizer, params, *batch):
    """Play a step. Returns the gradient when `optimizer` steps, and how many tensors have one; None where it doesn't."""
    seen = []
    look = lambda *_: seen.append((slope(params), sum(weights.grad is not None for weights in params)))
    hook = optimizer.register_step_pre_hook(look)
    try:
        (training.discriminator_step if player == "D" else training.generator_step)(game, *batch)
    finally:
        hook.remove()
    return seen[-1] if seen else None


@torch.no_grad()
def ends(game, real, fake, z, y, range_matters):
    """Yield a `Remark` where the end of a net bounds what should have no bound, or the other way round. Spoils the weights."""
    game.generator.eval()
    some, few, pushed = real[:16], None if y is None else y[:16], []
    for factor in (10, 1, 1):  # nets of random weights, larger than any that are learnt
        for each in (*game.generator.parameters(), *game.discriminator.parameters()):
            each.mul_(factor * torch.randn_like(each))
        logits = [game.judge(10 * images, few) for images in (some, torch.randn_like(some))]
        pushed.append((torch.cat(logits), game.generate(10 * z[:16], few)))
    low, high = (end.item() for end in torch.cat([logits for logits, _ in pushed]).aminmax())
    if abs(high - 1) < 0.01 and min(abs(low), abs(low + 1)) < 0.01:
        best, loss = torch.ones(2), game.loss.discriminator
        if loss(best * high, best * low) > loss(10 * best, -10 * best) + 0.1:
            sign = f"D's logits end at {low:.2f} and {high:.2f}, however large the weights"
            yield Remark("bounded logits" if low < -0.5 else "sigmoid twice", sign, "let D end in a linear layer")
    if not range_matters:
        return
    pixels = real, torch.cat([fakes for _, fakes in pushed]), fake
    (low, high), (bottom, top), (least, most) = ([end.item() for end in each.aminmax()] for each in pixels)
    seen, can = high - low, top - bottom
    beyond = low < bottom - 0.05 * can or high > top + 0.05 * can
    if beyond or (can < 10 * seen and (low > bottom + 0.25 * can or high < top - 0.25 * can)):
        sign = f"real pixels lie from {low:.2f} to {high:.2f}, and G's can from {bottom:.2f} to {top:.2f}"
        yield Remark("range", sign, "bring both to [-1, 1] (data.to_range, tanh)")
    if can > 10 * seen and (least < low - seen / 2 or most > high + seen / 2):
        sign = f"real pixels lie from {low:.2f} to {high:.2f}, and G's, without an end, from {least:.2f} to {most:.2f}"
        yield Remark("unbounded pixels", sign, "let G end in tanh")


def flat(tensors):
    """Tensors as one, [n]."""
    return torch.cat([tensor.detach().flatten() for tensor in tensors])


def slope(params):
    """The gradient of a net's weights as one tensor [n], 0 where there is none."""
    return flat(torch.zeros_like(weights) if weights.grad is None else weights.grad for weights in params)


def same(batch):
    """Whether all of a batch [N, ...] are equal."""
    return len(batch) > 1 and bool((batch - batch[0]).abs().max() < 1e-3)
