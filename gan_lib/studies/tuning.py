"""Hyper-parameter search with Optuna: the search space, and the study that comes with the package, by tools/make_study.py.

Lesson 14. Optuna is not among the package's dependencies: `pip install optuna`.
"""

import json

import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from gan_lib import reference

STEPS = 450  # iterations of a trial
DEFAULT = {"g_lr": 1e-3, "d_lr": 1e-3, "beta1": 0.5, "width": 256, "loss": "non-saturating", "penalty": "none"}
SPACE = {
    "g_lr": FloatDistribution(1e-4, 2e-2, log=True),
    "d_lr": FloatDistribution(1e-4, 2e-2, log=True),
    "beta1": FloatDistribution(0.0, 0.9),
    "width": IntDistribution(64, 512, log=True),
    "loss": CategoricalDistribution(["non-saturating", "least squares", "hinge", "Wasserstein", "relativistic"]),
    "penalty": CategoricalDistribution(["none", "R1", "R1 + R2"]),
    "gamma": FloatDistribution(0.01, 100, log=True),  # only with a penalty
}


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
        trial = optuna.trial.create_trial(
            state=optuna.trial.TrialState[row["state"]], value=row["value"],
            params=row["params"], distributions={name: SPACE[name] for name in row["params"]},
            intermediate_values={int(step): distance for step, distance in row["course"].items()},
            user_attrs={"diverged": row["diverged"]} if row["diverged"] else {},
        )  # fmt: skip
        found.add_trial(trial)
    return found
