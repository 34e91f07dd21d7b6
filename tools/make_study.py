"""Search for better settings of `mlp-quick` on a short budget, and run the best again with fresh seeds.

    python tools/make_study.py                # 200 trials: three quarters of an hour on one core
    python tools/make_study.py --trials 10

The study is in runs/study/study.db, and its results in gan_lib/reference/study.json. A finished study is not repeated, and an
interrupted one continues. Lesson 14 explains each part.
"""

import argparse
import dataclasses
import functools
import json
import random
from pathlib import Path

import optuna
import sqlalchemy
from optuna.trial import TrialState

from gan_lib import data, evaluation, hardware, recipes, training
from gan_lib.files import write_atomically

ROOT = Path(__file__).resolve().parents[1]
FINISHED = [TrialState.COMPLETE, TrialState.PRUNED]
FRESH = range(10_000, 10_005)  # seeds that no trial used
LOSSES = ["non-saturating", "least squares", "hinge", "Wasserstein", "relativistic"]
PENALTIES = ["none", "R1", "R1 + R2"]
STEPS = 450  # iterations of a trial
DEFAULT = {"g_lr": 1e-3, "d_lr": 1e-3, "beta1": 0.5, "width": 256, "loss": "non-saturating", "penalty": "none"}


def suggest(trial):
    """The recipe that a trial proposes: `mlp-quick` with other settings."""
    settings = {
        "g_lr": trial.suggest_float("g_lr", 1e-4, 2e-2, log=True),
        "d_lr": trial.suggest_float("d_lr", 1e-4, 2e-2, log=True),
        "betas": (trial.suggest_float("beta1", 0.0, 0.9), 0.999),
        "width": trial.suggest_int("width", 64, 512, log=True),
        "loss": trial.suggest_categorical("loss", LOSSES),
    }
    if (penalty := trial.suggest_categorical("penalty", PENALTIES)) != "none":
        settings |= {"penalty": penalty, "gamma": trial.suggest_float("gamma", 0.01, 100, log=True)}
    return dataclasses.replace(recipes.get("mlp-quick"), **settings)


def distances(recipe, seed, images, steps):
    """Train for `steps`; yield (step, Fréchet distance of 1,000 samples) at a third, at two thirds and at the end."""
    game = recipe.game(seed, images.device)
    for record in training.train(game, images, steps, record_every=-(-steps // 3)):
        yield record.step, evaluation.frechet(game.sampler().sample(1000, seed=1000))


def objective(trial, images, steps):
    """The Fréchet distance after `steps` iterations with a trial's settings; its number is the seed.

    A trial is pruned when it falls behind the others or diverges. If it diverges, its user attribute "diverged" says why.
    """
    try:
        for step, distance in distances(suggest(trial), trial.number, images, steps):
            if step < steps:
                trial.report(distance, step)
                if trial.should_prune():
                    raise optuna.TrialPruned
    except training.Diverged as error:
        trial.set_user_attr("diverged", str(error))
        raise optuna.TrialPruned from error
    return distance


def make_recipe(params):
    """The recipe with the settings `params`, as in `trial.params`."""
    return suggest(optuna.trial.FixedTrial(params))


def open_study(path):
    """The study in this SQLite file, which is created if need be, with the default as its first trial."""
    path.parent.mkdir(parents=True, exist_ok=True)
    closing = {"poolclass": sqlalchemy.pool.NullPool}  # no connection stays open
    storage = optuna.storages.RDBStorage(f"sqlite:///{path}", engine_kwargs=closing)
    pruner = optuna.pruners.MedianPruner()
    study = optuna.create_study(storage=storage, study_name="mlp-quick", load_if_exists=True, pruner=pruner)
    study.sampler = optuna.samplers.TPESampler(seed=len(study.trials))  # with 0 again, it would repeat
    if not study.get_trials(states=FINISHED):  # also if the very first trial was interrupted
        study.enqueue_trial(DEFAULT)
    return study


def choose(study, some=8):
    """The numbers of the trials to run again: the default, the best, and as many other complete ones, at random."""
    ranked = sorted(study.get_trials(states=[TrialState.COMPLETE]), key=lambda trial: trial.value)
    default = study.get_trials(states=FINISHED)[0].number
    numbers = [trial.number for trial in ranked if trial.number != default]
    others = numbers[some:]
    return [default, *numbers[:some], *random.Random(0).sample(others, min(some, len(others)))]


def remember(study, name, compute):
    """The study's attribute `name`, which is `compute()` at the first call."""
    if name not in study.user_attrs:
        study.set_user_attr(name, compute())
    return study.user_attrs[name]


def run_again(study, number, images):
    """The distances that the settings of a trial reach with fresh seeds, on the same budget; None where a run diverged."""
    recipe = make_recipe(study.trials[number].params)
    return [last_distance(recipe, seed, images) for seed in FRESH]


def last_distance(recipe, seed, images):
    """The last Fréchet distance of a run on the budget of a trial; None if it diverged."""
    try:
        return [round(distance, 3) for _, distance in distances(recipe, seed, images, STEPS)][-1]
    except training.Diverged:
        return None


def at_full_length(recipe, images):
    """{step: distance} at a third, at two thirds and at the end of all steps of the recipe, for three fresh seeds."""
    courses = [distances(recipe, seed, images, recipe.steps) for seed in FRESH[:3]]
    return [{step: round(distance, 3) for step, distance in course} for course in courses]


def row(trial):
    """A trial as study.json holds it; the value of a pruned one is the distance at which it was stopped."""
    course = {step: round(distance, 3) for step, distance in trial.intermediate_values.items()}
    params = {
        name: float(f"{value:.6g}") if isinstance(value, float) else value for name, value in trial.params.items()
    }
    value = None if trial.value is None else round(trial.value, 3)
    return {"state": trial.state.name, "params": params, "course": course, "value": value,
            "diverged": trial.user_attrs.get("diverged")}  # fmt: skip


def write(found, path):
    """Write `found` as JSON, with a line for each trial and for each other entry."""
    trials = ",\n".join(json.dumps(each) for each in found["trials"])
    others = "".join(f',\n"{name}": {json.dumps(value)}' for name, value in found.items() if name != "trials")
    write_atomically(path, f'{{"trials": [\n{trials}]{others}}}\n'.encode())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=200, help="how many there should be (200)")
    parser.add_argument("--root", type=Path, default=ROOT, help="where runs/ and gan_lib/ are")
    arguments = parser.parse_args()
    images, study = data.load(device=hardware.pick_device()).images, open_study(arguments.root / "runs/study/study.db")
    missing = arguments.trials - len(study.get_trials(states=FINISHED))
    if missing > 0:
        study.optimize(functools.partial(objective, images=images, steps=STEPS), n_trials=missing)
    finished = study.get_trials(states=FINISHED)
    found = {"steps": STEPS, "trials": [row(trial) for trial in finished]}
    place = {trial.number: i for i, trial in enumerate(finished)}  # an interrupted one has its number, and no place
    found["again"] = {
        place[n]: remember(study, f"again {n}", lambda n=n: run_again(study, n, images)) for n in choose(study)
    }
    run = lambda number: at_full_length(make_recipe(study.trials[number].params), images)
    found["full"] = {
        place[n]: remember(study, f"at full length {n}", lambda n=n: run(n))
        for n in sorted({finished[0].number, study.best_trial.number})
    }
    write(found, arguments.root / "gan_lib" / "reference" / "study.json")


if __name__ == "__main__":
    main()
