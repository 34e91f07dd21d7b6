"""Both steps, the EMA and `train`: which net moves when, and that the same seed gives the same run."""

import ast
import copy
import inspect
import itertools
import math
import re
from types import SimpleNamespace

import pytest
import torch

from gan_lib import data, losses, recipes, training
from gan_lib.studies import toys

NETS = pytest.mark.parametrize("nets", recipes.PAIRS)


def parameters(net):
    return {name: value.detach().clone() for name, value in net.named_parameters()}


def gradients(net):
    return {name: value.grad.clone() for name, value in net.named_parameters() if value.grad is not None}


def play(game, images, steps, **options):
    """The records of `steps` iterations, without their time."""
    return [record._replace(seconds=0) for record in training.train(game, images, steps, **options)]


@NETS
@pytest.mark.parametrize("loss", losses.LOSSES)
@pytest.mark.parametrize("mover", ["discriminator", "generator"])
def test_a_step_updates_its_own_net_only(nets, loss, mover, new_game, images, differences):
    fresh, game, real = new_game(nets, loss=loss), new_game(nets, loss=loss), data.to_range(images[:8])
    still = {"discriminator": "generator", "generator": "discriminator"}[mover]
    step = getattr(training, f"{mover}_step")
    needs_real = mover == "discriminator" or game.loss.paired
    step(fresh, real if needs_real else None, fresh.generate(fresh.noise(8)))
    assert gradients(getattr(fresh, still)) == {}
    play(game, images, 2)  # now both have gradients from before
    before = parameters(getattr(game, still)), parameters(getattr(game, mover)), gradients(getattr(game, still))
    step(game, real, game.generate(game.noise(8)))
    assert differences(parameters(getattr(game, still)), before[0]) == []
    moved = differences(parameters(getattr(game, mover)), before[1])
    assert {name for name in before[1] if "weight" in name} <= set(moved)
    assert differences(gradients(getattr(game, still)), before[2]) == []


@pytest.mark.parametrize("mover", ["discriminator", "generator"])
def test_a_step_follows_the_gradient_of_its_own_batch(mover, new_game, images):
    game, step = new_game(loss="relativistic"), getattr(training, f"{mover}_step")
    play(game, images, 2)
    fresh, real, z = copy.deepcopy(game), data.to_range(images[:8]), game.noise(8)
    moving = list(getattr(fresh, mover).requires_grad_(True).parameters())
    logits = fresh.discriminator(real), fresh.discriminator(fresh.generator(z))
    loss = getattr(fresh.loss, mover)(*logits)
    returned = step(game, real, game.generator(z))
    expected = (loss, *logits) if mover == "discriminator" else (loss,)
    for value, wanted in zip(returned if mover == "discriminator" else (returned,), expected, strict=True):
        assert torch.allclose(value, wanted, atol=1e-6) and not value.requires_grad
    for parameter, gradient in zip(getattr(game, mover).parameters(), torch.autograd.grad(loss, moving), strict=True):
        assert torch.allclose(parameter.grad, gradient, atol=1e-6)


@pytest.mark.parametrize("name", losses.PENALTIES)
def test_a_penalty_counts_k_times_in_every_kth_iteration_and_is_not_in_the_loss_returned(name, new_game, images):
    real, plain = data.to_range(images[:8]), new_game()
    fake = plain.generate(plain.noise(8))
    without = training.discriminator_step(plain, real, fake)[0]
    for step in (0, 1, 2, 3):
        game = new_game(penalty=name, gamma=2.0, penalty_every=3)
        game.step = step
        expected = 3 * 2.0 / 2 * losses.PENALTIES[name](game.discriminator, real, fake).item() if step in (0, 3) else 0
        found = torch.as_tensor(training.gradient_penalty(game, real, fake))
        assert found.item() == pytest.approx(expected, rel=1e-5)
        assert training.discriminator_step(game, real, fake)[0].equal(without)
        both = zip(game.discriminator.parameters(), plain.discriminator.parameters(), strict=True)
        assert all(a.equal(b) for a, b in both) == (step in (1, 2))


def source(function):
    """The lines of a function without its docstring."""
    (tree,) = ast.parse(inspect.getsource(function)).body
    return [ast.unparse(line) for line in tree.body[1:]]


