"""The clinic: each fault is named from its records, sound games are left in peace, and a blind run keeps its secret."""

import copy
import csv
import dataclasses

import pytest
import torch

from gan_lib import checks, clinic, controls, data, losses, recipes, reference, training
from gan_lib.clinic import FAULTS, HEALTHY, Remark, diagnose
from gan_lib.training import Record
from tests.notebooks.wrong_answers import WRONG

SEEDS = range(5)
STEPS = {HEALTHY: 200, "discriminator too strong": 200}  # the other faults show within 100
SOUND = {"d_loss": 1.2, "g_loss": 1.0, "d_real": 0.6, "d_fake": 0.4, "real_max": 1.0, "shared": 0}


def course(*changes, every=100):
    """Records, `every` steps apart, of a sound run but for the changes of each."""
    return [Record(every * i, 0, 0.0, **SOUND | change) for i, change in enumerate(changes, 1)]


@pytest.fixture(scope="module")
def admitted():
    """`admitted(fault, seed)` is `clinic.admit`, once for each."""
    known = {}

    def admit(fault, seed):
        if (fault, seed) not in known:
            known[fault, seed] = clinic.admit(fault, seed, STEPS.get(fault, 100))
        return known[fault, seed]

    return admit


# The diagnosis


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_named_from_its_records(fault, seed, admitted):
    remark = diagnose(admitted(fault, seed).records)
    assert (remark.fault, remark.cure) == (fault, FAULTS[fault].cure)
    assert str(remark) == f"{fault}: {remark.sign}; {remark.cure}"


@pytest.mark.parametrize("seed", SEEDS)
def test_a_healthy_game_is_left_in_peace_at_every_record(seed, admitted):
    records = admitted(HEALTHY, seed).records
    assert [diagnose(records[:n]) for n in range(len(records) + 1)] == [None] * (len(records) + 1)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_named_however_far_the_records_lie_apart(fault, admitted):
    records = admitted(fault, 0).records
    assert [record.step for record in records] == list(range(20, STEPS.get(fault, 100) + 1, 20))
    coarse = [clinic.together(records[:5], 0), clinic.together(records[5:], 100)] if len(records) > 5 else records
    assert diagnose(coarse).fault == fault


