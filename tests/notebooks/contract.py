"""What every lesson keeps to, as small rules: each takes a `Lesson` and yields its complaints.

What a program can hold: the shape of a lesson, its exercises, its voice, its committed outputs.
`RULES` lists them by name; test_contract.py shows each of them complaining about one bad notebook.

    python -m tests.notebooks.contract notebooks/*.ipynb    # says what to mend
"""

import ast
import base64
import inspect
import io
import json
import re
import statistics
import sys
from functools import cache, cached_property
from pathlib import Path
from typing import NamedTuple

import nbformat
from nbformat import NotebookNode
from PIL import Image

from gan_lib import plotting, tables
from tools import lessons, links

ROOT = Path(__file__).resolve().parent.parent.parent
REPOSITORY = links.current(ROOT)

BOOTSTRAP = f"""import os

if "COLAB_RELEASE_TAG" in os.environ or "KAGGLE_KERNEL_RUN_TYPE" in os.environ:
    %pip install -q --no-deps git+https://github.com/{REPOSITORY}"""
SEARCHES = "\n    %pip install -q optuna"  # for the lesson that imports it: Colab and Kaggle don't have it
BADGE = (
    "[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]"
    f"(https://colab.research.google.com/github/{REPOSITORY}/blob/main/notebooks/{{name}})"
)
OPENING = ["bootstrap", "imports", "parameters", "derived"]
CLOSE = [r"Recap|What you(?:'ve| have)? (?:seen|learnt|made|did|know)", "On your own", "Further reading", "Next"]
EXERCISE = ["exercise-text", "exercise", "check", "hint", "solution"]
TAGS = {*OPENING, *EXERCISE, "predict", "compare", "outcome", "nbval-check-output"}


class Exercise(NamedTuple):
    """The five cells of an exercise, in the order of `EXERCISE`."""

    text: NotebookNode
    stub: NotebookNode
    check: NotebookNode
    hint: NotebookNode
    solution: NotebookNode

    @property
    def check_name(self):
        """NAME of `checks.NAME(answer)`; "" where the cell is no such call."""
        return self._call[0]

    @property
    def answer_name(self):
        """What is checked: `answer` of `checks.NAME(answer)`."""
        return self._call[1]

    @property
    def _call(self):
        match parsed(self.check.source).body:
            case [ast.Expr(ast.Call(ast.Attribute(ast.Name("checks"), name), [ast.Name(answer)], keywords=[]))]:
                return name, answer
        return "", ""

    @property
    def solution_code(self):
        """The Python blocks of the solution, joined."""
        return "\n".join(re.findall(r"```python\n(.*?)```", self.solution.source, re.DOTALL))


class Lesson:
    """A notebook file, and its parts."""

    def __init__(self, path):
        self.path = Path(path)
        self.text = self.path.read_text(encoding="utf-8")
        self.notebook = nbformat.v4.reads_json(self.text)  # not validated: there is a rule for that

    @property
    def number(self):
        return self.path.name[:2]

    @property
    def cells(self):
        return self.notebook.cells

    @property
    def code(self):
        return [cell for cell in self.cells if cell.cell_type == "code"]

    @property
    def markdown(self):
        return [cell for cell in self.cells if cell.cell_type == "markdown"]

    @property
    def first(self):
        """The text of the first cell."""
        return self.cells[0].source if self.cells and self.cells[0].cell_type == "markdown" else ""

    @property
    def close(self):
        """All the text after the last exercise."""
        last = max((i for i, cell in enumerate(self.cells) if "solution" in tags(cell)), default=0)
        return "\n\n".join(cell.source for cell in self.cells[last + 1 :] if cell.cell_type == "markdown")

    def tagged(self, tag):
        return [cell for cell in self.cells if tag in tags(cell)]

    def at(self, cell):
        """Where a cell stands, for complaints: "cell 7", counted from 1."""
        return f"cell {next(i for i, other in enumerate(self.cells, 1) if other is cell)}"

    @cached_property
    def exercises(self):
        """The exercises whose five cells follow one another as they must."""
        kinds = [next((tag for tag in EXERCISE if tag in tags(cell)), None) for cell in self.cells]
        starts = [i for i in range(len(kinds)) if kinds[i : i + len(EXERCISE)] == EXERCISE]
        return [Exercise(*self.cells[i : i + len(EXERCISE)]) for i in starts]

    def outputs(self):
        """Each stored output with its cell."""
        return [(cell, output) for cell in self.code for output in cell.outputs]


