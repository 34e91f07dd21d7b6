"""Every lesson keeps every rule of contract.py, and every rule complains about a notebook that breaks it."""

import base64
import re

import pytest
from nbformat.v4 import new_output

from tests.notebooks import contract, example
from tests.notebooks.example import code, result, stdout, text
from tools.lessons import WIDGET

LESSONS = contract.all_lessons()


@pytest.mark.parametrize("rule", contract.RULES)
@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.path.stem)
def test_lesson_keeps(lesson, rule):
    assert list(contract.RULES[rule](lesson)) == []


def test_each_number_is_that_of_one_lesson():
    assert len({lesson.number for lesson in LESSONS}) == len(LESSONS)


def test_the_course_has_at_most_25_000_words():
    """A word has a Latin letter: numbers, symbols and the signs of tables aren't counted."""
    assert sum(bool(re.search("[A-Za-z]", word)) for lesson in LESSONS for word in lesson.prose.split()) <= 25_000


def test_the_map_of_the_course_has_the_times_of_each_lesson():
    for lesson in LESSONS[1:]:
        times = re.search(r"about (\d+) minutes for you; .* about (\d+) seconds", lesson.prose).groups()
        assert re.search(rf"\({lesson.path.name}\) .* \| {times[0]} \| {times[1]} \|", LESSONS[0].prose), lesson.number


def find(notebook, tag):
    """The first cell with this tag; the first cell for "title", the last Markdown for "close"."""
    tagged = {tag: cell for cell in reversed(notebook.cells) for tag in contract.tags(cell)}
    texts = [cell for cell in notebook.cells if cell.cell_type == "markdown"]
    return (tagged | {"title": notebook.cells[0], "close": texts[-1]})[tag]


def replace(tag, old, new):
    def change(notebook):
        cell = find(notebook, tag)
        assert old in cell.source
        cell.source = cell.source.replace(old, new)

    return change


def append(tag, more):
    return lambda notebook: find(notebook, tag).update(source=find(notebook, tag).source + more)


def update(tag, **values):
    """Set the parts of a cell: source, outputs, metadata and so on."""
    return lambda notebook: find(notebook, tag).update(values)


def retag(tag, *new):
    return update(tag, metadata={"tags": list(new)})


def show(output):
    return lambda notebook: find(notebook, "nbval-check-output").outputs.append(output)


def splice(place, n, *cells):
    """Remove n cells, from an index or the first cell with a tag on, and put others there."""

    def change(notebook):
        at = place if isinstance(place, int) else notebook.cells.index(find(notebook, place))
        notebook.cells[at : at + n] = cells

    return change


def swap(one, other):
    def change(notebook):
        i, j = (notebook.cells.index(find(notebook, tag)) for tag in (one, other))
        notebook.cells[i], notebook.cells[j] = notebook.cells[j], notebook.cells[i]

    return change


def data(kind, content):
    return new_output("display_data", data={kind: content})