@pytest.mark.parametrize("name", reference.names())
def test_finished_runs_are_left_in_peace(name):
    """Their rows are means over up to a sixtieth of a run."""
    seeds = {}
    with (reference.FOLDER / f"{name}.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            numbers = {field: float(row[field]) for field in ("d_loss", "g_loss", "d_real", "d_fake")}
            seeds.setdefault(row["seed"], []).append(Record(int(row["step"]), 0, 0.0, **numbers))
    assert len(seeds) >= 1
    for records in seeds.values():
        assert {diagnose(records[:n]) for n in range(len(records) + 1)} == {None}


@pytest.mark.parametrize("name", [name for name in recipes.RECIPES if not name.startswith("mlp-quick")])
def test_every_recipe_starts_in_peace(name, new_game):
    game = dataclasses.replace(recipes.get(name), width=16, d_width=None).game()
    records = list(training.train(game, data.load(), 100, record_every=20))
    assert clinic.spans(records)
    assert diagnose(records) is None


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


@pytest.mark.parametrize("d_real", [0.45, 0.5, 0.54])
def test_a_discriminator_that_has_not_learnt_yet_has_no_sigmoid_too_many(d_real):
    undecided = {"d_loss": 1.386, "g_loss": 0.693, "d_real": d_real, "d_fake": 0.5}
    assert diagnose(course(undecided, undecided, undecided)) is None


def test_few_records_are_no_reason_to_speak():
    assert diagnose([]) is None
    assert diagnose(course({"real_max": 2.8}, {"real_max": 2.8}, every=49)) is None  # not yet 100 steps


@pytest.mark.parametrize(
    ("fault", "change", "sign"),
    [
        ("range", {"real_max": 2.8215}, "pixels of real images go up to 2.82, and G's tanh to 1"),
        ("no detach", {"shared": 6}, "D's optimiser holds 6 tensors of G's weights"),
        ("learning rate", {"d_loss": 624.0}, "d_loss goes up to 624, and a D that never decides pays 2 at most"),
        ("swapped labels", {"d_real": 0.1, "d_fake": 0.7}, "D(x) ends at 0.10, and D(G(z)) at 0.70"),
        (
            "sigmoid twice",
            {"d_real": 0.65, "d_fake": 0.51, "g_loss": 0.65},
            "D(x) reaches 0.65 and D(G(z)) falls to 0.51, and the sigmoid of a sigmoid lies between 0.50 and 0.73",
        ),
        (
            "discriminator too strong",
            {"d_loss": 0.002, "d_real": 0.999, "d_fake": 0.001},
            "d_loss falls to 0.0020, and G has little to go by",
        ),
    ],
)
def test_the_sign_gives_the_numbers(fault, change, sign):
    assert diagnose(course(change, change)) == Remark(fault, sign, FAULTS[fault].cure)


@pytest.mark.parametrize(
    "change",
    [
        {"real_max": 1.0},
        {"real_max": 0.0},  # points, or a file of an older version
        {"d_loss": 2.9},
        {"d_real": 0.2, "d_fake": 0.69},
        {"d_real": 0.65, "d_fake": 0.51, "g_loss": 0.7},
        {"d_real": 0.74, "d_fake": 0.51, "g_loss": 0.65},
        {"d_real": 0.65, "d_fake": 0.49, "g_loss": 0.65},
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
    first, second = clinic.spans(uneven)
    assert (first.step, second.step) == (100, 200)
    assert first.d_loss == pytest.approx((60 * 1 + 40 * 2) / 100)
    assert second.d_loss == pytest.approx((37 * 3 + 63 * 4) / 100)
    assert first.g_loss == pytest.approx(1.0)
    assert [each.step for each in clinic.spans(course({}, {}, every=250))] == [
        500
    ]  # how far the first reaches back is not said
    assert [each.step for each in clinic.spans(course(*[{}] * 5, every=60))] == [120, 240]


# The faults


def test_a_broken_game_differs_from_the_sound_one_in_what_its_fault_says():
    sound, images = clinic.broken(HEALTHY)
    assert images.shape == (60_000, 28, 28)
    game, zero_mean = clinic.broken("range")
    drawn = torch.cat([zero_mean.sample(100, game.rng) for _ in range(20)])
    assert (drawn.shape, drawn.min().item(), drawn.max().item()) == (
        (2000, 1, 28, 28), pytest.approx(-0.1307 / 0.3081), pytest.approx((1 - 0.1307) / 0.3081),
    )  # fmt: skip
    assert drawn.mean().item() == pytest.approx(0, abs=0.03)
    assert drawn.std().item() == pytest.approx(1, abs=0.03)
    assert clinic.broken("learning rate")[0].rates == tuple(20 * rate for rate in sound.rates)
    assert clinic.broken("discriminator too strong")[0].rates == (sound.rates[0] / 100, sound.rates[1])
    a, b = torch.tensor([0.5, 2.0]), torch.tensor([-3.0, 1.0])
    swapped = clinic.broken("swapped labels")[0].loss
    assert swapped.discriminator(a, b).equal(sound.loss.discriminator(b, a))
    assert swapped.generator(None, b).equal(sound.loss.generator(None, b))
    twice = clinic.broken("sigmoid twice")[0]
    real = data.to_range(images[:4])
    assert twice.discriminator(real).equal(sound.discriminator(real).sigmoid())


def test_without_detach_d_moves_g_to_be_told_from_real_images():
    game, images = clinic.broken("no detach", seed=1)
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
        clinic.broken("flu")


# Blind runs


def test_patients_are_three_of_which_one_may_be_healthy():
    drawn = [clinic.answers(seed) for seed in range(30)]
    assert {len(set(three)) for three in drawn} == {3}
    assert {name for three in drawn for name in three} == {HEALTHY, *FAULTS}
    assert clinic.answers(7) == clinic.answers(7)
    assert len(set(map(tuple, drawn))) > 20


def test_the_records_of_the_patients_tell_what_they_have():
    three = clinic.patients()
    assert [remark.fault if (remark := diagnose(each.records)) else HEALTHY for each in three] == clinic.answers()
    assert [(each.game.step, len(each.records)) for each in three] == [(200, 10)] * 3
    assert clinic.patients() is three


def test_a_game_that_diverges_leaves_the_records_until_then(monkeypatch):
    def train(game, images, steps, record_every):
        yield from course({}, {})
        raise training.Diverged("d_loss nan")

    monkeypatch.setattr(training, "train", train)
    assert clinic.admit("learning rate").records == course({}, {})


def test_the_right_names_are_right_and_a_stub_is_not_tried_yet():
    assert checks.blind_runs(clinic.answers()).status == "right"
    assert checks.blind_runs(tuple(clinic.answers())).status == "right"
    assert checks.blind_runs([..., ..., ...]).status == "not tried yet"


@pytest.mark.parametrize(("code", "fragment"), WRONG["blind_runs"])
def test_a_wrong_name_is_told_what_speaks_against_it(code, fragment):
    said = {}
    exec(code, said)
    verdict = checks.blind_runs(said["my_answer"])
    assert verdict.status == "not yet"
    assert fragment in verdict.reason


def test_no_wrong_name_is_told_the_right_one():
    for i, right in enumerate(clinic.answers()):
        for name in {HEALTHY, *FAULTS} - {right}:
            reason = checks.blind_runs([*clinic.answers()[:i], name, *clinic.answers()[i + 1 :]]).reason
            assert reason.startswith(f"the {('first', 'second', 'third')[i]} run is not {name}: ")
            assert right not in reason


# Shown


def test_the_live_line_shows_the_remark(new_game, capsys):
    live = controls.live(new_game())
    records = course({}, {"real_max": 2.8})
    for record in records:
        live.update(record)
    first, second = capsys.readouterr().out.splitlines()
    assert "range" not in first
    assert second.endswith(f"D(G(z)) 0.40 · {diagnose(records)}")
    live.on_screen = True
    live.update(records[1])
    assert live.line.value == second
    live.update(records[0])  # the game has gone back to before the fault
    assert live.line.value == first
