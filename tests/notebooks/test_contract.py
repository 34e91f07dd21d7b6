"""Every lesson keeps to every rule of contract.py; and every rule complains about a notebook that breaks it."""

import base64

import nbformat
import pytest
from nbformat.v4 import new_output

from tests.notebooks import contract, example
from tools.lessons import WIDGET

LESSONS = contract.all_lessons()


@pytest.mark.parametrize("rule", contract.RULES)
@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.path.stem)
def test_lesson_keeps_to(lesson, rule):
    assert list(contract.RULES[rule](lesson)) == []


def test_each_number_is_that_of_one_lesson():
    numbers = [int(lesson.number) for lesson in LESSONS]
    assert numbers == sorted(set(numbers))
    assert set(numbers) <= set(range(12))


# Each mutation spoils the good notebook in one way, for one rule.


def first(tag):
    """The first cell with this tag, or the first cell of the notebook for "title", the last text for "close"."""

    def of(notebook):
        if tag == "title":
            return notebook.cells[0]
        if tag == "close":
            return [cell for cell in notebook.cells if cell.cell_type == "markdown"][-1]
        return next(cell for cell in notebook.cells if tag in cell.metadata.get("tags", []))

    return of


def replace(tag, old, new):
    def mutate(notebook):
        cell = first(tag)(notebook)
        assert old in cell.source
        cell.source = cell.source.replace(old, new)

    return mutate


def append(tag, more):
    def mutate(notebook):
        first(tag)(notebook).source += more

    return mutate


def drop(tag):
    return lambda notebook: notebook.cells.remove(first(tag)(notebook))


def untag(tag):
    def mutate(notebook):
        first(tag)(notebook).metadata = {}

    return mutate


def retag(tag, new):
    def mutate(notebook):
        first(tag)(notebook).metadata["tags"] = [new]

    return mutate


def swap(one, other):
    def mutate(notebook):
        a, b = notebook.cells.index(first(one)(notebook)), notebook.cells.index(first(other)(notebook))
        notebook.cells[a], notebook.cells[b] = notebook.cells[b], notebook.cells[a]

    return mutate


def show(output, tag="nbval-check-output"):
    def mutate(notebook):
        first(tag)(notebook).outputs.append(output)

    return mutate


def source(tag, text):
    def mutate(notebook):
        first(tag)(notebook).source = text

    return mutate


def set_in(where, key, value):
    def mutate(notebook):
        where(notebook)[key] = value

    return mutate


def fewer_cells(notebook):
    del notebook.cells[8:16]


def many_cells(notebook):
    notebook.cells[8:8] = [example.text("More."), example.code("None")] * 20


def long_median(notebook):
    for cell in notebook.cells:
        if cell.cell_type == "code" and not cell.metadata.get("tags"):
            cell.source = "\n".join("1234567")
    for tag in ("check", "exercise", "nbval-check-output", "imports"):
        first(tag)(notebook).source = "\n".join("1234567")


def third_of_an_exercise(notebook):
    notebook.cells[8:8] = [example.text("Try.", "exercise-text"), example.code("x = ...", "exercise")]


def one_exercise(notebook):
    start = notebook.cells.index(first("exercise-text")(notebook))
    del notebook.cells[start : start + 5]


def five_exercises(notebook):
    start = notebook.cells.index(first("exercise-text")(notebook))
    notebook.cells[start:start] = notebook.cells[start : start + 5] * 3


def old_format(notebook):
    notebook.nbformat_minor = 4
    for cell in notebook.cells:
        del cell["id"]


def svg():
    return new_output("display_data", data={"image/svg+xml": "<svg/>"})


def large_picture():
    return new_output("display_data", data={"image/png": base64.b64encode(bytes(1_200_000)).decode()})


def two_predictions(notebook):
    at = notebook.cells.index(first("predict")(notebook))
    notebook.cells.insert(at, example.text("And what is seven times six?", "predict"))


def unseen_prediction(notebook):
    notebook.cells.insert(-2, example.text("What is seven times six?", "predict"))


def answer_first(notebook):
    swap("nbval-check-output", "compare")(notebook)


