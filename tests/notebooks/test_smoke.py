"""Every lesson runs from top to bottom with three steps, quickly; outputs that must be the same everywhere are."""

import pytest

from tests.notebooks import contract, example, execution
from tests.notebooks.example import stdout

LESSONS = contract.all_lessons()
each_lesson = pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.path.stem)


@each_lesson
def test_lesson_runs(lesson):
    assert execution.run_once(lesson.path).failures == {}


@each_lesson
def test_lesson_computes_little(lesson):
    work = execution.run_once(lesson.path).work
    assert work.get("inputs", 0) < 4_000_000  # of layers
    assert work.get("updates", 0) < 3000  # by optimisers


@each_lesson
def test_lesson_that_trains_can_be_told_to_train_less(lesson):
    trains = any("backward()" in cell.source or "train(" in cell.source for cell in lesson.code)
    assert "steps" in execution.parameters(lesson.path) or not trains


def test_smoke_parameters_are_names_that_lessons_have():
    known = set().union(*(execution.parameters(lesson.path) for lesson in LESSONS))
    assert execution.SMOKE["steps"] == 3
    assert execution.SMOKE.keys() <= known


def test_outputs_are_compared_somewhere():
    assert any(lesson.tagged("nbval-check-output") for lesson in LESSONS)


# The mechanism, on the example


def test_good_example_runs(tmp_path):
    notebook = example.make()
    cell = next(cell for cell in notebook.cells if cell.source == "None")
    cell.source = WORK
    run = execution.run(example.write(tmp_path, notebook), tmp_path, example.WRONG)
    assert run.failures == {}
    assert run.work == {"inputs": 2 * 6, "updates": 1}
    assert len(run.verdicts) == 16
    assert run.verdicts[1, "stub"] == run.verdicts[2, "stub"] == ("not tried yet", "")
    assert run.verdicts[1, "solution"] == run.verdicts[2, "solution"] == ("right", "")
    assert run.verdicts[1, "wrong 1"] == ("not yet", "double(3) is 9, not 6")
    assert run.verdicts[1, "raises"] == ("not yet", "it raised KeyError: 'mine'")
    assert not (tmp_path / "notebooks" / "runs").exists()


WORK = """import torch

net = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.ReLU())
net(torch.ones(6, 3)).sum().backward()
torch.optim.SGD(net.parameters(), 0.1).step()"""
CALLBACK = """import ipywidgets

slider = ipywidgets.IntSlider()
slider.observe(lambda _: 1 / 0, "value")
slider.value = 1"""
NETWORK = """import urllib.request

urllib.request.urlopen("http://example.org")"""


def test_spoiled_example_does_not_run_and_its_solution_is_not_right(tmp_path):
    notebook = example.make()
    find = {tag: cell for cell in notebook.cells for tag in cell.metadata.get("tags", [])}  # the last one of each tag
    find["nbval-check-output"].outputs = [stdout("43\n")]
    plain = [cell for cell in notebook.cells if cell.cell_type == "code" and not cell.metadata.get("tags")]
    plain[0].source, plain[1].source, plain[2].source = "raise LookupError('a wolf')", CALLBACK, NETWORK
    find["solution"].source = find["solution"].source.replace("flock = 7", "flock = 8")
    plain[
        -1
    ].source = "assert double(flock) == 16 and len(sheep) == 3"  # holds with the solutions, and with three steps

    run = execution.run(example.write(tmp_path, notebook), tmp_path, example.WRONG)
    assert len(run.failures) == 4
    for said, why in zip(run.failures.values(), ["43", "a wolf", "ZeroDivisionError", "urlopen"], strict=True):
        assert why in said
    assert run.verdicts[2, "solution"] == ("not yet", "a flock is seven sheep")
    assert run.verdicts[2, "stub"] == ("not tried yet", "")
