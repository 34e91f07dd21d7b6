"""The rules that every lesson keeps: its shape, its exercises, its wording and its committed outputs.

`RULES` holds the rules by name; each takes a `Lesson` and yields complaints. test_contract.py breaks each of them.
"""

import ast
import base64
import copy
import io
import json
import re
import statistics
from functools import cache, cached_property
from pathlib import Path
from typing import NamedTuple

import nbformat
from nbformat import NotebookNode
from PIL import Image

from tests import ROOT
from tools import lessons, links

REPOSITORY = links.current(ROOT)

OPENING = ["bootstrap", "imports", "parameters", "derived"]
EXERCISE = ["exercise-text", "exercise", "check", "hint", "solution"]
FOLDED = {"compare", "hint", "solution"}
TEXTS = {"predict", "exercise-text", *FOLDED}  # the tags of Markdown cells
TAGS = {*OPENING, *EXERCISE, *TEXTS, "outcome", "nbval-check-output"}
CLOSE = ["Answer", "On your own", "Further reading", "Next"]
LABELS = ["The question:", "What you'll do", "What you'll learn", "What you need", "Time"]  # bold, in the first cell
WORDING = {
    "a hedge or hype": r"(?i:\bsimply\b|\bobvious(ly)?\b|\bof course\b|\btrivial(ly)?\b|\bbasically\b|\bawesome\b|"
    r"\b(amaz|astonish)ing(ly)?\b|\bincredibl[ye]\b|\bmagic(al|ally)?\b(?! number)|\bneedless to say\b|"
    r"\bjust\b(?! (as|like)\b| (been )?(\w+ed|made|built|seen|written|drawn|ran|run|met|read|saw|did|wrote|drew)\b))",
    "an emoji": r"[\U0001F000-\U0001FAFF\u2600-\u26FF\u2700-\u2712\u2714\u2716-\u27BF\u2B50\uFE0F]",
    "an old name": r"\b(net[GD]|err[GD]|nz|n[gd]f|opt(imizer)?[GD]|iters?)\b",
    "private language": r"(?i:\bpiles? of\b|\bsooner than\b|\bbut for\b|\bpairs? of steps\b|\bheld against\b|\btold labels\b|"
    r"\bnot measured\b|\bin the run shown here\b|\bcomes apart\b|\bby lot\b|\bas it comes\b)",
    "a placeholder": r"TIME_(CPU|GPU)|\b(TODO|FIXME|XXX|TBD)\b|(?i:lorem ipsum)",
}


class Exercise(NamedTuple):
    """The five cells of an exercise, in the order of `EXERCISE`."""

    text: NotebookNode
    stub: NotebookNode
    check: NotebookNode
    hint: NotebookNode
    solution: NotebookNode

    @property
    def check_name(self):
        """NAME of the check `checks.NAME(answer)`; an empty string if it is no such call."""
        found = re.fullmatch(r"checks\.(\w+)\(\w+\)", self.check.source.strip())
        return found[1] if found else ""

    @property
    def solution_code(self):
        """The Python blocks of the solution, joined."""
        return "\n".join(re.findall(r"```python\n(.*?)```", self.solution.source, re.DOTALL))


class Lesson:
    """A notebook file and its parts."""

    def __init__(self, path):
        self.path = Path(path)
        self.number = self.path.name[:2]
        self.text = self.path.read_text(encoding="utf-8")
        self.notebook = nbformat.v4.reads_json(self.text)  # not validated: there is a rule for that
        self.cells = self.notebook.cells
        self.code = [cell for cell in self.cells if cell.cell_type == "code"]

    @cached_property
    def prose(self):
        """All Markdown that is not folded, without pictures."""
        text = "\n\n".join(cell.source for cell in self.cells if cell.cell_type == "markdown")
        return re.sub(r"<details>.*?</details>|data:image[^)\"]*", "", text, flags=re.DOTALL)

    @cached_property
    def exercises(self):
        """The exercises whose five cells follow one another in the right order."""
        kinds = [next((tag for tag in EXERCISE if tag in tags(cell)), None) for cell in self.cells]
        starts = [i for i in range(len(kinds)) if kinds[i : i + len(EXERCISE)] == EXERCISE]
        return [Exercise(*self.cells[i : i + len(EXERCISE)]) for i in starts]

    @property
    def close(self):
        """All Markdown after the last exercise."""
        last = max((i for i, cell in enumerate(self.cells) if "solution" in tags(cell)), default=0)
        return "\n\n".join(cell.source for cell in self.cells[last + 1 :] if cell.cell_type == "markdown")


