"""The diagnosis names the causes of many faults, has no remark on sound runs, and changes nothing; and the blind runs."""

import contextlib
import copy
import csv
import dataclasses
from types import SimpleNamespace

import pytest
import torch

from gan_lib import UserError, data, hardware, losses, recipes, reference, training
from gan_lib.checks.fix_a_broken_gan import blind_runs
from gan_lib.studies import diagnosis, faults, toys
from gan_lib.studies.diagnosis import diagnose
from gan_lib.studies.faults import FAULTS, HEALTHY
from gan_lib.training import Record
from gan_lib.widgets import dashboard
from tests import faults as breakages

SOUND = {"d_loss": 1.2, "g_loss": 1.0, "d_real": 0.6, "d_fake": 0.4}
STRONG_D = {"d_loss": 0.002, "d_real": 0.999, "d_fake": 0.001}


def course(*changes, every=100, start=0):
    """Records of a sound run, `every` iterations apart, with these changes."""
    return [Record(start + every * i, 0, 0.0, **SOUND | change) for i, change in enumerate(changes, 1)]


def small(**changes):
    """A game of `mlp-quick`, smaller."""
    return dataclasses.replace(recipes.get("mlp-quick"), width=64, batch_size=32, **changes).game(3)


def train(game, images, steps=100):
    """The records of so many iterations, or of those before a failure."""
    records = []
    with contextlib.suppress(training.Diverged, RuntimeError):
        records.extend(training.train(game, images, steps, record_every=50))
    return records


@pytest.fixture(scope="module")
def digits():
    """10,000 of the digits, uint8 [10000, 28, 28]."""
    return data.load().images[:10_000]


@pytest.mark.parametrize("name", breakages.FAULTS)
def test_a_fault_is_traced_to_its_cause(name, digits, monkeypatch):
    fault, expected, fragment = breakages.FAULTS[name]
    game = small()
    images = fault(game, digits, monkeypatch)
    records = train(game, images)
    remark = diagnose(records, game, images)
    assert remark.fault == expected
    assert fragment in str(remark)
    # with less evidence: the same, a symptom with what to check, or nothing
    for less in (diagnose(records, game), diagnose(records)):
        assert less is None or less.fault == expected or less.cure.startswith(diagnosis.ORDER)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_of_the_lesson_is_named(fault, seed):
    run = faults.train_broken(fault, seed, 200)
    remark = diagnose(run.records, run.game, run.images)
    assert remark.fault == fault
    assert str(remark) == f"{fault}: {remark.sign}; {remark.cure}"


@pytest.mark.parametrize("name", breakages.SOUND)
def test_other_ways_to_train_have_no_remark(name, digits, monkeypatch):
    game = small()
    images = breakages.SOUND[name](game, digits, monkeypatch)
    assert diagnose(train(game, images), game, images) is None


@pytest.mark.parametrize("name", recipes.RECIPES)
def test_no_recipe_has_a_remark_from_its_first_iteration_on(name):
    game, images, records = dataclasses.replace(recipes.get(name), width=16, d_width=None).game(), data.load(), []
    assert diagnose(records, game, images) is None
    for record in training.train(game, images, 120, record_every=40):
        records.append(record)
        assert diagnose(records, game, images) is None
        assert diagnose(records, game) is None


@pytest.mark.parametrize("seed", range(5))
def test_a_healthy_run_has_no_remark_at_any_record(seed):
    run = faults.train_broken(HEALTHY, seed, 200)
    assert {diagnose(run.records[:n]) for n in range(len(run.records) + 1)} == {None}
    assert diagnose(run.records, run.game, run.images) is None


def test_decayed_learning_rates_have_no_remark(digits):
    game = small(anneal=True)
    train(game, digits)
    game.step = game.horizon = 1000
    assert diagnose([], game, digits) is None
    assert game.g_optimizer.param_groups[0]["lr"] == 1e-3


