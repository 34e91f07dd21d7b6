"""A search for better settings with Optuna: the space, what one trial does, and the search that comes with the package.

The only module that imports optuna, which is not among what the package needs: `pip install optuna`. Introduced in lesson 10.
"""

import dataclasses
import json

import optuna

from gan_lib import evaluation, recipes, reference, training

STEPS = 450  # the budget of a trial, in pairs of steps
LOSSES = ["non-saturating", "least squares", "hinge", "Wasserstein", "relativistic"]
PENALTIES = ["none", "R1", "R1 + R2"]
DEFAULT = {"g_lr": 1e-3, "d_lr": 1e-3, "beta1": 0.5, "width": 256, "loss": "non-saturating", "penalty": "none"}


def suggest(trial):
    """The recipe that a trial proposes: `mlp-quick`, but for what the trial sets."""
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
    """The distance at the end of a run with the trial's settings, and its number as the seed.

    A run that falls behind the others, or diverges, is pruned; `diverged` among its user attributes tells them apart.
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


def recipe_of(params):
    """The recipe with these settings, as `trial.params` holds them."""
    return suggest(optuna.trial.FixedTrial(params))


def stored():
    """study.json, which `tools/make_study.py` makes: {"steps", "trials", "again", "full"}.

    `trials` is [{"state", "params", "course", "value", "diverged"} …]. `again`, {number: [distance …]}, is what five fresh seeds
    gave with the settings of some trials (None: it diverged); `full`, {"number", "distances"}, what two gave at the full
    length of `mlp-quick`.
    """
    return json.loads((reference.FOLDER / "study.json").read_text())


def study():
    """The trials of `stored`, as an Optuna study in memory."""
    found = optuna.create_study()
    for row in stored()["trials"]:
        fixed = optuna.trial.FixedTrial(row["params"])
        suggest(fixed)  # says from which ranges they come
        found.add_trial(
            optuna.trial.create_trial(
                state=optuna.trial.TrialState[row["state"]], value=row["value"], params=row["params"],
                distributions=fixed.distributions, user_attrs={"diverged": row["diverged"]} if row["diverged"] else {},
                intermediate_values={int(step): distance for step, distance in row["course"].items()},
            )
        )  # fmt: skip
    return found
