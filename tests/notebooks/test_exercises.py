"""Every exercise: its stub is not tried yet, its solution is right, and each planted wrong answer is told why."""

import pytest

from tests.notebooks import contract, execution
from tests.notebooks.wrong_answers import CHECKS, PLANTED, WRONG

LESSONS = contract.all_lessons()
EXERCISES = [(lesson, i, exercise) for lesson in LESSONS for i, exercise in enumerate(lesson.exercises, 1)]


def expected(exercise, kind):
    """The status that an answer must get, and a fragment of the reason."""
    if kind.startswith("wrong "):
        return "not yet", WRONG[exercise.check_name][int(kind.removeprefix("wrong ")) - 1][1]
    return {"stub": "not tried yet", "solution": "right"}.get(kind, "not yet"), ""


@pytest.mark.parametrize(
    ("lesson", "i", "exercise", "kind"),
    [
        pytest.param(*entry, kind, id=f"{entry[0].number}-{entry[2].check_name}-{kind}".replace(" ", "-"))
        for entry in EXERCISES
        for kind in execution.answers(entry[2])
    ],
)
def test_answer_is_told_how_it_stands(lesson, i, exercise, kind):
    status, reason = execution.run_once(lesson.path).verdicts[i, kind]
    wanted, fragment = expected(exercise, kind)
    assert status == wanted, reason
    assert fragment in reason
    assert bool(reason) == (status == "not yet")


def test_every_check_used_is_there_and_every_check_there_is_used():
    used = {lesson.path.stem[3:]: {exercise.check_name for exercise in lesson.exercises} for lesson in LESSONS}
    assert used == {lesson: set(found) for lesson, found in CHECKS.items()}


def test_every_check_has_a_section_of_wrong_answers():
    assert {lesson: list(found) for lesson, found in PLANTED.items()} == {
        lesson: list(found) for lesson, found in CHECKS.items()
    }
    assert len(WRONG) == sum(map(len, CHECKS.values()))  # no name stands for two checks


@pytest.mark.parametrize("name", WRONG)
def test_check_has_planted_wrong_answers(name):
    assert len(WRONG[name]) >= 2
    for code, fragment in WRONG[name]:
        compile(code, name, "exec")
        assert fragment.strip()
    assert len({code for code, _ in WRONG[name]}) == len(WRONG[name])
