"""The diagnosis: it names true causes of many faults, leaves sound runs in peace, and changes nothing; and the blind runs."""

import copy
import csv
import dataclasses

import pytest
import torch

from gan_lib import data, hardware, losses, recipes, reference, training
from gan_lib.checks.keep_it_stable import blind_runs
from gan_lib.studies import diagnosis, faults, toys
from gan_lib.studies.faults import FAULTS, HEALTHY, diagnose
from gan_lib.training import Record
from gan_lib.widgets import dashboard
from tests import faults as breakages
from tests.notebooks.wrong_answers import WRONG

SOUND = {"d_loss": 1.2, "g_loss": 1.0, "d_real": 0.6, "d_fake": 0.4}


def course(*changes, every=100):
    """Records, `every` iterations apart, of a sound run but for the changes of each."""
    return [Record(every * i, 0, 0.0, **SOUND | change) for i, change in enumerate(changes, 1)]


def small(**changes):
    """The recipe `mlp-quick`, smaller."""
    return dataclasses.replace(recipes.get("mlp-quick"), **{"width": 64, "batch_size": 32} | changes)


def trained(game, images, steps=100):
    """The records of so many iterations, as far as they go."""
    records = []
    try:
        for record in training.train(game, images, steps, record_every=50):
            records.append(record)
    except (training.Diverged, RuntimeError):
        pass
    return records


@pytest.fixture(scope="module")
def digits():
    """10,000 of the digits, uint8 [10000, 28, 28]."""
    return data.load().images[:10_000]


@pytest.fixture(scope="module")
def admitted():
    """`admitted(fault, seed)` is `clinic.admit`, once for each."""
    known = {}

    def admit(fault, seed):
        if (fault, seed) not in known:
            known[fault, seed] = faults.admit(fault, seed, 200)
        return known[fault, seed]

    return admit


# What it finds


@pytest.mark.parametrize("name", breakages.FAULTS)
def test_a_fault_is_traced_to_its_cause(name, digits, monkeypatch):
    fault, expected, fragment = breakages.FAULTS[name]
    game = small().game(3)
    images = fault(game, digits, monkeypatch)
    remark = diagnose(trained(game, images), game, images)
    assert remark is not None
    assert remark.fault == expected
    assert fragment in str(remark)


@pytest.mark.parametrize("name", breakages.FAULTS)
def test_without_images_or_a_game_it_names_what_is_true_or_nothing(name, digits, monkeypatch):
    """From less evidence: the same remark, a symptom, or none. A symptom gives its causes in an order."""
    fault, expected, _ = breakages.FAULTS[name]
    game = small().game(4)
    records = trained(game, fault(game, digits, monkeypatch))
    for remark in (diagnose(records, game), diagnose(records)):
        if remark is not None and remark.fault != expected:
            assert remark.cure.startswith(diagnosis.ORDER)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_of_the_lesson_is_named(fault, seed, admitted):
    patient = admitted(fault, seed)
    remark = diagnose(patient.records, patient.game, patient.images)
    assert remark.fault == fault
    assert str(remark) == f"{fault}: {remark.sign}; {remark.cure}"


# Sound runs


@pytest.mark.parametrize("name", breakages.SOUND)
def test_other_ways_to_train_are_left_in_peace(name, digits, monkeypatch):
    game = small().game(3)
    images = breakages.SOUND[name](game, digits, monkeypatch)
    assert diagnose(trained(game, images), game, images) is None


@pytest.mark.parametrize("name", recipes.RECIPES)
def test_every_recipe_is_left_in_peace_from_its_first_iteration_on(name):
    game, images, records = dataclasses.replace(recipes.get(name), width=16, d_width=None).game(), data.load(), []
    assert diagnose(records, game, images) is None
    for record in training.train(game, images, 120, record_every=40):
        records.append(record)
        assert diagnose(records, game, images) is None
        assert diagnose(records, game) is None


@pytest.mark.parametrize("seed", range(5))
def test_a_healthy_game_is_left_in_peace_at_every_record(seed, admitted):
    patient = admitted(HEALTHY, seed)
    assert {diagnose(patient.records[:n]) for n in range(len(patient.records) + 1)} == {None}
    assert diagnose(patient.records, patient.game, patient.images) is None


def test_rates_that_have_fallen_are_left_in_peace(digits):
    game = small(anneal=True).game()
    trained(game, digits)
    game.step = game.horizon = 1000
    assert diagnose([], game, digits) is None
    assert game.g_optimizer.param_groups[0]["lr"] == 1e-3