EXERCISE = example.exercise("double", "double = ...", "double = 2")
LARGE = base64.b64encode(bytes(1_200_000)).decode()
BROKEN = [  # (rule, part of its complaint, changes that each cause it: functions of the notebook, or file names)
    ("file", "NN_verb_object", "01-sheep.ipynb"),
    ("file", "1.5 MB", show(data("text/html", LARGE))),
    ("first_cell", "a title", replace("title", "# 01 ·", "# 02 ·")),
    ("first_cell", "hero", replace("title", "data:image/png;base64,", "hero.png")),
    ("first_cell", "labels", *(replace("title", f"**{label}**", "**What**") for label in contract.LABELS)),
    ("first_cell", "question", replace("title", "sheep?", "sheep.")),
    ("first_cell", "the learner's minutes", replace("title", "3 minutes for you", "a while for you")),
    ("first_cell", "CPU", replace("title", "two CPU cores", "two cores"), replace("title", "1 second", "a second")),
    ("markdown", "second title", append("close", "\n\n# Once more")),
    ("opening", "tagged", swap("imports", "parameters"), retag("derived"), splice(7, 0, code("", "imports"))),
    ("opening", "more than import", append("imports", "\nsheep = 7")),
    *[("opening", "# why`: more", append("parameters", f"\nmore = {x}")) for x in ("2", "[1]  # a", "2 * steps  # b")],
    ("opening", "(none)", update("parameters", source="")),
    ("code_cells", " code cells, the median", splice("compare", 18), splice(8, 0, *[text("More."), code("None")] * 20)),
    ("code_cells", "the longest of 26", append("outcome", "\n" * 26)),
    ("code_cells", "the median of 7", lambda notebook: [cell.update(source="1\n" * 7) for cell in notebook.cells]),
    ("words", "1,8", append("close", " baa" * 1800)),
    ("terms", "'sheep' is bold 1 times", append("close", " **Sheep**")),
    ("terms", "'lamb' is bold 2 times", append("close", " A **lamb**.")),
    ("terms", "'lamb' is bold 0 times", replace("exercise-text", "**lamb**", "lamb")),
    ("terms", "uses 'lamb' before", replace("predict", "What", "Lambs or not, what")),
    ("code", "no text", splice(9, 0, code("None")), splice(-4, 0, code("None")), splice(-6, 0, code("None"))),
    ("known_tags", "'raises-exception'", retag("nbval-check-output", "raises-exception")),
    ("known_tags", "a markdown cell", retag("close", "outcome")),
    ("known_tags", "a code cell", retag("nbval-check-output", "predict")),
    ("code", "uses ", append("imports", "\n!pip sheep"), update("nbval-check-output", source="%%time\n1")),
    ("code", "NBVAL_SKIP", append("outcome", "\n# NBVAL_SKIP")),
    ("prediction", "PP", splice("predict", 0, text("And seven times six?", "predict"))),
    ("prediction", "Pr", splice(-2, 0, text("And seven times six?", "predict"))),
    ("prediction", "in the order", splice("predict", 1), swap("nbval-check-output", "compare")),
    ("markdown", "its answer", update("compare", source="42."), update("hint", source="Fingers.")),
    ("markdown", "its answer", append("solution", example.fold("More", "Fingers."))),
    ("markdown", "close", replace("hint", "</details>", "")),
    ("markdown", "<summary>", replace("hint", "</summary>\n", "</summary>"), replace("compare", "<summary>Answer", "")),
    ("static_pictures", "widgets.explore(", append("derived", "\nwidgets.explore(sampler)")),
    ("static_pictures", "widgets.live(", append("derived", "\nwidgets.live(game, world, picture=picture)")),
    *[("code", f"lesson_{n}", append("derived", f"\nout = 'runs/lesson_{n}'")) for n in ("02", "one")],
    ("exercises", " exercises, not", splice("exercise-text", 5), splice("exercise-text", 0, *3 * EXERCISE)),
    ("exercises", "is not in an exercise", splice(8, 0, *EXERCISE[:2]), swap("hint", "solution")),
    ("exercises", "difficulty", replace("exercise-text", "●●○○○", "●●○○"), replace("exercise-text", "●●○○○", "○○○○○")),
    ("exercises", "minutes", replace("exercise-text", "3 minutes", "a while")),
    ("exercises", "not tried yet", update("check", outputs=[]), update("check", outputs=[result("Right.")])),
    ("exercises", "one block", update("solution", source="2 * n"), append("solution", "\n```python\n```")),
    *[("close", "the headings", replace("close", f"## {name}", name)) for name in ("Answer", "On", "Further", "Next")],
    ("close", "the headings", replace("close", "## Answer", "## Next\n\n## Answer")),
    ("close", " sentences", replace("close", "You doubled. You slept.", ""), replace("close", "slept.", "a. b. c.")),
    ("close", "1 links and 0 years", replace("close", "2014", "")),
    ("close", "0 links", replace("close", "[On counting](https://example.org/counting)", "On counting")),
    ("close", "no link to 02_count_the_cows", replace("close", "[Cows](02_count_the_cows.ipynb)", "Cows.")),
    ("outcome", "not tagged", swap("outcome", "nbval-check-output")),
    ("outcome", "flat JSON object", update("outcome", outputs=[stdout('{"sheep": [7]}')])),
    ("outcome", "is empty", update("outcome", outputs=[stdout("{}")])),
    *[
        ("wording", repr(word), append("close", f" You {word} count."))
        for word in ("Simply", "just", "obviously", "🐑", "✨", "netG", "nz", "TIME_CPU", "TODO", "pile of", "but for")
    ],
    ("wording", "'TODO'", append("outcome", "  # TODO")),
    ("markdown", "alternative text ''", replace("title", "![Two white sheep on a black field]", "![]")),
    ("markdown", "to ../one.png", append("close", "![A field of sheep](../one.png)")),
    ("markdown", "<img>", append("close", '<img src="x.png">')),
    ("file", "format 4.5", lambda notebook: notebook.update(nbformat_minor=4)),
    ("file", "refresh", lambda notebook: notebook.metadata.update(papermill={}), show(data(WIDGET, {"model_id": "1"}))),
    ("file", "make links", append("bootstrap", " pandas"), replace("title", "Colab", "Kolab")),
    ("file", "sheep", update("bootstrap", cell_type="sheep")),
    ("file", "attachments", update("title", attachments={"a.png": {"image/png": ""}})),
    ("file", "[1, 4", swap("imports", "derived")),
    ("outputs", "another run", show(new_output("execute_result", execution_count=99))),
    ("outputs", "no sheep", show(new_output("error", ename="ValueError", evalue="no sheep", traceback=[]))),
    ("outputs", "no sheep", show(new_output("stream", name="stderr", text="UserWarning: no sheep"))),
    ("outputs", "the object", show(stdout("<a.Sheep at 0x7f0e>")), show(data("text/plain", "<Axes: title='x'>"))),
    ("outputs", "image/svg", show(data("image/svg+xml", "<svg/>"))),
    ("outputs", "a picture of", show(example.png(1300, 10)), show(example.png(10, 1700))),
    ("outputs", "no text", *(update("nbval-check-output", outputs=outputs) for outputs in ([], [example.png()]))),
    ("figures_are_shown", "subplots(", append("imports", "\n_, ax = plt.subplots()")),
    ("figures_are_shown", "grid(", append("imports", "\nplotting.save_figure(plotting.grid(images), name)")),
]


@pytest.fixture
def complaints(monkeypatch, tmp_path):
    """`complaints(rule, notebook, name)` about the example, which introduces one term."""
    monkeypatch.setattr(contract, "glossary", lambda: {"01": ["lamb"]})
    return lambda rule, *what: list(contract.RULES[rule](contract.Lesson(example.write(tmp_path, *what))))


@pytest.mark.parametrize(("rule", "complaint", "change"), [(*row[:2], change) for row in BROKEN for change in row[2:]])
def test_rule_complains_about_a_notebook_that_breaks_it(rule, complaint, change, complaints):
    notebook, named = example.make(), isinstance(change, str)
    if not named:
        change(notebook)
    found = complaints(rule, notebook, change if named else example.NAME)
    assert any(complaint in each for each in found)


def test_no_rule_complains_about_the_example_and_each_has_a_notebook_that_breaks_it(complaints):
    assert {rule: complaints(rule) for rule, *_ in BROKEN} == {rule: [] for rule in contract.RULES}
