"""Runs in a lesson's kernel, in cells that execution.py adds: tries answers to an exercise, and notes what it sees."""

import collections
import json

import torch
from torch.optim.optimizer import register_optimizer_step_post_hook

WORK = collections.Counter()  # what this kernel has computed so far: inputs of layers, steps of optimisers


def start_counting():
    """Count in `WORK` from now on. It is the same on every machine, however busy, where seconds are not."""
    torch.nn.modules.module.register_module_forward_pre_hook(
        lambda layer, inputs: WORK.update(inputs=len(inputs[0]) if not layer._modules and len(inputs) else 0)
    )
    register_optimizer_step_post_hook(lambda *_: WORK.update(updates=1))


def note(path, **what):
    """Append one JSON object to the file `path`."""
    with open(path, "a", encoding="utf-8") as file:
        file.write(json.dumps(what) + "\n")


def probe(namespace, answers, check, exercise, path):
    """Put each of `answers` ({kind: code}) into `namespace` in turn, and note what the expression `check` says of it.

    The solution stays there, so that the cells below run as they do for a reader who has solved the exercise. All else,
    PyTorch's random state and `WORK` too, is afterwards as it was before.
    """
    before = WORK.copy()
    for kind, code in answers.items():
        saved = dict(namespace)
        try:
            with torch.random.fork_rng(devices=[]):
                exec(code, namespace)
                verdict = eval(check, namespace)
            note(path, exercise=exercise, kind=kind, status=verdict.status, reason=verdict.reason)
        except Exception as error:
            note(path, exercise=exercise, kind=kind, status="raised", reason=f"{type(error).__name__}: {error}")
        if kind != "solution":
            for name in namespace.keys() - saved.keys():
                del namespace[name]
            namespace.update(saved)
    WORK.clear()
    WORK.update(before)