@cache
def all_lessons():
    """The lessons of the repository, in order."""
    return [Lesson(path) for path in sorted((ROOT / "notebooks").glob("*.ipynb"))]


def tags(cell):
    return cell.metadata.get("tags", [])


def parsed(source):
    """The syntax tree of a code cell, without its magics; an empty one where it is no Python."""
    lines = ["" if line.lstrip().startswith(("%", "!")) else line for line in source.splitlines()]
    try:
        return ast.parse("\n".join(lines))
    except SyntaxError:
        return ast.Module([], [])


RULES = {}


def rule(function):
    RULES[function.__name__] = function
    return function


# The top of the lesson


@rule
def file_name(lesson):
    """NN_verb_object.ipynb."""
    if not re.fullmatch(r"\d\d(_[a-z]+)+\.ipynb", lesson.path.name):
        yield f"the name {lesson.path.name} is not of the form NN_verb_object.ipynb"


@rule
def title(lesson):
    """The first cell begins with `# NN · Title`, and no other cell has a title."""
    if not re.match(rf"# {lesson.number} · \S", lesson.first):
        yield f"the first cell does not begin with '# {lesson.number} · Title'"
    for cell in lesson.markdown[1:]:
        if re.search(r"^# ", re.sub(r"```.*?```", "", cell.source, flags=re.DOTALL), re.MULTILINE):
            yield f"{lesson.at(cell)} has a second title; use ##"


@rule
def badge(lesson):
    """The Colab badge opens this file of this repository."""
    if BADGE.format(name=lesson.path.name) not in lesson.first:
        yield "the first cell lacks the Colab badge of this file"


@rule
def hero(lesson):
    """The picture that the reader will have made stands in the first cell."""
    if f"](../samples/lessons/{lesson.number}.png)" not in lesson.first:
        yield f"the first cell does not show ../samples/lessons/{lesson.number}.png"


@rule
def do_learn_need(lesson):
    """What you'll do, learn and need, in this order, in the first cell."""
    wanted = ["What you'll do", "What you'll learn", "What you'll need"]
    found = re.findall(r"What you['’]ll (?:do|learn|need)", lesson.first)
    if [words.replace("’", "'") for words in found] != wanted:
        yield f"the first cell has {found}, not {wanted}"


@rule
def minutes(lesson):
    """How long it takes on two CPU cores and on a T4-class GPU."""
    for pattern in (r"\d\s*(minute|second|min\b|s\b)", r"two CPU cores", r"T4"):
        if not re.search(pattern, lesson.first):
            yield f"the first cell does not say how long it takes ({pattern!r} not found)"


@rule
def opening(lesson):
    """The first code cells are bootstrap, imports, parameters and derived; each once."""
    got = [next((tag for tag in OPENING if tag in tags(cell)), None) for cell in lesson.code[: len(OPENING)]]
    if got != OPENING:
        yield f"the first code cells are tagged {got}, not {OPENING}"
    for tag in OPENING:
        if len(lesson.tagged(tag)) != 1:
            yield f"{len(lesson.tagged(tag))} cells are tagged {tag!r}, not one"


@rule
def bootstrap(lesson):
    """The bootstrap cell is the same in every lesson; one that imports optuna installs it too."""
    searches = any(re.search(r"^import optuna$", cell.source, re.MULTILINE) for cell in lesson.tagged("imports"))
    for cell in lesson.tagged("bootstrap"):
        if cell.source.strip() != BOOTSTRAP + SEARCHES * searches:
            yield f"{lesson.at(cell)} differs from the bootstrap cell of the other lessons"


@rule
def imports(lesson):
    """The imports cell imports, and does nothing else."""
    for cell in lesson.tagged("imports"):
        if not all(isinstance(node, ast.Import | ast.ImportFrom) for node in parsed(cell.source).body):
            yield f"{lesson.at(cell)} does more than import"