@cache
def all_lessons():
    """The lessons of the repository, in order."""
    return [Lesson(path) for path in sorted((ROOT / "notebooks").glob("*.ipynb"))]


@cache
def glossary():
    """{lesson: the terms that it introduces, in lower case}, from docs/glossary.md."""
    text, found = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8"), {}
    for term, number in re.findall(r"^- \*\*(.+?)\*\* \(lesson (\d\d)\): ", text, re.MULTILINE):
        found.setdefault(number, []).append(term.lower())
    return found


def tags(cell):
    return cell.metadata.get("tags", [])


def parse(source):
    """The syntax tree of a code cell, without magics."""
    return ast.parse(re.sub(r"^( *)[%!].*", r"\1pass", source, flags=re.MULTILINE))


def text_of(output):
    """The plain text of a stored output, "" if there is none."""
    return output.get("text") or output.get("data", {}).get("text/plain", "")


DRAWS = re.compile(r"\bplt\.(subplots|figure)\(|\bplotting\.(?!save_figure)\w+\(")
RULES = {}  # {name: function of a lesson that yields complaints}


def rule(function):
    """Add a rule about a whole lesson."""
    RULES[function.__name__] = function
    return function


def rule_for(kind):
    """Add a rule about each cell of a kind: "code", "markdown", a tag, or "any"."""

    def add(function):
        def complaints(lesson):
            for i, cell in enumerate(lesson.cells, 1):
                if kind in ("any", cell.cell_type, *tags(cell)):
                    yield from (f"cell {i} {complaint}" for complaint in function(lesson, cell))

        RULES[function.__name__] = complaints
        return function

    return add


@rule
def first_cell(lesson):
    """Title, the picture that the reader will make, the question, what it takes and gives, and both times."""
    first, label = lesson.cells[0].source, "".join(rf".*\*\*{each}\*\*" for each in LABELS)
    needed = {
        "a title '# NN · …'": rf"\A# {lesson.number} · \S",
        "the hero picture": r"\]\(data:image/png;base64,",
        f"the labels {LABELS} in this order": rf"(?s)\A{label}",
        "a question": r"\*\*The question:\*\* .*\?",
        "the learner's minutes": r"\d minutes for you",
        "the time on two CPU cores": r"compute for about \d+ (seconds?|minutes?) on two CPU cores",
    }
    yield from (f"the first cell lacks {what}" for what, pattern in needed.items() if not re.search(pattern, first))


@rule
def opening(lesson):
    """The first code cells: bootstrap; imports alone; parameters, plain scalars with a comment each; what derives from them."""
    found = [next((tag for tag in OPENING if tag in tags(cell)), None) for cell in lesson.code]
    if found[: len(OPENING)] != OPENING or any(found[len(OPENING) :]):
        yield f"the code cells are tagged {found}, not {OPENING} and then without these"
        return
    _, imports, parameters, _ = (cell.source for cell in lesson.code[: len(OPENING)])
    if not all(isinstance(node, ast.Import | ast.ImportFrom) for node in parse(imports).body):
        yield "the imports cell does more than import"
    for line in filter(str.strip, parameters.splitlines()) if parameters.strip() else ["(none)"]:
        if not re.fullmatch(r"\w+ = (-?[\d._]+(e-?\d+)?|True|False|None|\"[^\"]*\")  # \S.*", line):
            yield f"a parameter is not of the form `name = 3  # why`: {line}"