CLOSE, TITLE = "close", "title"
HOME = "/".join(["", "home", "dolly"])  # in pieces, for no file of ours names such a path
MUTATIONS = [
    ("file_name", "01-sheep.ipynb"),
    ("title", replace(TITLE, "# 01 ·", "# 02 ·")),
    ("title", append(CLOSE, "\n\n# Once more")),
    ("badge", replace(TITLE, "01_count", "02_count")),
    ("badge", replace(TITLE, "colab-badge", "badge")),
    ("hero", replace(TITLE, "lessons/01.png", "lessons/02.png")),
    ("do_learn_need", replace(TITLE, "What you'll learn", "What you'll buy")),
    ("do_learn_need", replace(TITLE, "What you'll do", "What you'll need")),
    ("minutes", replace(TITLE, "1 minute", "a minute")),
    ("minutes", replace(TITLE, "T4-class ", "")),
    ("opening", swap("imports", "parameters")),
    ("opening", untag("derived")),
    ("opening", lambda notebook: notebook.cells.insert(7, example.code("", "imports"))),
    ("bootstrap", append("bootstrap", " pandas")),
    ("bootstrap", append("bootstrap", contract.SEARCHES)),
    ("bootstrap", append("imports", "\nimport optuna")),
    ("imports", append("imports", "\nsheep = 7")),
    ("parameters", append("parameters", "\nmore = 2 * steps  # derived")),
    ("parameters", append("parameters", "\nmore = [1]  # a list")),
    ("parameters", append("parameters", "\nmore = 2")),
    ("parameters", source("parameters", "")),
    ("number_of_cells", fewer_cells),
    ("number_of_cells", many_cells),
    ("length_of_cells", append("outcome", "\n" * 26)),
    ("length_of_cells", long_median),
    ("prose", lambda notebook: notebook.cells.insert(9, example.code("None"))),
    ("prose", lambda notebook: notebook.cells.insert(-4, example.code("None"))),
    ("prose", lambda notebook: notebook.cells.insert(-6, example.code("None"))),
    ("known_tags", retag("nbval-check-output", "raises-exception")),
    ("known_tags", retag("nbval-check-output", "nbval-skip")),
    ("known_tags", retag("hint", "hints")),
    ("magics", append("imports", "\n%matplotlib inline")),
    ("magics", append("imports", "\n!pip install sheep")),
    ("magics", source("nbval-check-output", "%%time\n1")),
    ("markers", append("outcome", "\n# NBVAL_SKIP")),
    ("prediction", drop("predict")),
    ("prediction", untag("predict")),
    ("prediction", two_predictions),
    ("prediction", unseen_prediction),
    ("prediction", answer_first),
    ("prediction", source("compare", "42.")),
    ("prediction_cells_are_text", retag("close", "outcome")),
    ("prediction_cells_are_text", retag("nbval-check-output", "predict")),
    ("folds", replace("hint", "</details>", "")),
    ("folds", replace("hint", "</summary>\n\n", "</summary>\n")),
    ("folds", replace("compare", "<summary>Answer</summary>", "")),
    ("static_pictures", append("derived", "\nwidgets.explore(sampler)")),
    ("static_pictures", append("derived", "\nwidgets.live(game, world, picture=picture)")),
    ("files_go_to_runs", append("derived", '\nout = "runs/lesson_02"')),
    ("files_go_to_runs", append("derived", '\nout = "runs/lesson_one"')),
    ("number_of_exercises", one_exercise),
    ("number_of_exercises", five_exercises),
    ("number_of_exercises", third_of_an_exercise),
    ("number_of_exercises", drop("hint")),
    ("number_of_exercises", swap("hint", "solution")),
    ("exercise_texts", replace("exercise-text", "●●○○○", "●●○○")),
    ("exercise_texts", replace("exercise-text", "●●○○○", "○○○○○")),
    ("exercise_texts", replace("exercise-text", "3 minutes", "a while")),
    ("stubs", replace("exercise", "...", "2 * n")),
    ("stubs", replace("exercise", "double", "twice")),
    ("check_cells", append("check", "\nprint(1)")),
    ("check_cells", set_in(first("check"), "outputs", [])),
    ("check_cells", lambda notebook: first("check")(notebook).outputs[0].data.update({"text/plain": "Right."})),
    ("hints_and_solutions", source("hint", "Fingers.")),
    ("hints_and_solutions", source("solution", "2 * n")),
    ("hints_and_solutions", replace("solution", "double", "twice")),
    ("hints_and_solutions", append("solution", "\n```python\n```")),
    ("hints_and_solutions", replace("solution", "return 2 *", "return 2 *;")),
    ("close", replace(CLOSE, "## Recap", "")),
    ("close", replace(CLOSE, "## On your own", "## Homework")),
    ("close", replace(CLOSE, "## Next", "Then")),
    ("close", lambda notebook: replace(CLOSE, "Next", "Recap")(notebook) or replace(CLOSE, "Recap", "Next")(notebook)),
    ("recap", replace(CLOSE, "You doubled. You stopped. You slept.", "")),
    ("recap", replace(CLOSE, "You slept.", "You slept. " * 5)),
    ("further_reading", replace(CLOSE, "2014", "")),
    ("further_reading", replace(CLOSE, "[On counting](https://example.org/counting)", "On counting")),
    ("further_reading", replace(CLOSE, "## Further reading\n", "")),
    ("next_lesson", "beside 02_count_the_cows.ipynb"),
    ("outcome", untag("outcome")),
    ("outcome", swap("outcome", "nbval-check-output")),
    ("outcome", lambda notebook: first("outcome")(notebook).outputs[0].update(text='{"sheep": [7]}')),
    ("outcome", lambda notebook: first("outcome")(notebook).outputs[0].update(text="{}")),
    ("hedges", append(CLOSE, " Simply count them.")),
    ("hedges", append(CLOSE, " You just count them.")),
    ("hedges", append("imports", "  # obviously")),
    ("emoji", append(CLOSE, " 🐑")),
    ("emoji", append(CLOSE, " ✨")),
    ("old_names", append("outcome", "\nnetG = None")),
    ("old_names", append(CLOSE, " Here nz is the length of z.")),
    ("placeholders", replace(TITLE, "1 minute", "TIME_CPU, that is 1 minute")),
    ("placeholders", append("outcome", "  # TODO")),
    ("alt_texts", replace(TITLE, "![Two white sheep on a black field]", "![]")),
    ("alt_texts", replace(TITLE, "lessons/01.png", "lessons/one.png")),
    ("alt_texts", append(CLOSE, '<img src="x.png">')),
    ("local_links", append(CLOSE, " [02](02_count_the_cows.ipynb)")),
    ("valid", old_format),
    ("valid", lambda notebook: notebook.metadata.update(kernelspec={"name": "sheep", "display_name": "Sheep"})),
    ("valid", lambda notebook: notebook.cells[1].update(cell_type="sheep")),
    ("metadata", lambda notebook: notebook.metadata.update(papermill={})),
    ("metadata", lambda notebook: notebook.metadata.update(widgets={})),
    ("metadata", lambda notebook: notebook.cells[1].metadata.update(papermill={})),
    ("metadata", lambda notebook: notebook.cells[0].update(attachments={"a.png": {"image/png": ""}})),
    ("execution_counts", lambda notebook: first("imports")(notebook).update(execution_count=None)),
    ("execution_counts", swap("imports", "derived")),
    ("execution_counts", lambda notebook: first("check")(notebook).outputs[0].update(execution_count=99)),
    ("no_errors", show(new_output("error", ename="ValueError", evalue="no sheep", traceback=[]))),
    ("no_errors", show(new_output("stream", name="stderr", text="UserWarning: no sheep"))),
    ("compared_outputs", lambda notebook: first("nbval-check-output")(notebook).update(outputs=[])),
    ("compared_outputs", lambda notebook: first("nbval-check-output")(notebook).update(outputs=[example.png()])),
    ("no_widgets", show(new_output("display_data", data={WIDGET: {"model_id": "1", "version_major": 2}}))),
    ("no_objects", show(example.stdout("<sheep.Sheep object at 0x7f0ec0ffee00>"))),
    ("no_objects", show(new_output("display_data", data={"text/plain": "<Axes: title='sheep'>"}))),
    ("pictures", show(svg())),
    ("pictures", show(example.png(1300, 10))),
    ("figures_are_shown", append("imports", "\n_, ax = plt.subplots()")),
    ("figures_are_shown", append("imports", "\nplotting.save_figure(plotting.grid(images), 'hero.png')")),
    ("figures_are_shown", append("imports", "\nplotting.curves(records, reference='mlp')")),
    ("bundled_results", append("imports", "\ndisplay(Markdown(reference.table()))")),
    ("bundled_results", append("imports", '\ndisplay(Markdown(reference.table("stacked")))')),
    ("no_machine", show(example.stdout(f"saved to {HOME}/sheep.png"))),
    ("no_machine", append("outcome", f'\npath = "{HOME}"')),
    ("size", show(large_picture())),
]


