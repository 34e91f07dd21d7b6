"""The search space, one trial, the stored study, and the tool that makes it, on made-up distances."""

import json
from types import SimpleNamespace

import optuna
import pytest
from optuna.trial import FixedTrial, TrialState

from gan_lib import data, evaluation, recipes, reference, training
from gan_lib.losses import LOSSES, PENALTIES
from tests.notebooks.test_same_code import defined
from tools import make_study as tool

optuna.logging.set_verbosity(optuna.logging.WARNING)
PENALISED = tool.DEFAULT | {"penalty": "R1", "gamma": 3.0}


@pytest.fixture
def replace_training(monkeypatch):
    """`replace_training(course)`: a run of 30 steps has the distances `course(recipe, seed)`."""

    def replace(course):
        distances = lambda recipe, seed, images, steps: zip((10, 20, 30), course(recipe, seed), strict=False)
        monkeypatch.setattr(tool, "STEPS", 30)
        monkeypatch.setattr(tool, "distances", distances)

    return replace


def load_results():
    return json.loads((reference.FOLDER / "study.json").read_text())


def ranked(rows):
    """The numbers of the trials that were completed, best first."""
    return sorted((n for n, row in enumerate(rows) if row["state"] == "COMPLETE"), key=lambda n: rows[n]["value"])


def test_a_trial_sets_what_it_proposes_and_the_default_is_the_recipe():
    assert tool.make_recipe(tool.DEFAULT) == recipes.get("mlp-quick")
    params = {"g_lr": 3e-4, "d_lr": 7e-3, "beta1": 0.2, "width": 99, "loss": "hinge", "penalty": "R1", "gamma": 5.0}
    recipe = tool.make_recipe(params)
    assert (recipe.g_lr, recipe.d_lr, recipe.betas, recipe.width) == (3e-4, 7e-3, (0.2, 0.999), 99)
    assert (recipe.loss, recipe.penalty, recipe.gamma, recipe.nets) == ("hinge", "R1", 5.0, "mlp")


def test_the_space_has_the_choices_of_the_lesson_and_gamma_only_with_a_penalty():
    without, trial = FixedTrial(tool.DEFAULT), FixedTrial(PENALISED)
    tool.suggest(without), tool.suggest(trial)
    assert trial.distributions.keys() - without.distributions.keys() == {"gamma"}
    assert defined("14", "LOSSES", "PENALTIES") == [tool.LOSSES, tool.PENALTIES]
    assert set(tool.LOSSES) < LOSSES.keys()
    assert set(tool.PENALTIES) - {"none"} < PENALTIES.keys()


def test_a_run_is_measured_three_times():
    recipe, images = recipes.get("mlp-quick"), data.load(train=False).images[:500]
    found = list(tool.distances(recipe, 7, images, 6))
    assert [step for step, _ in found] == [2, 4, 6]
    game = recipe.game(7)
    for _, distance in found:
        list(training.train(game, images, 2))
        assert distance == pytest.approx(evaluation.frechet(game.sampler().sample(1000, seed=1000)), rel=1e-4)
    assert len({distance for _, distance in found}) == 3
    [*_, (_, other)] = tool.distances(recipe, 8, images, 6)
    assert other != found[-1][1]


def optimize(n=1, study=None, pruner=None, params=tool.DEFAULT):
    """The `n` trials of a search that begins with `params`."""
    study = study or optuna.create_study(pruner=pruner or optuna.pruners.NopPruner())
    study.enqueue_trial(params)
    study.optimize(lambda trial: tool.objective(trial, None, 30), n_trials=n)
    return study.trials[-n:]


def test_the_last_distance_counts_and_the_number_of_the_trial_is_the_seed(replace_training):
    calls = []
    replace_training(lambda recipe, seed: calls.append((recipe, seed)) or (90.0, 50.0, 60.0 + seed))
    trial, *others = optimize(3, params=PENALISED)
    assert (trial.state, trial.value) == (TrialState.COMPLETE, 60.0)
    assert trial.intermediate_values == {10: 90.0, 20: 50.0}
    assert calls[0] == (tool.make_recipe(PENALISED), 0)
    assert [trial.value for trial in others] == [61, 62]