@rule
def code_cells(lesson):
    """10 to 22 code cells, of six lines or fewer in the median and 25 at most."""
    lengths = [len(cell.source.splitlines()) for cell in lesson.code]
    n, median, longest = len(lengths), statistics.median(lengths), max(lengths)
    if not 10 <= n <= 22 or median > 6 or longest > 25:
        yield f"{n} code cells, the median of {median} lines, the longest of {longest}; not 10 to 22, six or fewer, 25 or fewer"


@rule
def words(lesson):
    """At most 1,800 words that are not folded."""
    if (n := len(lesson.prose.split())) > 1800:
        yield f"{n:,} words, more than 1,800"


@rule
def terms(lesson):
    """Bold are the terms that docs/glossary.md gives to this lesson, each once and where it is first used, and nothing else."""
    bold = r"\*\*(.+?)\*\*"
    body = "\n\n".join(cell.source for cell in lesson.cells[1:] if cell.cell_type == "markdown")
    body = re.sub(r"`[^`\n]*`|```.*?```|\]\([^)]*\)|<summary>.*?</summary>", "", body, flags=re.DOTALL)
    found, own = [term.lower() for term in re.findall(bold, body)], glossary().get(lesson.number, [])
    for term in sorted({*found, *own}):
        if found.count(term) != (term in own):
            yield f"{term!r} is bold {found.count(term)} times, not {int(term in own)}"
        first = re.search(rf"(?i)\b{re.escape(term)}", body)
        if term in own and first and body[: first.start()][-2:] != "**":
            around = " ".join(body[max(0, first.start() - 30) : first.end() + 30].split())
            yield f"uses {term!r} before it is bold: '…{around}…'"


@rule_for("code")
def code(lesson, cell):
    """A text before the cell (the opening's four share one, and a check follows its stub), and no magics or comments to nbval."""
    i = next(i for i, each in enumerate(lesson.cells) if each is cell)
    before = lesson.cells[i - 1] if i else cell
    explains = before.cell_type == "markdown" and before.source.strip() and not {"hint", "solution"} & {*tags(before)}
    if not explains and not {*OPENING, "check"} & {*tags(cell)}:
        yield "has no text before it"
    if "bootstrap" not in tags(cell) and (found := re.search(r"^\s*[%!]+\w+", cell.source, re.MULTILINE)):
        yield f"uses {found.group().strip()}"
    if found := re.search(r"#\s*((NBVAL|PYTEST)_\w+)", cell.source):
        yield f"has {found.group(1)}; use the tag nbval-check-output, or nothing"
    for number in re.findall(r"runs/lesson_(\w*)", cell.source):
        if number > lesson.number or not re.fullmatch(r"\d\d", number):
            yield f"names runs/lesson_{number}"


@rule_for("any")
def known_tags(lesson, cell):
    """Every tag is known and on the right type of cell; no tag lets a cell fail or skips it."""
    for tag in tags(cell):
        if tag not in TAGS or (cell.cell_type == "markdown") != (tag in TEXTS):
            yield f"is a {cell.cell_type} cell with the tag {tag!r}"


@rule
def prediction(lesson):
    """At least one prediction; each is followed by code that runs, and then by the comparison."""
    letters = {"code": "r", "predict": "P", "compare": "C"}
    order = "".join(letters.get(kind, "") for cell in lesson.cells for kind in (cell.cell_type, *tags(cell)))
    if not re.fullmatch(r"r*(Pr+Cr*)+", order):
        yield f"the cells are not in the order predict, run, compare: {order}"


