"""Run the lessons, check what they print against its bounds, or renew the committed copies.

    python tools/lessons.py run 03 06       # or: all
    python tools/lessons.py outcomes all    # checks what each prints against tests/notebooks/outcomes.toml
    python tools/lessons.py refresh all     # renews notebooks/, if every lesson succeeded
    python tools/lessons.py seeds all       # five times each, with seeds 0 to 4: renews tests/notebooks/seeds.json

Each notebook runs with its own defaults, in the repository's top folder: what it makes in `runs/lesson_NN/` then lies
beside its executed copy, `runs/NN_*.ipynb`, whose links to `../samples/` work as they do in `notebooks/`.
"""

import argparse
import base64
import copy
import json
import logging
import operator
import os
import re
import sys
import time
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

import nbformat
import papermill
from tqdm import tqdm

LIMITS = {"min": (operator.ge, "at least"), "max": (operator.le, "at most"), "equals": (operator.eq, "exactly")}
NOTEBOOK_METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
    "accelerator": "GPU",  # Colab reads this and the next one, Kaggle the last
    "colab": {"gpuType": "T4", "provenance": []},
    "kaggle": {"accelerator": "nvidiaTeslaT4", "isGpuEnabled": True, "isInternetEnabled": True},
}
HERO = re.compile(r"(!\[[^\]]*\]\()(?:hero\.png|data:image/png;base64,[^)]*)\)")  # in the first cell of a lesson
WIDGET = "application/vnd.jupyter.widget-view+json"


@dataclass
class Result:
    """How one lesson went: what its outcome cell printed, and what went wrong (nothing: it succeeded)."""

    notebook: Path
    copy: Path  # the executed one
    hero: Path  # the picture at the lesson's top, if it made one
    seconds: float = 0.0
    outcome: dict = field(default_factory=dict)
    errors: list = field(default_factory=list)


def find(root, numbers):
    """The notebooks with these numbers ("all": every one), in order. Raises `ValueError` where one is missing."""
    lessons = {path.name[:2]: path for path in sorted((root / "notebooks").glob("[0-9][0-9]_*.ipynb"))}
    wanted = {number.zfill(2) for number in numbers}
    if not lessons or (wanted := lessons.keys() if "all" in wanted else wanted) - lessons.keys():
        raise ValueError(f"You asked for {' '.join(numbers)}; the lessons are: {' '.join(lessons) or 'none'}.")
    return [path for number, path in lessons.items() if number in wanted]


def execute(notebook, root, timeout=600, parameters=None):
    """Run one lesson; no cell may take longer than `timeout` seconds. Whatever happens is in the `Result`."""
    runs = root / "runs"
    result = Result(notebook, runs / notebook.name, runs / f"lesson_{notebook.name[:2]}" / "hero.png")
    for old in (result.copy, result.hero):
        old.unlink(missing_ok=True)
    runs.mkdir(exist_ok=True)
    start = time.perf_counter()
    try:
        executed = papermill.execute_notebook(
            notebook, result.copy, parameters, cwd=root, kernel_name="python3", execution_timeout=timeout,
            progress_bar=False,
        )  # fmt: skip
        result.outcome = outcome_of(executed)
    except ValueError as error:  # not a notebook, or without an outcome
        result.errors = [str(error)]
    except Exception as error:  # a cell failed, took too long, or killed the kernel: the next lesson can still run
        name, message = getattr(error, "ename", type(error).__name__), getattr(error, "evalue", str(error))
        result.errors = [" ".join(f"{last_cell(result.copy)}{name}: {message}".split())[:200]]
    result.seconds = time.perf_counter() - start
    return result


def last_cell(copy):
    """The last cell that ran in an executed copy, as "In [n]: "."""
    cells = nbformat.read(copy, 4).cells if copy.exists() else []
    counts = [cell.execution_count for cell in cells if cell.get("execution_count")]
    return f"In [{counts[-1]}]: " if counts else ""


def outcome_of(executed):
    """What the cell tagged `outcome` printed: one flat JSON object of numbers and booleans. Raises `ValueError`."""
    cells = [cell for cell in executed.cells if "outcome" in cell.metadata.get("tags", [])]
    if len(cells) != 1:
        raise ValueError(f"{len(cells)} cells are tagged `outcome`, and a lesson needs exactly one.")
    printed = "".join(output.text for output in cells[0].outputs if output.get("name") == "stdout")
    try:
        outcome = json.loads(printed)
    except json.JSONDecodeError:
        outcome = None
    if not isinstance(outcome, dict) or not all(isinstance(value, int | float) for value in outcome.values()):
        raise ValueError(f"The outcome cell must print one flat JSON object of numbers, not {printed[:80]!r}.")
    return outcome