def test_the_loop_and_both_steps_fit_one_screen_and_mirror_each_other():
    """With the names of the nets exchanged both steps read the same, apart from logits, detach, penalty and what they return."""
    parts = (training.discriminator_step, training.generator_step, training.iteration, training.train)
    assert sum(len(inspect.getsource(part).splitlines()) + 2 for part in parts) - 2 <= 55
    other = {"generator": "discriminator", "discriminator": "generator", "g_": "d_", "d_": "g_"}
    swap = lambda line: re.sub(r"generator|discriminator|\b[gd]_", lambda word: other[word[0]], line)
    d, g = source(training.discriminator_step), source(training.generator_step)
    assert [swap(line) for line in d if swap(line) not in g] == [
        "game.generator.requires_grad_(True)",
        "fake = fake.detach()",
        "real_logits, fake_logits = game.judge_both(real, fake, y)",
        "g_loss = game.loss.generator(real_logits, fake_logits)",
        "(g_loss + gradient_penalty(game, real, fake, y)).backward()",
        "return (g_loss.detach(), real_logits.detach(), fake_logits.detach())",
    ]
    assert "game.discriminator.requires_grad_(False)" in g


@pytest.mark.parametrize(("nets", "passes"), [("mlp", [16]), ("mapped", [16]), ("dcgan", [8, 8])])
def test_d_judges_real_and_fake_in_one_pass_unless_batchnorm_would_mix_them(nets, passes, new_game, images):
    game, real, seen = new_game(nets), data.to_range(images[:8]), []
    fake = game.generate(game.noise(8)).detach()
    expected = game.discriminator(real), game.discriminator(fake)
    game.discriminator.register_forward_hook(lambda net, inputs, logits: seen.append(len(logits)))
    for found, logits in zip(game.judge_both(real, fake), expected, strict=True):
        assert torch.allclose(found, logits, atol=1e-6)
    assert seen == passes


@NETS
@pytest.mark.parametrize("loss", ["non-saturating", "relativistic"])
def test_the_fast_steps_equal_the_plain_ones_to_rounding(nets, loss, new_game, images):
    """A number in bfloat16 has eight bits: what comes of many of them is within a tenth."""
    real = data.to_range(images[:32])
    gradient = lambda net: torch.cat([p.grad.flatten() for p in net.parameters()])
    weights = lambda net: torch.cat([p.flatten() for p in net.parameters()])
    played = {}
    for dtype in (torch.float32, torch.bfloat16):
        game = new_game(nets, dtype=dtype, loss=loss, width=32)
        fake = game.generate(game.noise(32))
        d_loss, *_ = training.discriminator_step(game, real, fake)
        g_loss = training.generator_step(game, real, fake)
        training.update_average(game)
        played[dtype] = d_loss, g_loss, gradient(game.discriminator), gradient(game.generator), weights(game.average)
    plain, fast = played.values()
    for a, b in zip(plain, fast, strict=True):
        assert b.dtype is torch.float32
        assert 0 < (a - b).norm() < 0.1 * a.norm()  # and they are not the same: it was bfloat16


def test_the_penalty_is_computed_in_float32(new_game, images):
    plain, fast = (new_game("mapped", gamma=2.0, dtype=dtype) for dtype in (torch.float32, torch.bfloat16))
    real, fake = data.to_range(images[:8]), plain.generate(plain.noise(8)).detach()
    assert training.gradient_penalty(plain, real, fake).equal(training.gradient_penalty(fast, real, fake))


def test_rates_are_constant_for_a_quarter_of_the_horizon_and_then_decay_to_a_hundredth(new_game, images):
    game = new_game(batch_size=48, anneal=True, g_lr=2e-3, d_lr=1e-3)
    game.horizon = 8
    rates = lambda: [optimizer.param_groups[0]["lr"] for optimizer in (game.g_optimizer, game.d_optimizer)]
    seen = [rates() for _ in training.train(game, images, 10, record_every=1)]
    factors = [1, 1, 1, 5 / 6, 4 / 6, 3 / 6, 2 / 6, 1 / 6, 0.01, 0.01]
    assert seen == [pytest.approx([2e-3 * factor, 1e-3 * factor]) for factor in factors]
    game.step, game.horizon = 10**9, None
    training.set_learning_rates(game)
    assert rates() == [2e-3, 1e-3]


def test_each_iteration_on_points_draws_one_batch_of_the_world(monkeypatch):
    drawn, seen, step = [], [], training.discriminator_step
    world = SimpleNamespace(sample=lambda n, rng: drawn.append(torch.randn(n, 2, generator=rng)) or drawn[-1])
    watch = lambda game, real, *more: seen.append(real) or step(game, real, *more)
    monkeypatch.setattr(training, "discriminator_step", watch)
    game = training.Game(*toys.nets(width=4), latent_dim=2, batch_size=8)
    assert [record.step for record in training.train(game, world, 5, record_every=2)] == [2, 4, 5]
    assert all(real.equal(points) and real.shape == (8, 2) for real, points in zip(seen, drawn, strict=True))
    assert len(seen) == 5 and not seen[0].equal(seen[1])