@rule
def parameters(lesson):
    """The parameters cell holds lines of the form `name = 3  # why`, nothing derived, and no fewer than one."""
    for cell in lesson.tagged("parameters"):
        lines = [line for line in cell.source.splitlines() if line.strip()]
        if not lines:
            yield f"{lesson.at(cell)} has no parameters"
        for line in lines:
            match parsed(line).body:
                case [ast.Assign([ast.Name()], ast.Constant() | ast.UnaryOp(operand=ast.Constant()))]:
                    if not re.search(r"  # \S", line):
                        yield f"{lesson.at(cell)}: no comment in {line!r}"
                case _:
                    yield f"{lesson.at(cell)}: not a plain scalar: {line!r}"


# The body


@rule
def number_of_cells(lesson):
    """15 to 30 code cells."""
    if not 15 <= len(lesson.code) <= 30:
        yield f"{len(lesson.code)} code cells, not 15 to 30"


@rule
def length_of_cells(lesson):
    """Median six lines or fewer, none over 25."""
    lengths = [len(cell.source.splitlines()) for cell in lesson.code]
    if lengths and statistics.median(lengths) > 6:
        yield f"the median code cell has {statistics.median(lengths)} lines, not six or fewer"
    for cell, length in zip(lesson.code, lengths, strict=True):
        if length > 25:
            yield f"{lesson.at(cell)} has {length} lines, more than 25"


@rule
def prose(lesson):
    """Before each code cell stands a text; the opening's four cells share one, and a check follows its stub."""
    before = None
    for cell in lesson.cells:
        if cell.cell_type == "code" and not {*OPENING, "check"} & set(tags(cell)):
            folded = before is not None and {"hint", "solution"} & set(tags(before))
            if before is None or before.cell_type != "markdown" or folded or not before.source.strip():
                yield f"{lesson.at(cell)} has no text before it"
        before = cell


@rule
def known_tags(lesson):
    """No tag is misspelt; in particular none lets a cell fail or skips it."""
    for cell in lesson.cells:
        for tag in set(tags(cell)) - TAGS:
            yield f"{lesson.at(cell)}: unknown tag {tag!r}"


@rule
def magics(lesson):
    """No magics and no shell but for the bootstrap's: figures are inline by themselves, and the rest is Python."""
    for cell in lesson.code:
        if "bootstrap" not in tags(cell) and (found := re.search(r"^\s*[%!]+\w+", cell.source, re.MULTILINE)):
            yield f"{lesson.at(cell)}: {found.group().strip()}"


@rule
def markers(lesson):
    """No comment tells nbval to let a cell fail or to skip it."""
    for cell in lesson.code:
        if found := re.search(r"#\s*((NBVAL|PYTEST)_\w+)", cell.source):
            yield f"{lesson.at(cell)}: {found.group(1)}; use the tag nbval-check-output, or nothing"


@rule
def prediction(lesson):
    """At least one predict → run → compare, the answer folded."""
    if not lesson.tagged("predict"):
        yield "no cell is tagged 'predict'"
    waiting = None
    for cell in lesson.cells:
        if "predict" in tags(cell):
            if waiting is not None:
                yield f"{lesson.at(cell)} predicts before the last prediction is compared"
            waiting = 0
        elif waiting is not None and cell.cell_type == "code":
            waiting += 1
        if "compare" in tags(cell):
            if not waiting:
                yield f"{lesson.at(cell)} compares, but nothing was predicted and run before it"
            if "<details>" not in cell.source:
                yield f"{lesson.at(cell)} does not fold its answer in <details>"
            waiting = None
    if waiting is not None:
        yield "a prediction is never compared"


@rule
def prediction_cells_are_text(lesson):
    """`predict`, `compare`, `exercise-text`, `hint` and `solution` are texts; all other tags are of code."""
    texts = {"predict", "compare", "exercise-text", "hint", "solution"}
    for cell in lesson.cells:
        for tag in tags(cell):
            if (cell.cell_type == "markdown") != (tag in texts):
                yield f"{lesson.at(cell)}: a {cell.cell_type} cell is tagged {tag!r}"


