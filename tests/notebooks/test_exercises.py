"""Every exercise: its stub is not tried yet, its solution is right, and each wrong answer gets its reason."""

import pytest

from tests.notebooks import contract, execution
from tests.notebooks.wrong_answers import CHECKS, PLANTED, WRONG

LESSONS = contract.all_lessons()
ANSWERS = [
    pytest.param(lesson, i, exercise, kind, id=f"{lesson.number}-{exercise.check_name}-{kind}".replace(" ", "-"))
    for lesson in LESSONS
    for i, exercise in enumerate(lesson.exercises, 1)
    for kind in execution.answers(exercise)
]


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