@pytest.mark.parametrize("nets", ["mlp", "dcgan"])
def test_the_average_of_a_run_is_that_of_its_generators_with_their_statistics(nets, new_game, images):
    """BatchNorm's statistics of the last batches alone would not fit the averaged weights. It warms up over three steps."""
    game = new_game(nets, ema=0.3, g_lr=0.01)
    expected = copy.deepcopy(game.generator.state_dict())
    for step in range(6):
        play(game, images, 1)
        decay = min(0.3, (1 + step) / (10 + step))
        for name, value in game.generator.state_dict().items():
            expected[name] = decay * expected[name] + (1 - decay) * value
    for name, value in game.average.state_dict().items():
        assert name.endswith("num_batches_tracked") or torch.allclose(value, expected[name], atol=1e-6), name
    assert game.generator.training and not game.average.training
    assert not any(p.requires_grad for p in game.average.parameters())
    assert game.sampler().sample(3).equal(game.average(game.sampler().noise(3)))


@NETS
def test_two_runs_with_one_seed_are_equal_bit_for_bit(nets, new_game, images, state_of, differences):
    runs = []
    for global_seed in (1, 2):  # which must not matter, and must not change
        torch.manual_seed(global_seed)
        state, game = torch.get_rng_state(), new_game(nets, seed=7)
        runs.append((play(game, images, 9, record_every=4), state_of(game)))
        assert torch.get_rng_state().equal(state)
    assert runs[0][0] == runs[1][0]
    assert differences(runs[0][1], runs[1][1]) == []


def test_nets_noise_and_order_each_follow_from_the_seed(new_game, images):
    one, other = new_game(seed=0), new_game(seed=1)
    assert not one.noise(4).equal(other.noise(4))
    assert not next(one.generator.parameters()).equal(next(other.generator.parameters()))
    assert not next(training.real_batches(one, images))[0].equal(next(training.real_batches(other, images))[0])
    assert not one.noise(4).equal(one.noise(4))


def test_records_hold_the_means_of_their_steps(new_game, images):
    """The expected values come from a game stepped by hand, with means by `math`."""
    by_hand, seen = new_game(loss="relativistic"), []
    for real in itertools.islice(data.batches(images, 8, seed=0), 7):
        fake = by_hand.generate(by_hand.noise(8))
        d_loss, *logits = training.discriminator_step(by_hand, real, fake)
        g_loss = training.generator_step(by_hand, real, fake)
        probabilities = [sum(1 / (1 + math.exp(-a)) for a in each.tolist()) / 8 for each in logits]
        seen.append((d_loss.item(), g_loss.item(), *probabilities))
    first, last = training.train(new_game(loss="relativistic"), images, 7, record_every=4)
    assert [first[:2], last[:2]] == [(4, 32), (7, 56)]
    assert 0 < first.seconds <= last.seconds
    for record, steps in ((first, seen[:4]), (last, seen[4:])):
        expected = [sum(column) / len(steps) for column in zip(*steps, strict=True)]
        assert [record.d_loss, record.g_loss, record.d_real, record.d_fake] == pytest.approx(expected, abs=1e-6)


def test_the_callers_time_is_not_counted(new_game, images, monkeypatch):
    now = itertools.count()
    monkeypatch.setattr(training.time, "perf_counter", lambda: next(now))
    run = training.train(new_game(), images, 4, record_every=2)
    next(run)
    [next(now) for _ in range(1000)]  # the caller draws for a long while
    assert next(run).seconds == 2


def test_train_prints_nothing_and_waits_for_the_device_only_at_records(new_game, images, monkeypatch, capsys):
    waits = []
    for name in ("item", "tolist", "cpu", "numpy", "__bool__", "__float__", "__int__"):
        method = getattr(torch.Tensor, name)
        monkeypatch.setattr(torch.Tensor, name, lambda self, *a, _m=method, _n=name: waits.append(_n) or _m(self, *a))
    play(new_game("dcgan"), images, 6, record_every=3)
    assert waits == ["tolist", "tolist"]
    assert capsys.readouterr() == ("", "")


def test_a_run_that_diverges_stops_with_the_step_and_the_usual_causes(new_game, images):
    records = []
    with pytest.raises(training.Diverged, match=r"before step 10: .*(nan|inf).* learning rate too high"):
        records.extend(training.train(new_game(g_lr=1e30, d_lr=1e30), images, 50, record_every=10))
    assert records == []