@rule_for("markdown")
def markdown(lesson, cell):
    """One title; whole folds, with the blank line without which their Markdown isn't rendered; texts for pictures; our files."""
    blocks = re.findall(r"<details>(.*?)</details>", cell.source, re.DOTALL)
    if not cell.source.count("<details>") == cell.source.count("</details>") == len(blocks):
        yield "does not close a <details>"
    if not all(re.match(r"\s*<summary>[^<\n]+</summary>\n\s*\n", block) for block in blocks):
        yield "has a <details> without a <summary> or the blank line after it"
    if FOLDED & {*tags(cell)} and len(blocks) != 1:
        yield "does not fold its answer in one <details>"
    text = re.sub(r"`[^`]*`", "", cell.source)
    if cell is not lesson.cells[0] and re.search(r"^# ", text, re.MULTILINE):
        yield "has a second title; use ##"
    for alt in re.findall(r"!\[([^\]]*)\]\(", text):
        if len(alt.split()) < 3:
            yield f"has the alternative text {alt!r}, of fewer than three words"
    if re.search(r"<img(?![^>]*\balt=\"[^\"]{10})", text):
        yield "has an <img> without an alternative text"
    for target in re.findall(r"\]\(([^)\s#]+)", text):
        if not re.match(r"https?:|mailto:|data:image/png;", target) and not (lesson.path.parent / target).exists():
            yield f"points to {target}, which is not there"


@rule
def static_pictures(lesson):
    """A picture is in the cell of a widget or the next two code cells, for readers without a kernel."""
    for i, cell in enumerate(lesson.code):
        if found := re.search(r"\bwidgets\.(explore|live|invert|rewind)\(", cell.source):
            near = [output.get("data", {}) for other in lesson.code[i : i + 3] for output in other.outputs]
            if not any("image/png" in data for data in near):
                yield f"no picture near {found.group()}…) in code cell {i + 1}"


@rule
def exercises(lesson):
    """2 to 4 exercises, each of five cells in a row: how hard and how long it is, a check not tried yet, a solution in Python."""
    if not 2 <= len(lesson.exercises) <= 4:
        yield f"{len(lesson.exercises)} exercises, not 2 to 4"
    for tag in EXERCISE:
        if sum(tag in tags(cell) for cell in lesson.cells) != len(lesson.exercises):
            yield f"a cell tagged {tag!r} is not in an exercise, whose cells are tagged {EXERCISE} in this order"
    for i, exercise in enumerate(lesson.exercises, 1):
        text, shown = exercise.text.source, "".join(map(text_of, exercise.check.outputs))
        needed = {
            "no difficulty as ●●○○○": re.search(r"(?<![●○])(?=[●○]{5}(?![●○]))●+○*", text),
            "no number of minutes": re.search(r"\d+ min", text),
            "the check does not show that the stub is not tried yet": shown.startswith("Not tried yet"),
            "the solution has not one block of Python": exercise.solution.source.count("```python\n") == 1,
        }
        yield from (f"exercise {i}: {complaint}" for complaint, holds in needed.items() if not holds)


@rule
def close(lesson):
    """The answer, On your own, Further reading and the next lesson, in this order, after the last exercise."""
    sections = {}
    for part in re.split(r"^(?=#+ |\*\*)", lesson.close, flags=re.MULTILINE):
        for start in CLOSE:
            if found := re.match(rf"(?:#+ |\*\*){start}(.*)", part, re.DOTALL):
                sections.setdefault(start, found.group(1))
    if list(sections) != CLOSE:
        yield f"the headings (## or bold) after the last exercise begin with {list(sections)}, not {CLOSE}"
    sentences = re.findall(r"[.!?:](?=[\s*_)`]|$)", sections.get(CLOSE[0], ""))
    if not 2 <= len(sentences) <= 4:
        yield f"the answer has {len(sentences)} sentences, not two to four"
    reading, address = sections.get("Further reading", ""), r"\]\(http\S+\)"
    linked, years = re.findall(address, reading), re.findall(r"\b(?:1[89]|20)\d\d\b", re.sub(address, "", reading))
    if not linked or len(years) < len(linked):
        yield f"Further reading has {len(linked)} links and {len(years)} years"
    for path in lesson.path.parent.glob(f"{int(lesson.number) + 1:02d}_*.ipynb"):
        if f"]({path.name})" not in lesson.close:
            yield f"the close has no link to {path.name}"


