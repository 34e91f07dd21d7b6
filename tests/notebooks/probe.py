"""Runs in a lesson's kernel, in the cells that execution.py adds: tries answers to an exercise and notes the verdicts."""

import json

import torch


def probe(namespace, answers, check, exercise, path):
    """Put each of `answers` ({kind: code}) into `namespace` in turn; append the verdict of the expression `check` to a file.

    The solution stays, so that the cells below run as they do for a reader who has solved the exercise. Everything else,
    with PyTorch's random state, is the same afterwards as before.
    """
    for kind, code in answers.items():
        saved = dict(namespace)
        try:
            with torch.random.fork_rng(devices=[]):
                exec(code, namespace)
                status, reason = eval(check, namespace)
        except Exception as error:
            status, reason = "raised", f"{type(error).__name__}: {error}"
        with open(path, "a", encoding="utf-8") as file:
            file.write(json.dumps([exercise, kind, status, reason]) + "\n")
        if kind != "solution":
            for name in namespace.keys() - saved.keys():
                del namespace[name]
            namespace.update(saved)
