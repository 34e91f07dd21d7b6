"""Hyper-parameter search with Optuna: the search space, one trial, and the study that comes with the package.

Introduced in lesson 14. Optuna is not among the package's dependencies: `pip install optuna`.
"""

import dataclasses
import json

import optuna

from gan_lib import evaluation, recipes, reference, training

STEPS = 450  # iterations of a trial
LOSSES = ["non-saturating", "least squares", "hinge", "Wasserstein", "relativistic"]
PENALTIES = ["none", "R1", "R1 + R2"]
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


def load_results():
    """study.json, made by `tools/make_study.py`: {"steps", "trials", "again", "full"}.

    `trials` is [{"state", "params", "course", "value", "diverged"} …]. `again` is {number: [distance …]}, from five new seeds
    with the settings of some trials (None: it diverged). `full` is {"number", "distances"}, from two seeds at the full length
    of `mlp-quick`.
    """
    return json.loads((reference.FOLDER / "study.json").read_text())


def load_study():
    """The trials of `load_results` as an Optuna study in memory."""
    found = optuna.create_study()
    for row in load_results()["trials"]:
        fixed = optuna.trial.FixedTrial(row["params"])
        suggest(fixed)  # gives it the ranges
        trial = optuna.trial.create_trial(
            state=optuna.trial.TrialState[row["state"]], value=row["value"],
            params=row["params"], distributions=fixed.distributions,
            intermediate_values={int(step): distance for step, distance in row["course"].items()},
            user_attrs={"diverged": row["diverged"]} if row["diverged"] else {},
        )  # fmt: skip
        found.add_trial(trial)
    return found