@rule
def outcome(lesson):
    """The last code cell is tagged `outcome` and printed one flat JSON object of numbers."""
    if "outcome" not in tags(lesson.code[-1]):
        yield "the last code cell is not tagged 'outcome'"
    try:
        if not lessons.outcome_of(lesson.notebook):
            yield "the outcome is empty"
    except ValueError as error:
        yield str(error)


@rule_for("any")
def wording(lesson, cell):
    """No "simply", no "just" that belittles, no hype, no emoji, no netG or errD, and nothing left to fill in."""
    text = re.sub(r"\]\([^)\s]+\)|https?://\S+", "", cell.source)  # addresses are not ours to word
    for what, pattern in WORDING.items():
        for found in re.finditer(pattern, text):
            around = text[max(0, found.start() - 20) : found.end() + 20].replace("\n", " ")
            yield f"has {what}: {found.group()!r} in '…{around}…'"


@rule
def file(lesson):
    """A valid notebook, run from top to bottom, that `refresh` and `make links` would write in the same way."""
    if not re.fullmatch(r"\d\d(_[a-z]+)+\.ipynb", lesson.path.name):
        yield f"the name {lesson.path.name} is not of the form NN_verb_object.ipynb"
    if (size := len(lesson.text.encode())) > 1_500_000:
        yield f"{size:,} bytes, more than 1.5 MB"
    if lesson.notebook.nbformat_minor < 5:
        yield "not of format 4.5, in which cells have ids"
    try:
        nbformat.validate(json.loads(lesson.text))
        if lesson.text != nbformat.writes(lessons.scrub(copy.deepcopy(lesson.notebook), ROOT)) + "\n":
            yield "differs from what `python tools/lessons.py refresh` writes"
        if lesson.text != links.in_lesson(lesson.text, REPOSITORY, lesson.path.name):
            yield "its badges or its first code cell differ from what `make links` writes"
    except (nbformat.ValidationError, ValueError) as error:
        yield str(error).splitlines()[0]
    if any(cell.get("attachments") for cell in lesson.cells):
        yield "a cell has attachments"
    counts = [cell.execution_count for cell in lesson.code]
    if counts != list(range(1, len(counts) + 1)):
        yield f"the execution counts are {counts}"


@rule_for("code")
def outputs(lesson, cell):
    """Outputs of this run, without errors and the repr of objects; PNG pictures; text to compare where nbval compares."""
    for output in cell.outputs:
        data, text = output.get("data", {}), text_of(output)
        if output.get("execution_count", cell.execution_count) != cell.execution_count:
            yield "has an output of another run"
        if output.output_type == "error" or output.get("name") == "stderr":
            yield f"failed or warned: {(output.get('evalue') or text)[:100]!r}"
        if found := re.search(r"<[\w.]+[^<>]*\bat 0x\w+>|<Axes[^>]*>|<matplotlib[^>]*>|<BarContainer[^>]*>", text):
            yield f"shows the object {found.group()!r}"
        if kinds := {kind for kind in data if kind.startswith("image/")} - {"image/png"}:
            yield f"shows {kinds}, not image/png"
        if "image/png" in data:
            width, height = Image.open(io.BytesIO(base64.b64decode(data["image/png"]))).size
            if width > 1200 or height > 1600:
                yield f"shows a picture of {width} × {height} pixels"
    compared = [text for text in map(text_of, cell.outputs) if text.strip() and not text.startswith("<Figure")]
    if "nbval-check-output" in tags(cell) and not compared:  # pictures are not compared
        yield "stores no text to compare with"


@rule_for("code")
def figures_are_shown(lesson, cell):
    """A cell that makes a figure, outside of the functions that it defines, shows a picture."""
    for statement in parse(cell.source).body:
        found = None if isinstance(statement, ast.FunctionDef | ast.ClassDef) else DRAWS.search(ast.unparse(statement))
        if found and not any("image/png" in output.get("data", {}) for output in cell.outputs):
            yield f"calls {found.group()}…) and shows no picture"