@pytest.mark.parametrize("name", reference.names())
def test_finished_runs_have_no_remark(name):
    """Their rows are means over up to a sixtieth of a run."""
    seeds = {}
    with (reference.FOLDER / f"{name}.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            numbers = {field: float(row[field]) for field in SOUND}
            seeds.setdefault(row["seed"], []).append(Record(int(row["step"]), 0, 0.0, **numbers))
    assert len(seeds) >= 1
    for records in seeds.values():
        assert {diagnose(records[:n]) for n in range(len(records) + 1)} == {None}


def test_points_have_no_remark_wherever_they_lie():
    game = training.Game(*toys.nets(), latent_dim=2, g_lr=1e-2, d_lr=1e-2)
    far = SimpleNamespace(sample=lambda n, rng: 5 + torch.randn(n, 2, generator=rng))
    assert diagnose(train(game, far), game, far) is None


@pytest.mark.parametrize("name", ["dcgan", "hinge-sn", "cgan", "best"])
def test_a_diagnosed_run_equals_an_undiagnosed_one(name, state_of, differences):
    recipe, images = dataclasses.replace(recipes.get(name), width=8, d_width=None, batch_size=16), data.load()
    one, other = recipe.game(), recipe.game()

    def everything(game):
        nets, optimizers = (game.generator, game.discriminator, game.average), (game.g_optimizer, game.d_optimizer)
        weights = [w for net in nets for w in net.parameters()]
        numbers = [game.seconds, *game.rates, *(optimizer.param_groups[0]["lr"] for optimizer in optimizers)]
        numbers += [*(w.requires_grad for w in weights), *(layer.training for net in nets for layer in net.modules())]
        gradients = {f"gradient {i}": w.grad.clone() for i, w in enumerate(weights) if w.grad is not None}
        others = {"numbers": torch.tensor(numbers, dtype=torch.float64), "torch's rng": torch.get_rng_state()}
        return state_of(game) | gradients | others

    for _ in range(3):
        before = everything(one)
        assert diagnose([], one, images) is None
        assert differences(everything(one), before) == []
        a, b = ([record._replace(seconds=0) for record in training.train(game, images, 2)] for game in (one, other))
        assert a == b
        assert differences(state_of(one), state_of(other)) == []


def test_a_step_that_fails_is_a_remark_and_changes_nothing(digits, monkeypatch, state_of, differences):
    game = small()
    train(game, digits, 2)
    before = state_of(game)

    def fails(*_):
        game.discriminator[1].weight.data.zero_()
        raise RuntimeError("mat1 and mat2 don't fit\nand more")

    monkeypatch.setattr(training, "generator_step", fails)
    remark = diagnose([], game, digits)
    assert (remark.fault, remark.sign) == ("a step fails", "mat1 and mat2 don't fit")
    assert differences(state_of(game), before) == []
    assert not game.g_optimizer._optimizer_step_pre_hooks


def test_one_process_of_several_runs_no_iteration_alone(new_game, images):
    game = new_game()
    game.team = hardware.Team(2, True, slice(0, None, 2), lambda values: pytest.fail("the others don't take part"))
    game.noise = lambda n: pytest.fail("it runs an iteration")
    assert diagnose([], game, images) is None


def test_a_diagnosis_costs_two_iterations_at_most(digits):
    """Counted in images that pass through D: an iteration shows it three batches, fakes twice."""
    game, seen = small(), []
    train(game, digits, 1)
    game.discriminator.register_forward_hook(lambda net, inputs, logits: seen.append(len(logits)))
    assert diagnose([], game, digits) is None
    assert sum(seen) <= 2 * 3 * 32 + 3 * 2 * 16


@pytest.mark.parametrize("name", sorted(losses.LOSSES.keys() - {"non-saturating", "minimax"}))
def test_logits_that_are_not_log_odds_have_no_remark(name):
    """Wherever the logits of a D lie, as long as those of real images are higher; with cross-entropy they are log-odds."""
    loss = losses.LOSSES[name]
    for middle in (-30.0, -5.0, -0.5, 0.0, 0.1, 0.3, 0.5, 0.9, 3.0, 30.0):
        for apart in (0.02, 0.2, 0.5, 1.0, 2.0, 4.0):
            real, fake = torch.tensor([middle + apart / 2]), torch.tensor([middle - apart / 2])
            numbers = loss.discriminator(real, fake), loss.generator(real, fake), real.sigmoid(), fake.sigmoid()
            now = dict(zip(SOUND, map(torch.Tensor.item, numbers), strict=True))
            if name in ("least squares", "hinge") and now["d_loss"] > 3:
                continue  # worse than an undecided D: these two losses say where 0 is
            assert diagnose(course(now, now, now)) is None, (middle, apart)


@pytest.mark.parametrize(("fault", "change", "sign"), [
    ("high d_loss", {"d_loss": 624.0}, "d_loss reaches 624; in healthy runs it stays below 3"),
    ("D takes fakes for real", {"d_real": 0.1, "d_fake": 0.7}, "D(x) ends at 0.10, and D(G(z)) at 0.70"),
    ("D is sure", STRONG_D, "d_loss falls to 0.0020, so G learns little from D"),
])  # fmt: skip
def test_curves_alone_show_a_symptom_and_what_to_check(fault, change, sign):
    remark = diagnose(course(change, change))
    assert remark[:2] == (fault, sign)
    assert remark.cure.startswith("check in this order: ")
    assert remark.cure.count(", ") >= 2


@pytest.mark.parametrize("records", [
    course({"d_loss": 600.0}, {"d_loss": 600.0}, every=49),  # not yet 100 iterations
    course(STRONG_D, STRONG_D, every=20, start=5000),  # a run that was resumed, and not yet 100 iterations since
    course({"d_loss": 2.9}),
    course({"d_real": 0.2, "d_fake": 0.69}),
    course(STRONG_D | {"d_loss": 0.011}),
    course(STRONG_D | {"d_loss": -5.0}),  # Wasserstein
    course({"d_loss": 0.0, "d_real": 1.0, "d_fake": 1.0}),
])  # fmt: skip
def test_near_a_symptom_or_with_few_records_there_is_no_remark(records):
    assert diagnose(records) is None


def test_spans_are_means_over_the_iterations():
    uneven = ((60, 1.0), (100, 2.0), (137, 3.0), (200, 4.0))
    first, second = diagnosis.spans([Record(step, 0, 0.0, **SOUND | {"d_loss": d}) for step, d in uneven])
    assert (first.step, second.step) == (100, 200)
    assert first.d_loss == pytest.approx((60 * 1 + 40 * 2) / 100)
    assert second.d_loss == pytest.approx((37 * 3 + 63 * 4) / 100)
    assert first.g_loss == pytest.approx(1.0)
    steps = lambda records: [mean.step for mean in diagnosis.spans(records)]
    assert steps(course({}, {}, every=250)) == [500]  # where the first starts is unknown
    assert steps(course(*[{}] * 5, every=60)) == [120, 240]
    assert steps(course(*[{}] * 7, every=20, start=5000)) == [5120]  # of a run that was resumed


def test_a_broken_game_differs_from_the_sound_one_as_its_fault_says():
    sound, images = faults.break_game(HEALTHY)
    assert images.shape == (60_000, 28, 28)
    game, zero_mean = faults.break_game("range")
    drawn = torch.cat([zero_mean.sample(100, game.rng) for _ in range(20)])
    assert drawn.shape == (2000, 1, 28, 28)
    ends = [pytest.approx((pixel - 0.1307) / 0.3081) for pixel in (0, 1)]
    assert [drawn.min().item(), drawn.max().item()] == ends
    assert [drawn.mean().item(), drawn.std().item()] == pytest.approx([0, 1], abs=0.03)
    assert faults.break_game("learning rate")[0].rates == tuple(20 * rate for rate in sound.rates)
    assert faults.break_game("discriminator too strong")[0].rates == (sound.rates[0] / 100, sound.rates[1])
    a, b = torch.tensor([0.5, 2.0]), torch.tensor([-3.0, 1.0])
    swapped = faults.break_game("swapped labels")[0].loss
    assert swapped.discriminator(a, b).equal(sound.loss.discriminator(b, a))
    assert swapped.generator(None, b).equal(sound.loss.generator(None, b))
    twice, real = faults.break_game("sigmoid twice")[0], data.to_range(images[:4])
    assert twice.discriminator(real).equal(sound.discriminator(real).sigmoid())
    with pytest.raises(UserError, match=r"There is no fault called 'flu'; choose one of: range, one optimiser, "):
        faults.break_game("flu")


def test_with_one_optimiser_d_moves_g_so_that_its_fakes_are_easier_to_recognise():
    game, images = faults.break_game("one optimiser", seed=1)
    real, z = data.to_range(images[:100]), game.noise(100)
    for _ in range(20):
        training.discriminator_step(game, real, real)
    g_before, d_before = copy.deepcopy(game.generator), copy.deepcopy(game.discriminator)
    for _ in range(5):
        training.discriminator_step(game, real, real)
    with torch.no_grad():
        assert d_before(game.generator(z)).mean() < d_before(g_before(z)).mean()


def test_a_run_that_diverges_keeps_the_records_before(monkeypatch):
    def train(game, images, steps, record_every):
        yield from course({}, {})
        raise training.Diverged("d_loss nan")

    monkeypatch.setattr(training, "train", train)
    assert faults.train_broken("learning rate").records == course({}, {})


def test_the_three_blind_runs_have_different_faults_which_the_diagnosis_finds():
    three = faults.make_blind_runs()
    found = [diagnose(each.records, each.game, each.images) for each in three]
    assert [remark.fault if remark else HEALTHY for remark in found] == faults.blind_faults()
    assert len(set(faults.blind_faults())) == 3
    assert [(each.game.step, len(each.records)) for each in three] == [(200, 10)] * 3
    assert faults.make_blind_runs() is three


def test_the_check_says_what_contradicts_a_wrong_name_and_never_gives_away_the_right_one():
    faulty = faults.blind_faults()
    assert blind_runs(tuple(faulty)).status == "right"
    for i, place in enumerate(("first", "second", "third")):
        for name in {HEALTHY, *FAULTS} - {faulty[i]}:
            reason = blind_runs([*faulty[:i], name, *faulty[i + 1 :]]).reason
            assert reason.startswith(f"the {place} run is not {name}: ")
            assert faulty[i] not in reason


def test_the_live_line_shows_the_remark(new_game, capsys):
    live = dashboard.Live(new_game())
    records = course({}, {"d_loss": 900.0})
    for record in records:
        live.update(record)
    first, second = capsys.readouterr().out.splitlines()
    assert "high d_loss" not in first
    assert second.endswith(f"D(G(z)) 0.40 · {diagnose(records)}")
    live.on_screen = True
    live.update(records[1])
    assert live.line.value == second
    live.update(records[0])  # the game has gone back to before the fault
    assert live.line.value == first


def test_the_dashboard_diagnoses_new_records_every_hundred_iterations(new_game, images, monkeypatch):
    calls = []
    monkeypatch.setattr("gan_lib.widgets.dashboard.diagnose", lambda records, *more: calls.append((records, *more)))
    game = new_game()
    live = dashboard.Live(game)
    for record in course(*[{}] * 55, every=20):
        live.update(record)
    assert [records[-1].step for records, *_ in calls] == list(range(100, 1101, 100))
    assert {len(records) for records, *_ in calls} == {5, 6}  # the last record before them says where they begin
    assert all(each is game for _, each, _ in calls)
    playing = dashboard.Live(game, images)
    playing.update(course({})[0])
    assert calls[-1][2] is images