@rule
def folds(lesson):
    """<details> are closed, have a <summary>, and a blank line after it, without which Markdown stays unrendered."""
    for cell in lesson.markdown:
        blocks = re.findall(r"<details>(.*?)</details>", cell.source, re.DOTALL)
        if not cell.source.count("<details>") == cell.source.count("</details>") == len(blocks):
            yield f"{lesson.at(cell)}: a <details> is not closed"
        if not all(re.match(r"\s*<summary>[^<\n]+</summary>\n\s*\n", block) for block in blocks):
            yield f"{lesson.at(cell)}: a <details> lacks its <summary>, or the blank line after it"


@rule
def static_pictures(lesson):
    """After a widget stands a static picture, for those who read without a kernel."""
    for i, cell in enumerate(lesson.code):
        if re.search(r"\bwidgets\.(explore|live|invert|rewind)\(", cell.source):
            near = [output.get("data", {}) for other in lesson.code[i : i + 3] for output in other.outputs]
            if not any("image/png" in data for data in near):
                yield f"{lesson.at(cell)} makes a widget, and no picture stands in it or the next two code cells"


@rule
def files_go_to_runs(lesson):
    """What a lesson writes goes to runs/lesson_NN/ of its own number."""
    for cell in lesson.code:
        for number in re.findall(r"runs/lesson_(\w*)", cell.source):
            if number > lesson.number or not re.fullmatch(r"\d\d", number):
                yield f"{lesson.at(cell)} names runs/lesson_{number}"


# The exercises


@rule
def number_of_exercises(lesson):
    """2 to 4 exercises, each of five cells in a row."""
    if not 2 <= len(lesson.exercises) <= 4:
        yield f"{len(lesson.exercises)} exercises, not 2 to 4"
    for tag in EXERCISE:
        if len(lesson.tagged(tag)) != len(lesson.exercises):
            yield f"a cell tagged {tag!r} is not part of an exercise, whose cells are tagged {EXERCISE} in this order"


@rule
def exercise_texts(lesson):
    """The box says how hard it is and how many minutes it takes."""
    for exercise in lesson.exercises:
        if not re.search(r"(?<![●○])(?=[●○]{5}(?![●○]))●+○*", exercise.text.source):
            yield f"{lesson.at(exercise.text)} does not say how hard it is, as ●●○○○"
        if not re.search(r"\d+ min", exercise.text.source):
            yield f"{lesson.at(exercise.text)} does not say how many minutes it takes"


@rule
def stubs(lesson):
    """A stub leaves a `...` as the value to replace, and defines what is checked."""
    for exercise in lesson.exercises:
        tree = parsed(exercise.stub.source)
        values = [node.value for node in ast.walk(tree) if isinstance(node, ast.Return | ast.Assign)]
        if not any(isinstance(value, ast.Constant) and value.value is ... for value in values):
            yield f"{lesson.at(exercise.stub)} has no `return ...` and no `name = ...`"
        if exercise.answer_name not in defined(tree):
            yield f"{lesson.at(exercise.stub)} does not define {exercise.answer_name!r}, which is checked"


@rule
def check_cells(lesson):
    """A check is one call, `checks.NAME(answer)`, and its stored output says that the stub is not tried yet."""
    for exercise in lesson.exercises:
        if not exercise.check_name:
            yield f"{lesson.at(exercise.check)} is not one call of the form checks.NAME(answer)"
        shown = "".join(output.get("data", {}).get("text/plain", "") for output in exercise.check.outputs)
        if not shown.startswith("Not tried yet"):
            yield f"{lesson.at(exercise.check)} shows {shown!r}, not that it is not tried yet"


@rule
def hints_and_solutions(lesson):
    """Both are folded; the solution is one Python block that can replace the stub."""
    for exercise in lesson.exercises:
        for cell in (exercise.hint, exercise.solution):
            if cell.source.count("<details>") != 1:
                yield f"{lesson.at(cell)} is not one folded <details>"
        if exercise.solution.source.count("```python\n") != 1:
            yield f"{lesson.at(exercise.solution)} has not one block of Python"
        if exercise.answer_name not in defined(parsed(exercise.solution_code)):
            yield f"{lesson.at(exercise.solution)} does not define {exercise.answer_name!r}, which is checked"


