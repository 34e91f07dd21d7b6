"""The search: its space, one trial, the stored study, and the tool that makes it, on made-up distances."""

import json
from itertools import pairwise

import optuna
import pytest
from optuna.trial import FixedTrial, TrialState

from gan_lib import data, evaluation, recipes, training
from gan_lib.losses import LOSSES, PENALTIES
from gan_lib.studies import tuning
from tools import make_study as tool

optuna.logging.set_verbosity(optuna.logging.WARNING)
PENALISED = tuning.DEFAULT | {"penalty": "R1", "gamma": 3.0}


@pytest.fixture(scope="module")
def images():
    return data.load(train=False).images[:500]


def made_up(monkeypatch, course):
    """Put `course(recipe, seed)` in the place of training: the distances of a run of 30 steps."""
    monkeypatch.setattr(tuning, "STEPS", 30)
    monkeypatch.setattr(
        tuning, "distances", lambda recipe, seed, images, steps: zip((10, 20, 30), course(recipe, seed), strict=False)
    )


# The space


def test_the_default_is_the_recipe():
    assert tuning.suggest(FixedTrial(tuning.DEFAULT)) == recipes.get("mlp-quick")
    assert tuning.recipe_of(tuning.DEFAULT) == recipes.get("mlp-quick")


def test_a_trial_sets_what_it_proposes():
    params = {
        "g_lr": 3e-4,
        "d_lr": 7e-3,
        "beta1": 0.2,
        "width": 99,
        "loss": "hinge",
        "penalty": "R1",
        "gamma": 5.0,
    }
    recipe = tuning.recipe_of(params)
    assert (recipe.g_lr, recipe.d_lr, recipe.betas, recipe.width) == (3e-4, 7e-3, (0.2, 0.999), 99)
    assert (recipe.loss, recipe.penalty, recipe.gamma) == ("hinge", "R1", 5.0)
    assert recipe.nets == "mlp"


def test_gamma_is_asked_for_only_where_there_is_a_penalty():
    without, with_penalty = FixedTrial(tuning.DEFAULT), FixedTrial(PENALISED)
    tuning.suggest(without), tuning.suggest(with_penalty)
    assert with_penalty.distributions.keys() - without.distributions.keys() == {"gamma"}
    assert tuning.recipe_of(tuning.DEFAULT).gamma == 0


def test_the_ranges_are_those_of_the_lesson():
    trial = FixedTrial(PENALISED)
    tuning.suggest(trial)
    ranges = {name: (d.low, d.high, d.log) for name, d in trial.distributions.items() if hasattr(d, "low")}
    assert ranges == {
        "g_lr": (1e-4, 2e-2, True),
        "d_lr": (1e-4, 2e-2, True),
        "beta1": (0.0, 0.9, False),
        "width": (64, 512, True),
        "gamma": (0.01, 100, True),
    }
    assert set(tuning.LOSSES) < LOSSES.keys()
    assert set(tuning.PENALTIES) - {"none"} < PENALTIES.keys()


# One trial


def test_a_run_is_measured_three_times(images):
    recipe = recipes.get("mlp-quick")
    found = list(tuning.distances(recipe, 7, images, 6))
    assert [step for step, _ in found] == [2, 4, 6]
    game = recipe.game(7)
    for (step, distance), (before, _) in zip(found, [(0, None), *found], strict=False):
        list(training.train(game, images, step - before, record_every=2))
        assert distance == pytest.approx(evaluation.frechet(game.sampler().sample(1000, seed=1000)), rel=1e-4)
    assert len({distance for _, distance in found}) == 3
    [*_, (_, other)] = tuning.distances(recipe, 8, images, 6)
    assert other != found[-1][1]


def run_one(pruner=None, params=tuning.DEFAULT):
    study = optuna.create_study(pruner=pruner or optuna.pruners.NopPruner())
    study.enqueue_trial(params)
    study.optimize(lambda trial: tuning.objective(trial, None, 30), n_trials=1)
    return study.trials[0]


