"""Every exercise: its stub is not tried yet, its solution is right, and each wrong answer gets its reason."""

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
def test_an_answer_gets_its_verdict(lesson, i, exercise, kind):
    status, reason = execution.run_once(lesson.path).verdicts[i, kind]
    wanted, fragment = expected(exercise, kind)
    assert status == wanted, reason
    assert fragment in reason
    assert bool(reason) == (status == "not yet")


def test_the_checks_are_those_of_the_exercises_and_each_has_wrong_answers():
    names = {lesson: list(found) for lesson, found in CHECKS.items()}
    assert {lesson.path.stem[3:]: {each.check_name for each in lesson.exercises} for lesson in LESSONS} == {
        lesson: set(found) for lesson, found in names.items()
    }
    assert {lesson: list(found) for lesson, found in PLANTED.items()} == names
    assert len(WRONG) == sum(map(len, names.values()))  # no name stands for two checks


@pytest.mark.parametrize("name", WRONG)
def test_a_check_has_different_wrong_answers(name):
    codes, fragments = zip(*WRONG[name], strict=True)
    assert len(set(codes)) == len(codes) >= 2
    assert all(fragment.strip() for fragment in fragments)
