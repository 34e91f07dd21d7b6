"""Runs in a lesson's kernel, in the cells that execution.py adds: tries answers to an exercise and writes notes."""

import collections
import json

import torch
from torch.optim.optimizer import register_optimizer_step_post_hook

WORK = collections.Counter()  # the computation of this kernel so far: inputs of layers, updates by optimisers


def start_counting():
    """Count in `WORK` from now on. Unlike seconds, the counts are the same on every machine, however busy."""
    torch.nn.modules.module.register_module_forward_pre_hook(
        lambda layer, inputs: WORK.update(inputs=len(inputs[0]) if not layer._modules and len(inputs) else 0)
    )
    register_optimizer_step_post_hook(lambda *_: WORK.update(updates=1))


def note(path, **what):
    """Append one JSON object to the file `path`."""
    with open(path, "a", encoding="utf-8") as file:
        file.write(json.dumps(what) + "\n")


def probe(namespace, answers, check, exercise, path):
    """Put each of `answers` ({kind: code}) into `namespace` in turn, and note the verdict of the expression `check`.

    The solution stays, so that the cells below run as they do for a reader who has solved the exercise. Everything else,
    with PyTorch's random state and `WORK`, is the same afterwards as before.
    """
    before = WORK.copy()
    for kind, code in answers.items():
        saved = dict(namespace)
        try:
            with torch.random.fork_rng(devices=[]):
                exec(code, namespace)
                status, reason = eval(check, namespace)
        except Exception as error:
            status, reason = "raised", f"{type(error).__name__}: {error}"
        note(path, exercise=exercise, kind=kind, status=status, reason=reason)
        if kind != "solution":
            for name in namespace.keys() - saved.keys():
                del namespace[name]
            namespace.update(saved)
    WORK.clear()
    WORK.update(before)