def test_the_last_distance_counts_and_those_before_are_reported(monkeypatch):
    asked = []
    made_up(monkeypatch, lambda recipe, seed: asked.append((recipe, seed)) or (90.0, 50.0, 60.0))
    trial = run_one(params=PENALISED)
    assert (trial.state, trial.value) == (TrialState.COMPLETE, 60.0)
    assert trial.intermediate_values == {10: 90.0, 20: 50.0}
    assert asked == [(tuning.recipe_of(PENALISED), 0)]


def test_the_seed_is_the_number_of_the_trial(monkeypatch):
    made_up(monkeypatch, lambda recipe, seed: (1, 1, 100 + seed))
    study = optuna.create_study()
    study.optimize(lambda trial: tuning.objective(trial, None, 30), n_trials=3)
    assert [trial.value for trial in study.trials] == [100, 101, 102]


def test_a_hopeless_run_stops(monkeypatch):
    made_up(monkeypatch, lambda recipe, seed: (90.0, 80.0, 1.0))
    trial = run_one(optuna.pruners.ThresholdPruner(upper=85))
    assert (trial.state, trial.intermediate_values, trial.user_attrs) == (TrialState.PRUNED, {10: 90.0}, {})


def test_a_run_that_has_ended_is_not_pruned(monkeypatch):
    made_up(monkeypatch, lambda recipe, seed: (10.0, 20.0, 900.0))
    assert run_one(optuna.pruners.ThresholdPruner(upper=85)).state == TrialState.COMPLETE


def test_a_run_that_diverges_is_pruned_and_says_so(monkeypatch):
    def course(recipe, seed):
        yield 90.0
        raise training.Diverged("A loss stopped being a number before step 20.")

    made_up(monkeypatch, course)
    trial = run_one()
    assert (trial.state, trial.value) == (TrialState.PRUNED, 90.0)
    assert trial.user_attrs == {"diverged": "A loss stopped being a number before step 20."}


# The stored study


def test_the_stored_study_is_one_of_the_space_with_the_default_first():
    found, study = tuning.stored(), tuning.study()
    assert found["steps"] == tuning.STEPS
    assert len(study.trials) == len(found["trials"]) >= 200
    assert study.trials[0].params == tuning.DEFAULT
    for trial, row in zip(study.trials, found["trials"], strict=True):
        assert (trial.params, trial.state.name, trial.value) == (row["params"], row["state"], row["value"])
        assert trial.intermediate_values == {int(step): distance for step, distance in row["course"].items()}
        assert trial.user_attrs.get("diverged") == row["diverged"]
        assert tuning.recipe_of(trial.params).nets == "mlp"


def test_the_stored_study_ran_its_best_trials_again():
    found, study = tuning.stored(), tuning.study()
    complete = sorted((t for t in study.trials if t.state == TrialState.COMPLETE), key=lambda trial: trial.value)
    best = [str(trial.number) for trial in complete if trial.number != 0][:8]
    assert list(found["again"])[:9] == ["0", *best]
    assert len(found["again"]) == 17
    assert all(len(distances) == 5 for distances in found["again"].values())
    assert found["full"]["number"] == study.best_trial.number
    assert len(found["full"]["distances"]) == 2


def test_a_search_can_go_on_from_the_stored_study(monkeypatch):
    made_up(monkeypatch, lambda recipe, seed: (90.0, 50.0, 60.0))
    study = tuning.study()
    before = len(study.trials)
    study.optimize(lambda trial: tuning.objective(trial, None, 30), n_trials=2)
    assert [trial.number for trial in study.trials[before:]] == [before, before + 1]


# The tool


