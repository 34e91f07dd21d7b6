"""The tools that run the lessons and rewrite the links, on tiny lessons in a temporary folder."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from tools import lessons, links

ROOT = Path(__file__).resolve().parent.parent


# The links


def test_links_leave_other_repositories_alone(tmp_path):
    (tmp_path / "pyproject.toml").write_text('[project.urls]\nRepository = "https://github.com/ada/digits"\n')
    (tmp_path / "README.md").write_text("ada/digits.git ada/digits/blob x-ada/digits ada/digits-2 [ada/digits]")
    assert {path.name for path in links.rewrite(tmp_path, "bob/numbers")} == {"pyproject.toml", "README.md"}
    text = (tmp_path / "README.md").read_text()
    assert text == "bob/numbers.git bob/numbers/blob x-ada/digits ada/digits-2 [bob/numbers]"


@pytest.mark.parametrize("name", ["", "digits", "https://github.com/ada/digits", "ada/digits/x", "a b/c", "ada/"])
def test_a_wrong_repository_changes_nothing(name, tmp_path):
    (tmp_path / "pyproject.toml").write_text('[project.urls]\nRepository = "https://github.com/ada/digits"\n')
    with pytest.raises(ValueError, match="owner/name"):
        links.rewrite(tmp_path, name)
    assert links.current(tmp_path) == "ada/digits"


@pytest.mark.parametrize("arguments", [[], ["nonsense"]])
def test_links_say_what_they_want(arguments):
    command = [sys.executable, ROOT / "tools" / "links.py", *arguments]
    told = subprocess.run(command, capture_output=True, text=True)
    assert told.returncode != 0
    assert "make links REPO=ada/digits" in told.stderr


# Running the lessons: one run of four tiny ones, then what each command makes of it

GOOD = [
    'import os\nassert "inline" in os.environ["MPLBACKEND"]',
    'from pathlib import Path\nfolder = Path("runs/lesson_01")\nfolder.mkdir(parents=True)\n'
    '_ = (folder / "hero.png").write_bytes(b"a picture")',
    f'from IPython.display import display\nprint(1)\ndisplay({{"{lessons.WIDGET}": {{}}}}, raw=True)',
]
PRINTS = 'print(\'{"coverage": 9, "ok": true}\')'


def write_lesson(root, name, *sources, outcome=PRINTS):
    cells = [new_markdown_cell("# A lesson"), *map(new_code_cell, sources)]
    if outcome:
        cells.append(new_code_cell(outcome, metadata={"tags": ["outcome"]}))
    cells[0].metadata = {"collapsed": True}
    nbformat.write(new_notebook(cells=cells), root / "notebooks" / f"{name}.ipynb")


def write_bounds(root, text):
    (root / "tests" / "notebooks" / "outcomes.toml").write_text(text)


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """A house with four lessons after `run all`: root, exit status, what it printed."""
    root = tmp_path_factory.mktemp("house")
    (root / "notebooks").mkdir()
    (root / "tests" / "notebooks").mkdir(parents=True)
    write_lesson(root, "01_good", *GOOD)
    write_lesson(root, "02_raises", "1", '"before"\nraise RuntimeError("the oven\\nis cold")')
    write_lesson(root, "03_silent", "2", outcome=None)
    write_lesson(root, "04_slow", "import time", "time.sleep(60)")
    (root / "runs" / "lesson_02").mkdir(parents=True)
    (root / "runs" / "lesson_02" / "hero.png").write_bytes(b"of an earlier run")
    command = [sys.executable, ROOT / "tools" / "lessons.py", "run", "all", "--root", root, "--execution-timeout", "2"]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "MPLBACKEND": "Agg"})
    return root, done.returncode, done.stdout


def test_a_run_goes_on_after_a_failure_and_says_what_failed_where(ran):
    root, code, printed = ran
    assert code == 1
    lines = [line.split() for line in printed.splitlines()]
    assert ["lesson", "seconds", "outcome"] in lines
    assert any(line[:1] == ["01_good"] and line[2:] == ["coverage=9", "ok=True"] for line in lines)
    for name in ("02_raises", "03_silent", "04_slow"):
        assert any(line[:1] == [name] and line[2:] == ["FAILED"] for line in lines)
    assert "In [2]: RuntimeError: the oven is cold" in printed
    assert "0 cells are tagged `outcome`" in printed
    assert "In [2]: CellTimeoutError" in printed
    assert "3 of 4 failed" in printed
    assert sorted(path.name for path in (root / "runs").glob("*.ipynb")) == [
        "01_good.ipynb", "02_raises.ipynb", "03_silent.ipynb", "04_slow.ipynb",
    ]  # fmt: skip


def test_a_run_leaves_what_a_lesson_makes_under_runs_only(ran):
    root, _, _ = ran
    assert (root / "runs" / "lesson_01" / "hero.png").read_bytes() == b"a picture"
    assert not (root / "runs" / "lesson_02" / "hero.png").exists()
    assert sorted(path.name for path in root.iterdir()) == ["notebooks", "runs", "tests"]
    assert len(list((root / "notebooks").iterdir())) == 4


@pytest.mark.parametrize(
    ("numbers", "names"),
    [(["02", "1"], ["01_good", "02_raises"]), (["all"], ["01_good", "02_raises", "03_silent", "04_slow"])],
)
def test_lessons_are_found_by_number_in_order(ran, numbers, names):
    assert [path.stem for path in lessons.find(ran[0], numbers)] == names


def test_a_lesson_that_is_not_there_is_named(ran, tmp_path, capsys):
    with pytest.raises(SystemExit):
        lessons.main(["run", "07", "--root", str(ran[0])])
    assert "You asked for 07; the lessons are: 01 02 03 04." in capsys.readouterr().err
    with pytest.raises(ValueError, match="none"):
        lessons.find(tmp_path, ["all"])


@pytest.mark.parametrize("printed", ["", "nine", "[1]", '{"a": [1]}', '{"a": "1"}', '{"a": 1}\n{"b": 1}'])
def test_an_outcome_is_one_flat_object_of_numbers(printed):
    cell = new_code_cell(outputs=[new_output("stream", name="stdout", text=printed)], metadata={"tags": ["outcome"]})
    with pytest.raises(ValueError, match="one flat JSON object"):
        lessons.outcome_of(new_notebook(cells=[cell]))


@pytest.mark.parametrize(
    ("bound", "line"),
    [
        ({"min": 9, "max": 9.5, "reason": "r"}, None),
        ({"equals": 9, "max": 9, "reason": "r"}, None),
        ({"min": 10, "reason": "the digits"}, "coverage is 9 and must be at least 10: the digits"),
        ({"max": 8, "reason": "the digits"}, "coverage is 9 and must be at most 8: the digits"),
        ({"equals": 8, "reason": "the digits"}, "coverage is 9 and must be exactly 8: the digits"),
        ({"min": 9}, "coverage: a bound has a reason"),
        ({"reason": "r"}, "coverage: a bound has a reason"),
        ({"minimum": 9, "reason": "r"}, "coverage: a bound has a reason"),
    ],
)
def test_bounds(bound, line):
    broken = lessons.broken_bounds({"coverage": 9}, {"coverage": bound})
    assert len(broken) == (line is not None)
    assert all(one.startswith(line) for one in broken)


def test_bounds_that_hold_nothing_are_errors(ran):
    assert lessons.broken_bounds({"coverage": 9}, None) == ["outcomes.toml has no bounds for this lesson."]
    missing = lessons.broken_bounds({"coverage": 9}, {"cover": {"min": 1, "reason": "r"}})
    assert missing == ["cover: has a bound, but the lesson does not print it."]
    assert lessons.broken_bounds({"a": float("nan")}, {"a": {"min": 0, "max": 1, "reason": "r"}}) != []
    write_bounds(ran[0], '[09_gone.coverage]\nmin = 1\nreason = "r"\n')
    with pytest.raises(ValueError, match="09_gone"):
        lessons.read_bounds(ran[0])


def test_outcomes_run_a_lesson_and_hold_it_to_its_bounds(ran, capsys):
    write_bounds(ran[0], '[01_good.coverage]\nmin = 10\nreason = "all ten digits"\n')
    shutil.rmtree(ran[0] / "runs" / "lesson_01")
    assert lessons.main(["outcomes", "01", "--root", str(ran[0])])
    assert "coverage is 9 and must be at least 10: all ten digits" in capsys.readouterr().out


def results_of(root):
    runs = root / "runs"
    return [
        lessons.Result(path, runs / path.name, runs / f"lesson_{path.name[:2]}" / "hero.png")
        for path in lessons.find(root, ["01", "03"])
    ]


def test_refresh_copies_back_only_if_all_succeeded(ran):
    root = ran[0]
    before = {path: path.read_bytes() for path in (root / "notebooks").iterdir()}
    results = results_of(root)
    results[1].errors = ["In [1]: no"]
    lessons.renew(results, root)
    assert {path: path.read_bytes() for path in (root / "notebooks").iterdir()} == before
    assert not (root / "samples").exists()

    lessons.renew(results_of(root), root)
    assert (root / "samples" / "lessons" / "01.png").read_bytes() == b"a picture"
    assert not (root / "samples" / "lessons" / "03.png").exists()

    refreshed = nbformat.read(root / "notebooks" / "01_good.ipynb", 4)
    original = json.loads(before[root / "notebooks" / "01_good.ipynb"])
    assert refreshed.metadata == lessons.NOTEBOOK_METADATA
    assert [cell.metadata for cell in refreshed.cells] == [{}, {}, {}, {}, {"tags": ["outcome"]}]
    assert [cell.id for cell in refreshed.cells] == [cell["id"] for cell in original["cells"]]
    assert [cell.source for cell in refreshed.cells] == ["".join(cell["source"]) for cell in original["cells"]]
    assert [cell.execution_count for cell in refreshed.cells[1:]] == [1, 2, 3, 4]
    kinds = [[output.output_type for output in cell.outputs] for cell in refreshed.cells[1:]]
    assert kinds == [[], [], ["stream"], ["stream"]]
    nbformat.validate(refreshed)


def test_seeds_run_a_lesson_once_for_each_and_note_what_it_printed(tmp_path):
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "tests" / "notebooks").mkdir(parents=True)
    noted = tmp_path / "tests" / "notebooks" / "seeds.json"
    noted.write_text('{"02_other": {"a": [1]}, "01_seeded": {"a": [1]}}')
    cells = [
        new_code_cell("seed = 7", metadata={"tags": ["parameters"]}),
        new_code_cell("print('{\"twice\": %d}' % (2 * seed))", metadata={"tags": ["outcome"]}),
    ]
    nbformat.write(
        new_notebook(cells=cells, metadata=lessons.NOTEBOOK_METADATA), tmp_path / "notebooks" / "01_seeded.ipynb"
    )
    lessons.run_seeds(lessons.find(tmp_path, ["01"]), tmp_path, 60, range(2))
    assert json.loads(noted.read_text()) == {"02_other": {"a": [1]}, "01_seeded": {"twice": [0, 2]}}

    cells[1].source = "raise OSError"
    nbformat.write(
        new_notebook(cells=cells, metadata=lessons.NOTEBOOK_METADATA), tmp_path / "notebooks" / "01_seeded.ipynb"
    )
    before = noted.read_text()
    assert lessons.run_seeds(lessons.find(tmp_path, ["01"]), tmp_path, 60, range(1))[0].errors
    assert noted.read_text() == before


def test_refresh_refuses_paths_of_this_machine(ran):
    root = ran[0]
    results = results_of(root)
    copy = nbformat.read(results[0].copy, 4)
    copy.cells[1].outputs = [new_output("stream", name="stdout", text=f"saved {root}/runs/x.png")]
    nbformat.write(copy, results[0].copy)
    lessons.renew(results, root)
    assert results[0].errors == [f"shows a path of this machine, {root}."]
