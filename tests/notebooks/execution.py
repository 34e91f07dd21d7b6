"""Runs a lesson once, with small parameters, in a kernel of its own; the smoke tests and the exercise tests share the run.

papermill sets the parameters of smoke.yaml, cells are added that try every answer to every exercise (probe.py), and nbval
runs all cells and compares the outputs of those tagged `nbval-check-output` with the stored outputs.
"""

import functools
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import nbformat
import papermill
import yaml
from nbformat.v4 import new_code_cell

from tests.notebooks import contract
from tests.notebooks.wrong_answers import WRONG

SMOKE = yaml.safe_load(Path(__file__).with_name("smoke.yaml").read_text(encoding="utf-8"))
PROBE = "__import__('tests.notebooks.probe', fromlist=['probe'])"  # an import that leaves no name behind


class Run(NamedTuple):
    """How a lesson went."""

    report: str  # what nbval printed if a cell failed, otherwise ""
    verdicts: dict  # {(number of the exercise, kind of the answer): (status, reason)}
    work: dict  # the computation of the lesson's own cells: {"inputs" of layers, "updates" by optimisers}


def parameters(path):
    """The lesson's parameters as papermill finds them: {name: default as Python code}."""
    return {name: entry["default"] for name, entry in papermill.inspect_notebook(path).items()}


def prepare(path, folder):
    """Write the lesson with its smoke parameters to its place in a repository at `folder`; return the new path."""
    target = folder / "notebooks" / path.name
    target.parent.mkdir(parents=True, exist_ok=True)
    small = {name: value for name, value in SMOKE.items() if name in parameters(path)}
    papermill.execute_notebook(path, target, small, prepare_only=True, progress_bar=False)
    return target


def answers(exercise, wrong=WRONG):
    """All answers to try: {kind: code that replaces the stub}. The solution comes last and stays."""
    return {
        "stub": exercise.stub.source,
        **{f"wrong {i}": code for i, (code, _) in enumerate(wrong.get(exercise.check_name, []), 1)},
        "solution": exercise.solution_code,
    }


def add_probes(path, notes, wrong):
    """Add a cell after each check that tries all answers, and two cells that count what the lesson computes."""
    lesson = contract.Lesson(path)
    for i, exercise in enumerate(lesson.exercises, 1):
        after = next(j for j, cell in enumerate(lesson.cells, 1) if cell is exercise.check)
        arguments = f"globals(), {answers(exercise, wrong)!r}, {exercise.check.source!r}, {i}, {str(notes)!r}"
        lesson.cells.insert(after, new_code_cell(f"{PROBE}.probe({arguments})"))
    lesson.cells.insert(0, new_code_cell(f"{PROBE}.start_counting()"))
    lesson.cells.append(new_code_cell(f"{PROBE}.note({str(notes)!r}, work={PROBE}.WORK)"))
    nbformat.write(lesson.notebook, path)


def environment(folder):
    """A kernel's environment: this checkout's package, no settings or data of the user or of other runs, no network, one core."""
    hidden = ("MPLBACKEND", "PYTEST_", "JUPYTER", "IPYTHON", "COLAB_", "KAGGLE_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
    own = {"GAN_LIB_DATA": "gan_lib_data", "IPYTHONDIR": "ipython"}
    own |= {"JUPYTER_RUNTIME_DIR": "runtime", "JUPYTER_CONFIG_DIR": "config"}
    nowhere = "http://127.0.0.1:9"
    network = {"HTTP_PROXY": nowhere, "HTTPS_PROXY": nowhere, "NO_PROXY": "127.0.0.1,localhost"}
    package = {"PYTHONPATH": str(contract.ROOT)}  # conftest.py asks for one thread
    return kept | {name: str(folder / path) for name, path in own.items()} | network | package


def run(path, folder, wrong=WRONG):
    """Prepare the lesson at `path` in `folder`, with all answers to its exercises, and run it."""
    notes, prepared = folder / "notes.jsonl", prepare(path, folder)
    add_probes(prepared, notes, wrong)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:python", "-p", "no:cacheprovider", "--rootdir", folder,
         "-c", os.devnull, "--nbval-lax", "--nbval-current-env", "--nbval-cell-timeout", "120", prepared],
        cwd=folder, env=environment(folder), capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    noted = [json.loads(line) for line in notes.read_text(encoding="utf-8").splitlines()] if notes.exists() else []
    return Run(
        report=done.stdout + done.stderr if done.returncode else "",
        verdicts={(n["exercise"], n["kind"]): (n["status"], n["reason"]) for n in noted if "kind" in n},
        work=next((n["work"] for n in noted if "work" in n), {}),
    )


@functools.cache
def run_once(path):
    """`run` for a lesson of the repository, once a session."""
    with tempfile.TemporaryDirectory() as folder:
        return run(path, Path(folder))