def broken_bounds(outcome, bounds):
    """One line for each of the `bounds` ({key: {min, max, equals, reason}}) that `outcome` does not keep."""
    if not bounds:
        return ["outcomes.toml has no bounds for this lesson."]
    lines = []
    for key, bound in bounds.items():
        limits = {name: limit for name, limit in bound.items() if name != "reason"}
        if not limits or limits.keys() - LIMITS.keys() or not bound.get("reason"):
            lines.append(f"{key}: a bound has a reason and one or more of {', '.join(LIMITS)}.")
        elif key not in outcome:
            lines.append(f"{key}: has a bound, but the lesson does not print it.")
        else:
            for name, limit in limits.items():
                keeps, words = LIMITS[name]
                if not keeps(outcome[key], limit):  # also true of nan
                    lines.append(f"{key} is {outcome[key]} and must be {words} {limit}: {bound['reason']}")
    return lines


def read_bounds(root):
    """tests/notebooks/outcomes.toml as {lesson: bounds}."""
    return tomllib.loads((root / "tests" / "notebooks" / "outcomes.toml").read_text(encoding="utf-8"))


def scrub(executed, root):
    """Leave of an executed notebook what its readers need: sources, outputs, counts, ids and tags.

    Raises `ValueError` where an output shows a path of this machine.
    """
    executed.metadata = copy.deepcopy(NOTEBOOK_METADATA)
    for cell in executed.cells:
        cell.metadata = {"tags": tags} if (tags := cell.metadata.get("tags")) else {}
        if cell.cell_type == "code":  # a widget without its state would show as an error
            cell.outputs = [output for output in cell.outputs if WIDGET not in output.get("data", {})]
    for folder in (root, Path.home()):
        if f"{folder}{os.sep}" in nbformat.writes(executed):
            raise ValueError(f"shows a path of this machine, {folder}.")
    return executed


def renew(results, root):
    """Copy scrubbed executed notebooks to notebooks/, with the pictures for their tops: all, or none."""
    clean = []
    for result in results:
        try:
            clean.append(scrub(nbformat.read(result.copy, 4), root))
        except ValueError as error:
            result.errors.append(str(error))
    if any(result.errors for result in results):
        return
    for result, executed in zip(results, clean, strict=True):
        if result.hero.exists():
            picture = f"data:image/png;base64,{base64.b64encode(result.hero.read_bytes()).decode()}"
            executed.cells[0].source = HERO.sub(rf"\g<1>{picture})", executed.cells[0].source)
        nbformat.write(executed, result.notebook)


def run(notebooks, root, timeout, seeds=None):
    """Run each lesson with its own seed, or once for each of `seeds`.

    With seeds, the outcomes are written to tests/notebooks/seeds.json: {lesson: {key: [five]}}. The bounds of outcomes.toml
    are derived from these. A lesson with a failed run keeps its old entry.
    """
    path, results = root / "tests" / "notebooks" / "seeds.json", []
    for notebook in (bar := tqdm(notebooks, unit="lesson")):
        bar.set_description(notebook.stem)
        runs = [execute(notebook, root, timeout, {"seed": seed}) for seed in seeds or ()]
        results += runs or [execute(notebook, root, timeout)]
        if runs and not any(run.errors for run in runs):
            found = json.loads(path.read_text()) if path.exists() else {}
            found[notebook.stem] = {key: [run.outcome[key] for run in runs] for key in runs[0].outcome}
            path.write_text(json.dumps(found, indent=1) + "\n")
    return results


def table(results):
    """A line for each lesson, its seconds and its outcome, and one for each thing that went wrong."""
    width = max(len(result.notebook.stem) for result in results)
    lines = [f"{'lesson':<{width}}  seconds  outcome"]
    for result in results:
        words = ["FAILED"] if result.errors else []
        words += [f"{key}={value}" for key, value in result.outcome.items()]
        lines.append(f"{result.notebook.stem:<{width}}  {result.seconds:7.1f}  {' '.join(words)}".rstrip())
        lines += [f"    {error}" for error in result.errors]
    return "\n".join(lines)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["run", "outcomes", "refresh", "seeds"])
    parser.add_argument("lessons", nargs="*", metavar="NN", help='numbers of lessons, or "all" (default)')
    parser.add_argument("--execution-timeout", type=int, default=600, metavar="S", help="seconds a cell may take (600)")
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parent.parent, help="the repository")
    options = parser.parse_args(arguments)
    os.environ.pop("MPLBACKEND", None)  # Agg would leave every figure out

    try:
        notebooks = find(options.root, options.lessons or ["all"])
        bounds = read_bounds(options.root) if options.command == "outcomes" else {}
    except (ValueError, OSError) as error:
        parser.error(str(error))

    try:
        seeds = range(5) if options.command == "seeds" else None
        results = run(notebooks, options.root, options.execution_timeout, seeds)
    except KeyboardInterrupt:
        logging.disable()  # otherwise asyncio reports the cell that was interrupted
        sys.exit("Stopped.")
    for result in results:
        if options.command == "outcomes" and not result.errors:
            result.errors = broken_bounds(result.outcome, bounds.get(result.notebook.stem))
    if options.command == "refresh":
        renew(results, options.root)

    print(f"\n{table(results)}\n")
    failed = sum(bool(result.errors) for result in results)
    print(f"{failed} of {len(results)} failed." if failed else "All succeeded.", "The executed copies are in runs/.")
    if failed and options.command == "refresh":
        print("Nothing was renewed.")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