@pytest.mark.parametrize(("rule", "mutate"), MUTATIONS, ids=[f"{rule}-{i}" for i, (rule, _) in enumerate(MUTATIONS)])
def test_rule_complains_about_a_notebook_that_breaks_it(rule, mutate, tmp_path):
    notebook, name = example.make(), example.NAME
    if isinstance(mutate, str):  # a name: of the notebook, or of one that lies beside it
        if mutate.startswith("beside "):
            example.write(tmp_path, name=mutate.removeprefix("beside "))
        else:
            name = mutate
    else:
        mutate(notebook)
    assert list(contract.RULES[rule](contract.Lesson(write(tmp_path, notebook, name)))) != []


def write(folder, notebook, name):
    """Like `example.write`, even for a notebook that is not valid."""
    path = example.write(folder, name=name)
    path.write_text(nbformat.v4.writes_json(notebook), encoding="utf-8")
    return path


def test_no_rule_complains_about_the_good_notebook(tmp_path):
    lesson = contract.Lesson(example.write(tmp_path))
    assert {name: complaints for name, rule in contract.RULES.items() if (complaints := list(rule(lesson)))} == {}


def test_each_rule_has_a_notebook_that_breaks_it():
    assert {rule for rule, _ in MUTATIONS} == contract.RULES.keys()