class Runs:
    """Made-up runs that count themselves: the nearer g_lr to 0.003 the better; one trial is interrupted at first."""

    def __init__(self):
        self.seeds, self.recipes = [], []
        self.interrupt, self.interrupted = True, 4

    def __call__(self, recipe, seed):
        self.seeds.append(seed)
        self.recipes.append(recipe)
        if seed == self.interrupted and self.interrupt:
            self.interrupt = False
            raise KeyboardInterrupt
        score = 30 + 1000 * abs(recipe.g_lr - 0.003) + seed % 10
        return (score + 20, score + 10, score)


@pytest.fixture
def runs(monkeypatch, tmp_path):
    runs = Runs()
    made_up(monkeypatch, runs)
    (tmp_path / "gan_lib" / "reference").mkdir(parents=True)
    monkeypatch.setattr(tool, "at_full_length", lambda recipe, images: [2.5, 2.6])
    monkeypatch.setattr(tuning.reference, "FOLDER", tmp_path / "gan_lib" / "reference")
    return runs


def make(monkeypatch, root, trials):
    monkeypatch.setattr("sys.argv", ["study.py", "--trials", str(trials), "--root", str(root)])
    tool.main()


@pytest.mark.parametrize("trial", [0, 4])
def test_an_interrupted_study_goes_on_and_a_finished_one_is_not_made_again(trial, runs, monkeypatch, tmp_path):
    runs.interrupted = trial
    with pytest.raises(KeyboardInterrupt):
        make(monkeypatch, tmp_path, 12)
    assert runs.seeds == [*range(trial + 1)]
    make(monkeypatch, tmp_path, 12)
    searched = [seed for seed in runs.seeds if seed < 10_000]
    assert searched == list(range(13))  # the interrupted one is left out, and has had its number
    assert tuning.study().trials[0].params == tuning.DEFAULT
    count, first = len(runs.seeds), (tmp_path / "gan_lib" / "reference" / "study.json").read_bytes()
    make(monkeypatch, tmp_path, 12)
    assert len(runs.seeds) == count
    assert (tmp_path / "gan_lib" / "reference" / "study.json").read_bytes() == first


def test_what_the_tool_writes_is_read_back(runs, monkeypatch, tmp_path):
    runs.interrupt = True
    with pytest.raises(KeyboardInterrupt):
        make(monkeypatch, tmp_path, 18)
    make(monkeypatch, tmp_path, 18)
    found, study = tuning.stored(), tuning.study()
    assert len(study.trials) == 18
    assert study.trials[0].params == tuning.DEFAULT
    ranked = sorted((t for t in study.trials if t.state == TrialState.COMPLETE), key=lambda trial: trial.value)
    order = list(map(int, found["again"]))
    assert order[0] == 0
    assert order[1:9] == [trial.number for trial in ranked if trial.number][:8]
    assert len(set(order)) == len(order)
    for number, values in found["again"].items():
        expected = 30 + 1000 * abs(tuning.recipe_of(study.trials[int(number)].params).g_lr - 0.003)
        assert values == pytest.approx([expected + luck for luck in range(5)], abs=2e-3)
    assert found["full"] == {"number": ranked[0].number, "distances": [2.5, 2.6]}


def test_fresh_seeds_are_those_that_no_trial_had(runs, monkeypatch, tmp_path):
    runs.interrupt = False
    make(monkeypatch, tmp_path, 7)
    assert {seed for seed in runs.seeds if seed >= 7} == set(tool.FRESH)
    assert len(tool.FRESH) == 5


def test_a_sampler_that_goes_on_does_not_repeat_itself(runs, monkeypatch, tmp_path):
    runs.interrupt = False
    make(monkeypatch, tmp_path, 4)
    make(monkeypatch, tmp_path, 8)
    rates = [
        row["params"]["g_lr"] for row in json.loads((tuning.reference.FOLDER / "study.json").read_text())["trials"]
    ]
    assert len(set(rates)) == 8
    assert all(a != b for a, b in pairwise(sorted(rates)))
