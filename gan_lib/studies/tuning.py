"""The hyper-parameter search that comes with the package, by tools/make_study.py. Lesson 14."""

import json

from gan_lib import reference

STEPS = 450  # iterations of a trial
DEFAULT = {"g_lr": 1e-3, "d_lr": 1e-3, "beta1": 0.5, "width": 256, "loss": "non-saturating", "penalty": "none"}


def load_results():
    """study.json, made by `tools/make_study.py`: {"steps", "trials", "again", "full"}.

    `trials` is [{"state", "params", "course", "value", "diverged"} …]. `again` is {number: [distance …]}, from five new seeds
    with the settings of some trials (None: it diverged). `full` is {"number", "distances"}, from two seeds at the full length
    of `mlp-quick`.
    """
    return json.loads((reference.FOLDER / "study.json").read_text())