def test_a_bad_run_is_pruned_but_not_at_its_end_and_one_that_diverges_with_the_reason(replace_training):
    replace_training(lambda recipe, seed: (90.0, 80.0, 1.0))
    (trial,) = optimize(pruner=optuna.pruners.ThresholdPruner(upper=85))
    assert (trial.state, trial.intermediate_values, trial.user_attrs) == (TrialState.PRUNED, {10: 90.0}, {})
    replace_training(lambda recipe, seed: (10.0, 20.0, 900.0))
    assert optimize(pruner=optuna.pruners.ThresholdPruner(upper=85))[0].state == TrialState.COMPLETE

    def course(recipe, seed):
        yield 90.0
        raise training.Diverged("A loss stopped being a number before step 20.")

    replace_training(course)
    (trial,) = optimize()
    assert (trial.state, trial.value) == (TrialState.PRUNED, 90.0)
    assert trial.user_attrs == {"diverged": "A loss stopped being a number before step 20."}


def test_the_stored_trials_lie_in_the_space_and_the_first_is_the_default():
    found = load_results()
    assert (found["steps"], found["trials"][0]["params"]) == (tool.STEPS, tool.DEFAULT)
    assert len(found["trials"]) >= 200
    for row in found["trials"]:
        tool.make_recipe(row["params"])  # raises for a value outside of its range
        assert [int(step) for step in row["course"]] == [150, 300][: len(row["course"])]
        assert row["state"] == "COMPLETE" or row["diverged"] or row["value"] == [*row["course"].values()][-1]


def test_the_stored_study_ran_its_best_trials_again():
    found = load_results()
    best = [number for number in ranked(found["trials"]) if number != 0]
    assert list(map(int, found["again"]))[:9] == [0, *best[:8]]
    assert {len(distances) for distances in found["again"].values()} == {5}
    assert len(found["again"]) == 17
    assert found["full"].keys() == {"0", str(best[0])}
    assert {tuple(course) for courses in found["full"].values() for course in courses} == {("2000", "4000", "6000")}


@pytest.fixture
def runs(replace_training, monkeypatch, tmp_path):
    """`runs.make(trials)` is the tool on made-up runs: the nearer g_lr is to 0.003 the better, and `interrupted` fails once."""
    runs = SimpleNamespace(file=tmp_path / "gan_lib" / "reference" / "study.json", seeds=[], interrupted=None)
    runs.file.parent.mkdir(parents=True)

    def course(recipe, seed):
        runs.seeds.append(seed)
        if seed == runs.interrupted:
            runs.interrupted = None
            raise KeyboardInterrupt
        score = 30 + 1000 * abs(recipe.g_lr - 0.003) + seed % 10
        return score + 20, score + 10, score

    def make(trials):
        monkeypatch.setattr("sys.argv", ["make_study.py", "--trials", str(trials), "--root", str(tmp_path)])
        tool.main()

    runs.make = make
    replace_training(course)
    monkeypatch.setattr(tool, "at_full_length", lambda recipe, images: [recipe.width])
    monkeypatch.setattr(reference, "FOLDER", runs.file.parent)
    return runs


@pytest.mark.parametrize("trial", [0, 4])
def test_an_interrupted_study_continues_and_is_read_back(trial, runs):
    runs.interrupted = trial
    with pytest.raises(KeyboardInterrupt):
        runs.make(18)
    assert runs.seeds == [*range(trial + 1)]
    runs.make(18)
    assert [seed for seed in runs.seeds if seed < 10_000] == list(range(19))  # the interrupted one keeps its number
    found = load_results()
    rows = found["trials"]
    assert (len(rows), rows[0]["params"]) == (18, tool.DEFAULT)
    best, order = ranked(rows), list(map(int, found["again"]))
    assert order[:9] == [0, *(number for number in best if number)][:9]
    assert len(set(order)) == len(order)
    for number, values in found["again"].items():
        expected = 30 + 1000 * abs(rows[int(number)]["params"]["g_lr"] - 0.003)
        assert values == pytest.approx([expected + luck for luck in range(5)], abs=2e-3)
    assert found["full"] == {str(n): [rows[n]["params"]["width"]] for n in {0, best[0]}}


def test_a_finished_study_is_not_made_again_and_a_longer_one_proposes_new_settings(runs):
    runs.make(4)
    seeds, first = list(runs.seeds), runs.file.read_bytes()
    runs.make(4)
    assert (runs.seeds, runs.file.read_bytes()) == (seeds, first)
    runs.make(8)
    assert len({row["params"]["g_lr"] for row in load_results()["trials"]}) == 8
    assert {seed for seed in runs.seeds if seed >= 8} == set(tool.FRESH)
    assert len(tool.FRESH) == 5