@pytest.mark.parametrize("name", reference.names())
def test_finished_runs_are_left_in_peace(name):
    """Their rows are means over up to a sixtieth of a run."""
    seeds = {}
    with (reference.FOLDER / f"{name}.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            numbers = {field: float(row[field]) for field in SOUND}
            seeds.setdefault(row["seed"], []).append(Record(int(row["step"]), 0, 0.0, **numbers))
    assert len(seeds) >= 1
    for records in seeds.values():
        assert {diagnose(records[:n]) for n in range(len(records) + 1)} == {None}


def test_points_are_left_in_peace():
    generator, discriminator = toys.nets()
    game = training.Game(generator, discriminator, latent_dim=2, g_lr=1e-2, d_lr=1e-2)

    class Far:
        def sample(self, n, rng):
            return 5 + torch.randn(n, 2, generator=rng)

    assert diagnose(trained(game, Far()), game, Far()) is None


# What it leaves as it was


@pytest.mark.parametrize("name", ["dcgan", "hinge-sn", "cgan", "best"])
def test_a_diagnosed_run_is_that_of_an_undiagnosed_one(name, state_of, differences):
    recipe, images = dataclasses.replace(recipes.get(name), width=8, d_width=None, batch_size=16), data.load()
    one, other = recipe.game(), recipe.game()
    everything = lambda game: [
        *(weights.grad for net in (game.generator, game.discriminator) for weights in net.parameters()),
        *(weights.requires_grad for net in (game.generator, game.discriminator) for weights in net.parameters()),
        *(part.training for net in (game.generator, game.discriminator, game.average) for part in net.modules()),
        *(optimizer.param_groups[0]["lr"] for optimizer in (game.g_optimizer, game.d_optimizer)), game.seconds, game.rates,
    ]  # fmt: skip
    equal = lambda a, b: a.equal(b) if isinstance(a, torch.Tensor) else a == b
    for _ in range(3):
        before, random_state = [copy.copy(each) for each in everything(one)], torch.get_rng_state()
        assert diagnose([], one, images) is None
        assert all(map(equal, everything(one), before))
        assert torch.get_rng_state().equal(random_state)
        assert differences(state_of(one), state_of(other)) == []
        a, b = (list(training.train(game, images, 2)) for game in (one, other))
        assert [record._replace(seconds=0) for record in a] == [record._replace(seconds=0) for record in b]
        assert differences(state_of(one), state_of(other)) == []


def test_a_step_that_fails_is_a_remark_and_changes_nothing(digits, monkeypatch, state_of, differences):
    game = small().game()
    trained(game, digits, 2)
    before = state_of(game)

    def fails(*_):
        game.discriminator[1].weight.data.zero_()
        raise RuntimeError("mat1 and mat2 don't fit\nand more")

    monkeypatch.setattr(training, "generator_step", fails)
    remark = diagnose([], game, digits)
    assert (remark.fault, remark.sign) == ("a step fails", "mat1 and mat2 don't fit")
    assert differences(state_of(game), before) == []


def test_one_process_of_several_does_not_play_alone(new_game, images):
    game = new_game()
    game.team = hardware.Team(2, True, slice(0, None, 2), lambda values: pytest.fail("the others have gone"))
    game.noise = lambda n: pytest.fail("it plays")
    assert diagnose([], game, images) is None


def test_a_diagnosis_plays_two_iterations_worth_at_most(digits, monkeypatch):
    """Counted in images that pass through D: an iteration shows it three batches, fakes twice."""
    game, seen = small().game(), []
    trained(game, digits, 1)
    game.discriminator.register_forward_hook(lambda net, inputs, logits: seen.append(len(logits)))
    assert diagnose([], game, digits) is None
    assert sum(seen) <= 2 * 3 * 32 + 3 * 2 * 16


# Symptoms


@pytest.mark.parametrize("name", sorted(losses.LOSSES.keys() - {"non-saturating", "minimax"}))
def test_logits_that_are_no_log_odds_are_left_in_peace(name):
    """Wherever the logits of a D lie, as long as it tells the two kinds; those of cross-entropy are log-odds."""
    for middle in (-30.0, -5.0, -0.5, 0.0, 0.1, 0.3, 0.5, 0.9, 3.0, 30.0):
        for apart in (0.02, 0.2, 0.5, 1.0, 2.0, 4.0):
            real, fake = torch.tensor([middle + apart / 2]), torch.tensor([middle - apart / 2])
            loss = losses.LOSSES[name]
            d_loss, g_loss = loss.discriminator(real, fake).item(), loss.generator(real, fake).item()
            if name in ("least squares", "hinge") and d_loss > 3:
                continue  # worse than no opinion at all: these two say where 0 is
            now = {"d_loss": d_loss, "g_loss": g_loss, "d_real": real.sigmoid().item(), "d_fake": fake.sigmoid().item()}
            assert diagnose(course(now, now, now)) is None, (middle, apart)


def test_the_first_record_of_a_run_that_goes_on_is_no_hundred_steps():
    strong = {"d_loss": 0.002, "d_real": 0.999, "d_fake": 0.001}
    later = [record._replace(step=record.step + 5000) for record in course(strong, strong, every=20)]
    assert diagnose(later) is None
    assert (
        diagnose([record._replace(step=record.step + 5000) for record in course(*[strong] * 7, every=20)]) is not None
    )


def test_few_records_are_no_reason_to_speak():
    assert diagnose([]) is None
    assert diagnose(course({"d_loss": 600.0}, {"d_loss": 600.0}, every=49)) is None  # not yet 100 iterations


@pytest.mark.parametrize(
    ("fault", "change", "sign"),
    [
        ("high d_loss", {"d_loss": 624.0}, "up to 624, and a D that can't decide pays 2 at most"),
        ("D takes fakes for real", {"d_real": 0.1, "d_fake": 0.7}, "D(x) ends at 0.10, and D(G(z)) at 0.70"),
        ("D is sure", {"d_loss": 0.002, "d_real": 0.999, "d_fake": 0.001}, "d_loss falls to 0.0020, and G has little to go by"),
    ],
)  # fmt: skip
def test_curves_alone_show_a_symptom_and_what_to_check(fault, change, sign):
    remark = diagnose(course(change, change))
    assert remark[:2] == (fault, sign)
    assert remark.cure.startswith("check in this order: ")
    assert remark.cure.count(", ") >= 2


@pytest.mark.parametrize(
    "change",
    [
        {"d_loss": 2.9},
        {"d_real": 0.2, "d_fake": 0.69},
        {"d_real": 0.65, "d_fake": 0.51, "g_loss": 0.65},
        {"d_loss": 0.011, "d_real": 0.999, "d_fake": 0.001},
        {"d_loss": -5.0, "d_real": 0.999, "d_fake": 0.001},  # Wasserstein
        {"d_loss": 0.0, "d_real": 1.0, "d_fake": 1.0},
    ],
)
def test_what_comes_near_a_sign_is_none(change):
    assert diagnose(course(change, change)) is None


def test_spans_are_means_over_the_steps():
    uneven = [
        Record(step, 0, 0.0, **SOUND | {"d_loss": d}) for step, d in ((60, 1.0), (100, 2.0), (137, 3.0), (200, 4.0))
    ]
    first, second = diagnosis.spans(uneven)
    assert (first.step, second.step) == (100, 200)
    assert first.d_loss == pytest.approx((60 * 1 + 40 * 2) / 100)
    assert second.d_loss == pytest.approx((37 * 3 + 63 * 4) / 100)
    assert first.g_loss == pytest.approx(1.0)
    assert [each.step for each in diagnosis.spans(course({}, {}, every=250))] == [
        500
    ]  # how far the first reaches back is not said
    assert [each.step for each in diagnosis.spans(course(*[{}] * 5, every=60))] == [120, 240]


# The faults


def test_a_broken_game_differs_from_the_sound_one_in_what_its_fault_says():
    sound, images = faults.broken(HEALTHY)
    assert images.shape == (60_000, 28, 28)
    game, zero_mean = faults.broken("range")
    drawn = torch.cat([zero_mean.sample(100, game.rng) for _ in range(20)])
    assert (drawn.shape, drawn.min().item(), drawn.max().item()) == (
        (2000, 1, 28, 28), pytest.approx(-0.1307 / 0.3081), pytest.approx((1 - 0.1307) / 0.3081),
    )  # fmt: skip
    assert drawn.mean().item() == pytest.approx(0, abs=0.03)
    assert drawn.std().item() == pytest.approx(1, abs=0.03)
    assert faults.broken("learning rate")[0].rates == tuple(20 * rate for rate in sound.rates)
    assert faults.broken("discriminator too strong")[0].rates == (sound.rates[0] / 100, sound.rates[1])
    a, b = torch.tensor([0.5, 2.0]), torch.tensor([-3.0, 1.0])
    swapped = faults.broken("swapped labels")[0].loss
    assert swapped.discriminator(a, b).equal(sound.loss.discriminator(b, a))
    assert swapped.generator(None, b).equal(sound.loss.generator(None, b))
    twice = faults.broken("sigmoid twice")[0]
    real = data.to_range(images[:4])
    assert twice.discriminator(real).equal(sound.discriminator(real).sigmoid())


def test_without_detach_d_moves_g_to_be_told_from_real_images():
    game, images = faults.broken("no detach", seed=1)
    real, z = data.to_range(images[:100]), game.noise(100)
    for _ in range(20):
        training.discriminator_step(game, real, real)
    g_alone = copy.deepcopy(game.generator)
    with torch.no_grad():
        before = game.discriminator(game.generator(z)).mean()
    discriminator = copy.deepcopy(game.discriminator)
    for _ in range(5):
        training.discriminator_step(game, real, real)
    assert not game.generator[0].weight.equal(g_alone[0].weight)
    with torch.no_grad():
        assert discriminator(game.generator(z)).mean() < before


def test_an_unknown_fault_is_told_those_there_are():
    with pytest.raises(ValueError, match=r"There is no fault called 'flu'; choose one of: range, no detach, "):
        faults.broken("flu")


# Blind runs


def test_patients_are_three_of_which_one_may_be_healthy():
    drawn = [faults.answers(seed) for seed in range(30)]
    assert {len(set(three)) for three in drawn} == {3}
    assert {name for three in drawn for name in three} == {HEALTHY, *FAULTS}
    assert faults.answers(7) == faults.answers(7)
    assert len(set(map(tuple, drawn))) > 20


def test_the_patients_have_what_the_diagnosis_finds():
    three = faults.patients()
    found = [diagnose(each.records, each.game, each.images) for each in three]
    assert [remark.fault if remark else HEALTHY for remark in found] == faults.answers()
    assert [(each.game.step, len(each.records)) for each in three] == [(200, 10)] * 3
    assert faults.patients() is three


def test_a_game_that_diverges_leaves_the_records_until_then(monkeypatch):
    def train(game, images, steps, record_every):
        yield from course({}, {})
        raise training.Diverged("d_loss nan")

    monkeypatch.setattr(training, "train", train)
    assert faults.admit("learning rate").records == course({}, {})


def test_the_right_names_are_right_and_a_stub_is_not_tried_yet():
    assert blind_runs(faults.answers()).status == "right"
    assert blind_runs(tuple(faults.answers())).status == "right"
    assert blind_runs([..., ..., ...]).status == "not tried yet"


@pytest.mark.parametrize(("code", "fragment"), WRONG["blind_runs"])
def test_a_wrong_name_is_told_what_speaks_against_it(code, fragment):
    said = {}
    exec(code, said)
    verdict = blind_runs(said["my_answer"])
    assert verdict.status == "not yet"
    assert fragment in verdict.reason


def test_no_wrong_name_is_told_the_right_one():
    for i, right in enumerate(faults.answers()):
        for name in {HEALTHY, *FAULTS} - {right}:
            reason = blind_runs([*faults.answers()[:i], name, *faults.answers()[i + 1 :]]).reason
            assert reason.startswith(f"the {('first', 'second', 'third')[i]} run is not {name}: ")
            assert right not in reason


# Shown


def test_the_live_line_shows_the_remark(new_game, capsys):
    live = dashboard.live(new_game())
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


def test_the_dashboard_looks_at_what_is_new_once_in_a_hundred_iterations(new_game, images, monkeypatch):
    asked = []
    monkeypatch.setattr("gan_lib.widgets.dashboard.diagnose", lambda records, *more: asked.append((records, *more)))
    game = new_game()
    live = dashboard.live(game)
    for record in course(*[{}] * 55, every=20):
        live.update(record)
    assert [records[-1].step for records, *_ in asked] == list(range(100, 1101, 100))
    assert {len(records) for records, *_ in asked} == {5, 6}  # the last of those before says where they begin
    assert all(each is game for _, each, _ in asked)
    playing = dashboard.live(game, images)
    playing.update(course({})[0])
    assert asked[-1][2] is images