def defined(tree):
    """The names that the top level of a module binds, by def, class or assignment."""
    names = set()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        for target in targets:
            names |= {name.id for name in ast.walk(target) if isinstance(name, ast.Name)} if target else set()
    return names


# The close


@rule
def close(lesson):
    """Recap, On your own, Further reading, and the next lesson, in this order, after the last exercise."""
    headings = re.findall(r"^(?:#+ |\*\*)(.*)", lesson.close, re.MULTILINE)
    at = [next((i for i, text in enumerate(headings) if re.match(start, text)), None) for start in CLOSE]
    for start, i in zip(CLOSE, at, strict=True):
        if i is None:
            yield f"after the last exercise no heading (## or bold) begins with {start!r}"
    if None not in at and at != sorted(at):
        yield f"the headings of the close are not in the order {CLOSE}"


@rule
def recap(lesson):
    """The recap is five sentences or so: four to seven."""
    sentences = re.findall(r"[.!?:](?=[\s*_)`]|$)", section(lesson, CLOSE[0]))
    if not 4 <= len(sentences) <= 7:
        yield f"the recap has {len(sentences)} sentences, not about five"


@rule
def further_reading(lesson):
    """Further reading has links, and a year for each."""
    text = section(lesson, "Further reading")
    links = re.findall(r"\]\(http\S+\)", text)
    years = re.findall(r"\b(?:1[89]|20)\d\d\b", re.sub(r"\]\(http\S+\)", "", text))
    if not links or len(years) < len(links):
        yield f"Further reading has {len(links)} links and {len(years)} years"


def section(lesson, start):
    """What the close says under the heading (## or bold) that begins with `start`, to the next heading."""
    found = re.search(rf"^(?:#+ |\*\*)(?:{start})(.*?)(?=^#|^\*\*|\Z)", lesson.close, re.MULTILINE | re.DOTALL)
    return found.group(1) if found else ""


@rule
def next_lesson(lesson):
    """The close links to the next lesson, if it is there."""
    for path in sorted(lesson.path.parent.glob(f"{int(lesson.number) + 1:02d}_*.ipynb")):
        if f"]({path.name})" not in lesson.close:
            yield f"the close has no link to {path.name}"


@rule
def outcome(lesson):
    """The last code cell is tagged `outcome` and printed one flat JSON object of numbers."""
    if not lesson.code or "outcome" not in tags(lesson.code[-1]):
        yield "the last code cell is not tagged 'outcome'"
    try:
        if not lessons.outcome_of(lesson.notebook):
            yield "the outcome is empty"
    except ValueError as error:
        yield str(error)


# The voice

HEDGES = (
    r"\bsimply\b|\bobvious(ly)?\b|\bof course\b|\btrivial(ly)?\b|\bbasically\b|\b(amaz|astonish)ing(ly)?\b|"
    r"\bawesome\b|\bincredibl[ye]\b|\bmagic(al|ally)?\b|\bneedless to say\b|"
    r"\bjust\b(?! (as|like)\b| (been )?(\w+ed|made|built|seen|written|drawn|ran|run|met|read|saw|did|wrote|drew)\b)"
)
EMOJI = r"[\U0001F000-\U0001FAFF\u2600-\u26FF\u2700-\u2712\u2714\u2716-\u27BF\u2B50\uFE0F]"
OLD_NAMES = r"\b(net[GD]|err[GD]|nz|n[gd]f|opt(imizer)?[GD]|iters?)\b"
PLACEHOLDERS = r"TIME_(CPU|GPU)|\b(TODO|FIXME|XXX|TBD)\b|(?i:lorem ipsum)"


@rule
def hedges(lesson):
    """No "simply", no "just" that belittles, no hype."""
    yield from found_in(lesson, HEDGES, re.IGNORECASE)


@rule
def emoji(lesson):
    """None."""
    yield from found_in(lesson, EMOJI)


