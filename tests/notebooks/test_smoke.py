"""Every lesson runs from top to bottom with three steps; outputs that must be the same everywhere are compared.

In the same run every answer to an exercise is tried: its stub is not tried yet, its solution is right, and each wrong answer
gets its reason.
"""

import pytest

from tests.notebooks import contract, example, execution
from tests.notebooks.wrong_answers import CHECKS, PLANTED, WRONG

LESSONS = contract.all_lessons()
ANSWERS = [
    pytest.param(lesson, i, exercise, kind, id=f"{lesson.number}-{exercise.check_name}-{kind}".replace(" ", "-"))
    for lesson in LESSONS
    for i, exercise in enumerate(lesson.exercises, 1)
    for kind in execution.answers(exercise)
]
each_lesson = pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.path.stem)


@each_lesson
def test_lesson_runs_and_computes_little(lesson):
    run = execution.run_once(lesson.path)
    assert run.report == ""
    assert run.work.get("inputs", 0) < 4_000_000  # of layers
    assert run.work.get("updates", 0) < 3000  # by optimisers


@pytest.mark.parametrize(("lesson", "i", "exercise", "kind"), ANSWERS)
def test_an_answer_gets_its_verdict(lesson, i, exercise, kind):
    status, reason = execution.run_once(lesson.path).verdicts[i, kind]
    assert status == {"stub": "not tried yet", "solution": "right"}.get(kind, "not yet"), reason
    assert bool(reason) == (status == "not yet")
    if kind.startswith("wrong "):
        assert WRONG[exercise.check_name][int(kind.removeprefix("wrong ")) - 1][1] in reason


def test_the_checks_are_those_of_the_exercises_and_each_has_wrong_answers():
    names = {lesson: list(found) for lesson, found in CHECKS.items()}
    asked = {lesson.path.stem[3:]: {each.check_name for each in lesson.exercises} for lesson in LESSONS}
    assert asked == {lesson: set(found) for lesson, found in names.items()}
    assert {lesson: list(found) for lesson, found in PLANTED.items()} == names
    assert len(WRONG) == sum(map(len, names.values()))  # no name stands for two checks
    for name, planted in WRONG.items():
        codes, fragments = zip(*planted, strict=True)
        assert len(set(codes)) == len(codes) >= 2 and all(map(str.strip, fragments)), name


@each_lesson
def test_lesson_that_trains_has_a_number_of_steps(lesson):
    trains = any("backward()" in cell.source or "train(" in cell.source for cell in lesson.code)
    assert "steps" in execution.parameters(lesson.path) or not trains


def test_smoke_parameters_are_parameters_of_lessons():
    assert execution.SMOKE["steps"] == 3
    assert execution.SMOKE.keys() <= set().union(*(execution.parameters(lesson.path) for lesson in LESSONS))


def test_outputs_are_compared_somewhere():
    assert any("nbval-check-output" in contract.tags(cell) for lesson in LESSONS for cell in lesson.code)


WORK = """import torch
net = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.ReLU())
net(torch.ones(6, 3)).sum().backward()
torch.optim.SGD(net.parameters(), 0.1).step()"""
DATA = """from pathlib import Path
from gan_lib.data import cache_folder
assert cache_folder().parent == Path.cwd().parent and not cache_folder().exists()"""
CALLBACK = """import ipywidgets
slider = ipywidgets.IntSlider()
slider.observe(lambda _: 1 / 0, "value")
slider.value = 1"""
NETWORK = "import urllib.request\nurllib.request.urlopen('http://example.org')"
SOLVED = "assert double(flock) == 16 and len(sheep) == 3"  # with the (wrong) solution, and with three steps


def test_what_goes_wrong_in_the_example_is_reported_and_its_work_is_counted(tmp_path):
    notebook = example.make()
    plain = [cell for cell in notebook.cells if cell.cell_type == "code" and not contract.tags(cell)]
    sources = f"{WORK}\n{DATA}", "raise LookupError('a wolf')", CALLBACK, NETWORK, SOLVED
    for cell, source in zip(plain, sources, strict=True):
        cell.source = source
    path = example.write(tmp_path, notebook)
    path.write_text(path.read_text().replace(r'"42\n"', r'"43\n"').replace("flock = 7", "flock = 8"))
    run = execution.run(path, tmp_path, example.WRONG)
    assert "4 failed" in run.report
    for part in ("'43", "a wolf", "division by zero", "urlopen error"):
        assert part in run.report
    assert run.work == {"inputs": 2 * 6, "updates": 1}
    assert len(run.verdicts) == 8
    assert run.verdicts[1, "stub"] == run.verdicts[2, "stub"] == ("not tried yet", "")
    assert run.verdicts[1, "solution"] == ("right", "")
    assert run.verdicts[1, "wrong 1"] == ("not yet", "double(3) is 9, not 6")
    assert run.verdicts[2, "solution"] == ("not yet", "a flock is seven sheep")
    assert not (tmp_path / "notebooks" / "runs").exists()