@rule
def old_names(lesson):
    """generator and discriminator, never netG or errD."""
    yield from found_in(lesson, OLD_NAMES)


@rule
def placeholders(lesson):
    """Nothing is left to fill in."""
    yield from found_in(lesson, PLACEHOLDERS)


def found_in(lesson, pattern, flags=0):
    for cell in lesson.cells:
        text = re.sub(r"\]\(\S+\)|https?://\S+", "", cell.source)  # addresses are not ours to word
        for found in re.finditer(pattern, text, flags):
            around = text[max(0, found.start() - 20) : found.end() + 20].replace("\n", " ")
            yield f"{lesson.at(cell)}: {found.group()!r} in '…{around}…'"


@rule
def alt_texts(lesson):
    """Every picture in a text has an alternative text, and is there if it is ours."""
    for cell in lesson.markdown:
        for alt, target in re.findall(r"!\[([^\]]*)\]\(([^)\s]+)", cell.source):
            if len(alt.split()) < 3:
                yield f"{lesson.at(cell)}: {target} has no telling alternative text"
            if not re.match(r"https?:", target) and not (lesson.path.parent / target).exists():
                yield f"{lesson.at(cell)}: there is no {target}"
        if re.search(r"<img(?![^>]*\balt=\"[^\"]{10})", cell.source):
            yield f"{lesson.at(cell)}: an <img> without an alternative text"


@rule
def local_links(lesson):
    """Links to files of ours lead somewhere."""
    for cell in lesson.markdown:
        for target in re.findall(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)", re.sub(r"`[^`]*`", "", cell.source)):
            if not re.match(r"https?:|#|mailto:", target) and not (lesson.path.parent / target.split("#")[0]).exists():
                yield f"{lesson.at(cell)}: there is no {target}"


# The file as it is committed


@rule
def valid(lesson):
    """A valid notebook of format 4.5, whose cells have ids, for the usual kernel."""
    try:
        nbformat.validate(json.loads(lesson.text))
    except nbformat.ValidationError as error:
        yield str(error).splitlines()[0]
    if not all(cell.get("id") for cell in json.loads(lesson.text)["cells"]):
        yield "a cell has no id: save it in format 4.5"
    if lesson.notebook.metadata.get("kernelspec") != lessons.NOTEBOOK_METADATA["kernelspec"]:
        yield f"the kernel is {lesson.notebook.metadata.get('kernelspec')}"


@rule
def metadata(lesson):
    """No metadata of a run, of widgets, of an editor: only what refresh leaves, and tags."""
    for name in lesson.notebook.metadata.keys() - lessons.NOTEBOOK_METADATA.keys():
        yield f"metadata of the notebook: {name!r}"
    if names := set().union(*(cell.metadata.keys() for cell in lesson.cells)) - {"tags"}:
        yield f"metadata of cells: {sorted(names)}"
    for cell in lesson.cells:
        if cell.get("attachments"):
            yield f"{lesson.at(cell)}: attachments"


@rule
def execution_counts(lesson):
    """The code cells were run from top to bottom: 1..n."""
    counts = [cell.execution_count for cell in lesson.code]
    if counts != list(range(1, len(counts) + 1)):
        yield f"the execution counts are {counts}"
    for cell, output in lesson.outputs():
        if output.get("execution_count", cell.execution_count) != cell.execution_count:
            yield f"{lesson.at(cell)}: an output is of another run"


@rule
def no_errors(lesson):
    """No cell failed, and none wrote to stderr (no warning either)."""
    for cell, output in lesson.outputs():
        if output.output_type == "error" or output.get("name") == "stderr":
            shown = output.get("evalue") or output.get("text", "")
            yield f"{lesson.at(cell)}: {output.get('name', 'error')} {shown[:100]!r}"


@rule
def compared_outputs(lesson):
    """A cell tagged `nbval-check-output` has a stored text to compare with; pictures are not compared."""
    for cell in lesson.tagged("nbval-check-output"):
        shown = [output.get("text") or output.get("data", {}).get("text/plain", "") for output in cell.outputs]
        if not any(text.strip() and not text.startswith("<Figure") for text in shown):
            yield f"{lesson.at(cell)} stores no text to compare with"


@rule
def no_widgets(lesson):
    """No stored output is a widget: without its state it shows as an error."""
    for cell, output in lesson.outputs():
        if lessons.WIDGET in output.get("data", {}):
            yield f"{lesson.at(cell)} stores a widget"


@rule
def no_objects(lesson):
    """No stored output is the repr of an object: it says nothing, and its address changes with each run."""
    for cell, output in lesson.outputs():
        text = output.get("text") or output.get("data", {}).get("text/plain", "")
        if found := re.search(r"<[\w.]+[^<>]*\bat 0x\w+>|<Axes[^>]*>|<matplotlib[^>]*>|<BarContainer[^>]*>", text):
            yield f"{lesson.at(cell)} shows {found.group()!r}"


@rule
def pictures(lesson):
    """Pictures in outputs are PNG, at most 1,200 pixels wide and 1,600 high."""
    for cell, output in lesson.outputs():
        for kind, content in output.get("data", {}).items():
            if kind.startswith("image/") and kind != "image/png":
                yield f"{lesson.at(cell)} shows {kind}, not image/png"
            elif kind == "image/png":
                width, height = Image.open(io.BytesIO(base64.b64decode(content))).size
                if width > 1200 or height > 1600:
                    yield f"{lesson.at(cell)}: a picture of {width} × {height} pixels"


@rule
def figures_are_shown(lesson):
    """Every figure that a cell makes is among its outputs. A call in a loop or a function may make more than one, or none."""
    for cell in lesson.code:
        made = sum(makes_figure(statement) for statement in parsed(cell.source).body)
        shown = sum("image/png" in output.get("data", {}) for output in cell.outputs)
        if shown < made:
            yield f"{lesson.at(cell)} makes {made} figures and shows {shown}"


def makes_figure(statement):
    """How many figures a statement at the top of a cell makes for sure: calls of `plt.subplots`, `plt.figure`, or of a
    function of `gan_lib.plotting` that draws on axes and is given none.
    """
    count = 0
    for call in ast.walk(statement) if not isinstance(statement, ast.FunctionDef | ast.ClassDef) else ():
        match call:
            case ast.Call(func=ast.Attribute(value=ast.Name(id="plt"), attr="subplots" | "figure")):
                count += 1
            case ast.Call(func=ast.Attribute(value=ast.Name(id="plotting"), attr=name)):
                drawn = inspect.signature(getattr(plotting, name)).parameters
                place = next((i for i, parameter in enumerate(drawn) if parameter in ("ax", "axes")), None)
                given = {keyword.arg for keyword in call.keywords} & {"ax", "axes"} or len(call.args) > (place or 0)
                draws = place is not None and drawn[list(drawn)[place]].default is None
                count += draws and not given and not isinstance(statement, ast.For | ast.If | ast.While)
    return count


@rule
def bundled_results(lesson):
    """A cell that prints a table of `gan_lib.reference` shows the table as it is today."""
    for cell in lesson.code:
        shown = "".join(map(str, (output.get("data", {}).get("text/markdown", "") for output in cell.outputs)))
        for name in re.findall(r"reference\.table\(\"?(\w*)\"?\)", cell.source):
            if tables.bundled(name or "results") not in shown:
                yield f"{lesson.at(cell)}: the table {name or 'results'!r} says something else today"


@rule
def no_machine(lesson):
    """No path of one machine."""
    pattern = r"(?<![\w.~$>)}-])/(?:home|Users|root|work|tmp|private|mnt|content|opt)/\w|\b[A-Z]:\\\\|file:/{3}"
    if found := re.search(pattern, lesson.text):
        yield f"the path of a machine: {lesson.text[found.start() : found.end() + 30]!r}"


@rule
def size(lesson):
    """At most 1.5 MB."""
    if (got := len(lesson.text.encode())) > 1_500_000:
        yield f"{got:,} bytes, more than 1.5 MB"


if __name__ == "__main__":
    for file in sys.argv[1:]:
        for name, complaints in RULES.items():
            for complaint in complaints(Lesson(file)):
                print(f"{file}: {name}: {complaint}")
