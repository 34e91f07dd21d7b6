"""The tools that run the lessons and rewrite links, on tiny lessons; and those that measure and train, on tiny recipes."""

import base64
import csv
import json
import os
import shutil
import subprocess
import sys
from types import SimpleNamespace

import nbformat
import pytest
import torch
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from gan_lib import checkpoint, data, evaluation, files, latent, recipes, runs
from gan_lib.studies import class_scores, effects
from tests import ROOT
from tests.notebooks import contract
from tools import lessons, links, make_digit_net, make_reference


@pytest.fixture
def project(tmp_path):
    (tmp_path / "pyproject.toml").write_text('[project.urls]\nRepository = "https://github.com/ada/digits"\n')
    (tmp_path / "README.md").write_text("ada/digits.git ada/digits/blob x-ada/digits ada/digits-2 [ada/digits]")
    return tmp_path


def test_links_to_other_repositories_stay(project):
    assert {path.name for path in links.rewrite(project, "bob/numbers")} == {"pyproject.toml", "README.md"}
    text = (project / "README.md").read_text()
    assert text == "bob/numbers.git bob/numbers/blob x-ada/digits ada/digits-2 [bob/numbers]"


@pytest.mark.parametrize("name", ["", "digits", "https://github.com/ada/digits", "ada/digits/x", "a b/c", "ada/"])
def test_a_wrong_repository_changes_nothing(name, project):
    with pytest.raises(ValueError, match="owner/name"):
        links.rewrite(project, name)
    assert links.current(project) == "ada/digits" and "[ada/digits]" in (project / "README.md").read_text()


@pytest.mark.parametrize(("address", "expected"), [
    ("https://github.com/ada/digits", "ada/digits"),
    ("https://token@github.com/ada/digits.git", "ada/digits"),
    ("git@github.com:ada/digits-2.git", "ada/digits-2"),
    ("ssh://git@github.com/ada/digits/", "ada/digits"),
    ("https://example.org/ada/digits", ""),
    ("../digits", ""),
    (None, ""),
])  # fmt: skip
def test_the_repository_is_that_of_the_remote_on_github(address, expected, tmp_path):
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    if address:
        subprocess.run(["git", "-C", tmp_path, "remote", "add", "origin", address], check=True)
    assert links.of_remote(tmp_path) == expected


@pytest.mark.parametrize("arguments", [[], ["nonsense"]])
def test_the_tool_for_links_says_what_it_needs(arguments, project):
    (project / "tools").mkdir()
    tool = shutil.copy(ROOT / "tools" / "links.py", project / "tools")
    ended = subprocess.run([sys.executable, tool, *arguments], capture_output=True, text=True)
    assert ended.returncode != 0
    assert "make links REPO=ada/digits" in ended.stderr


def test_badges_and_the_first_cell_know_the_repository_or_say_what_to_run(project):
    """`tests/test_colab.py` runs the first cell."""
    tune = [new_code_cell(metadata={"tags": ["bootstrap"]}), new_code_cell("import optuna")]
    notebook = new_notebook(cells=[new_markdown_cell("# 14 · Tune it\n\nbadges\n\nmore"), *tune])
    (project / "notebooks").mkdir()
    path = project / "notebooks" / "14_tune_it.ipynb"
    nbformat.write(notebook, path)
    row = "| [14 · Tune it](notebooks/14_tune_it.ipynb) | search | 50 s |"
    (project / "README.md").write_text(f"{row} x |\n")
    unknown = None
    for repository in ("YOUR_NAME/digits", "bob/numbers", "YOUR_NAME/digits"):
        links.rewrite(project, repository)
        first, bootstrap, _ = nbformat.read(path, 4).cells
        badges, shown = first.source.split("\n\n")[1], (project / "README.md").read_text()
        contract.parse(bootstrap.source)
        if repository == "bob/numbers":
            target = "bob/numbers/blob/main/notebooks/14_tune_it.ipynb"
            assert badges.count(f"github/{target})") == badges.count(f"?src=https://github.com/{target})") == 1
            assert shown == f"{row} {badges.replace('Open in ', '')} |\n"
            assert "--no-deps git+https://github.com/bob/numbers\n    %pip install -q optuna\n" in bootstrap.source
        else:
            assert (badges, shown) == (links.NONE, f"{row} – |\n")
            assert "pip" not in bootstrap.source and "make links" in bootstrap.source
            assert unknown in (None, path.read_text())  # back and forth
            unknown = path.read_text()


GOOD = [
    'import os\nassert "inline" in os.environ["MPLBACKEND"]',
    'from pathlib import Path\nPath("runs/lesson_01").mkdir()\n_ = Path("runs/lesson_01/hero.png").write_bytes(b"a picture")',
    f'from IPython.display import display\nprint(1)\ndisplay({{"{lessons.WIDGET}": {{}}}}, raw=True)',
]
NAMES = ["01_good", "02_raises", "03_silent", "04_slow"]
PRINTS = 'print(\'{"coverage": 9, "ok": true}\')'


def make_root(root):
    """The folders that the tool needs in `root`."""
    (root / "notebooks").mkdir()
    (root / "tests" / "notebooks").mkdir(parents=True)
    return root


def write_lesson(root, name, *sources, **tagged):
    cells = [new_markdown_cell("# A lesson", metadata={"collapsed": True}), *map(new_code_cell, sources)]
    cells += [new_code_cell(source, metadata={"tags": [tag]}) for tag, source in tagged.items()]
    metadata = lessons.NOTEBOOK_METADATA if "parameters" in tagged else {}  # papermill needs its language
    nbformat.write(new_notebook(cells=cells, metadata=metadata), root / "notebooks" / f"{name}.ipynb")


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """A folder with four lessons after `run all`: the folder, the exit status, what was printed."""
    root = make_root(tmp_path_factory.mktemp("root"))
    write_lesson(root, "01_good", *GOOD, outcome=PRINTS)
    write_lesson(root, "02_raises", "1", '"before"\nraise RuntimeError("the oven\\nis cold")', outcome=PRINTS)
    write_lesson(root, "03_silent", "2")
    write_lesson(root, "04_slow", "import time", "time.sleep(60)", outcome=PRINTS)
    (root / "runs" / "lesson_02").mkdir(parents=True)
    (root / "runs" / "lesson_02" / "hero.png").write_bytes(b"of an earlier run")
    command = [sys.executable, ROOT / "tools" / "lessons.py", "run", "all", "--root", root, "--execution-timeout", "2"]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "MPLBACKEND": "Agg"})
    return root, done.returncode, done.stdout


def test_a_run_continues_after_a_failure_and_says_what_failed_where(ran):
    root, code, printed = ran
    assert code == 1
    lines = [line.split() for line in printed.splitlines()]
    assert ["lesson", "seconds", "outcome"] in lines
    assert any(line[:1] == ["01_good"] and line[2:] == ["coverage=9", "ok=True"] for line in lines)
    for name in NAMES[1:]:
        assert any(line[:1] == [name] and line[2:] == ["FAILED"] for line in lines)
    assert "In [2]: RuntimeError: the oven is cold" in printed
    assert "0 cells are tagged `outcome`" in printed
    assert "In [2]: CellTimeoutError" in printed
    assert "3 of 4 failed" in printed
    assert sorted(path.stem for path in (root / "runs").glob("*.ipynb")) == NAMES


def test_the_files_of_a_lesson_are_in_runs_only(ran):
    root, _, _ = ran
    assert (root / "runs" / "lesson_01" / "hero.png").read_bytes() == b"a picture"
    assert not (root / "runs" / "lesson_02" / "hero.png").exists()
    assert sorted(path.name for path in root.iterdir()) == ["notebooks", "runs", "tests"]
    assert len(list((root / "notebooks").iterdir())) == 4


def test_lessons_are_found_by_number_in_order(ran, tmp_path, capsys):
    names = lambda *numbers: [path.stem for path in lessons.find(ran[0], numbers)]
    assert names("02", "1") == ["01_good", "02_raises"]
    assert names("all") == NAMES
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


HAS = "a bound has a reason and one or more of min, max, equals."


@pytest.mark.parametrize(("bounds", "lines"), [
    ({"coverage": {"min": 9, "max": 9.5, "reason": "r"}}, []),
    ({"coverage": {"equals": 9, "max": 9, "reason": "r"}}, []),
    ({"coverage": {"min": 10, "reason": "the digits"}}, ["coverage is 9 and must be at least 10: the digits"]),
    ({"coverage": {"max": 8, "reason": "the digits"}}, ["coverage is 9 and must be at most 8: the digits"]),
    ({"coverage": {"equals": 8, "reason": "the digits"}}, ["coverage is 9 and must be exactly 8: the digits"]),
    ({"wrong": {"min": 0, "reason": "r"}}, ["wrong is nan and must be at least 0: r"]),
    *[({"coverage": bad}, [f"coverage: {HAS}"]) for bad in ({"min": 9}, {"reason": "r"}, {"minimum": 9, "reason": "r"})],
    ({"cover": {"min": 1, "reason": "r"}}, ["cover: has a bound, but the lesson does not print it."]),
    (None, ["outcomes.toml has no bounds for this lesson."]),
])  # fmt: skip
def test_bounds(bounds, lines):
    assert lessons.broken_bounds({"coverage": 9, "wrong": float("nan")}, bounds) == lines


def test_outcomes_run_a_lesson_and_hold_it_to_its_bounds(ran, capsys):
    bounds = '[01_good.coverage]\nmin = 10\nreason = "all ten digits"\n'
    (ran[0] / "tests" / "notebooks" / "outcomes.toml").write_text(bounds)
    shutil.rmtree(ran[0] / "runs" / "lesson_01")
    assert lessons.main(["outcomes", "01", "--root", str(ran[0])])
    assert "coverage is 9 and must be at least 10: all ten digits" in capsys.readouterr().out


def results_of(root):
    places = lambda path: (path, root / "runs" / path.name, root / "runs" / f"lesson_{path.name[:2]}" / "hero.png")
    return [lessons.Result(*places(path)) for path in lessons.find(root, ["01", "03"])]


def test_refresh_copies_back_only_if_every_lesson_succeeded(ran):
    root = ran[0]
    before = {path: path.read_bytes() for path in (root / "notebooks").iterdir()}
    results = results_of(root)
    results[1].errors = ["In [1]: no"]
    lessons.renew(results, root)
    assert {path: path.read_bytes() for path in (root / "notebooks").iterdir()} == before
    lessons.renew(results_of(root), root)
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


def test_refresh_puts_the_picture_into_a_lesson_that_has_a_place_for_it(ran):
    root = ran[0]
    result = results_of(root)[0]
    executed, picture = nbformat.read(result.copy, 4), base64.b64encode(b"a picture").decode()
    for old in ("hero.png", "data:image/png;base64,b2xk"):
        executed.cells[0].source = f"# 01 · Good\n\n![A good picture]({old})\n\n![More of it](more.png)"
        nbformat.write(executed, result.copy)
        lessons.renew([result], root)
        source = nbformat.read(root / "notebooks" / "01_good.ipynb", 4).cells[0].source
        assert source == executed.cells[0].source.replace(old, f"data:image/png;base64,{picture}")


def test_seeds_run_a_lesson_once_for_each_and_note_its_outcomes(tmp_path):
    root = make_root(tmp_path)
    noted = root / "tests" / "notebooks" / "seeds.json"
    noted.write_text('{"02_other": {"a": [1]}, "01_seeded": {"a": [1]}}')
    expected = {"02_other": {"a": [1]}, "01_seeded": {"twice": [0, 2]}}
    for outcome, seeds in (("print('{\"twice\": %d}' % (2 * seed))", 2), ("raise OSError", 1)):
        write_lesson(root, "01_seeded", parameters="seed = 7", outcome=outcome)
        results = lessons.run(lessons.find(root, ["01"]), root, 60, range(seeds))
        assert bool(results[0].errors) == (outcome == "raise OSError")
        assert json.loads(noted.read_text()) == expected  # after an error, as it was before


def test_refresh_refuses_paths_of_this_machine(ran):
    root = ran[0]
    results = results_of(root)
    copy = nbformat.read(results[0].copy, 4)
    copy.cells[1].outputs = [new_output("stream", name="stdout", text=f"saved {root}/runs/x.png")]
    nbformat.write(copy, results[0].copy)
    lessons.renew(results, root)
    assert results[0].errors == [f"shows a path of this machine, {root}."]


def test_make_reference_trains_measures_and_writes(tmp_path, monkeypatch, images, capsys):
    """With 400 images for MNIST, and scores that take no time."""
    recipe = recipes.Recipe("tiny", "mlp", latent_dim=5, width=6, batch_size=4, epochs=1, classes=10, truncation=0.9)
    many, effect = images.repeat(9, 1, 1)[:400], effects.Effect("slant", 0.123456, 1.0, 0.2, 0.3)
    real = SimpleNamespace(gaussian=None, shares=torch.ones(10) / 10)
    monkeypatch.setattr(recipes.Recipe, "steps", 100)
    monkeypatch.setitem(recipes.RECIPES, "tiny", recipe)
    monkeypatch.setattr(sys, "argv", ["make_reference.py", "tiny", "--seeds", "1", "2", "3"])
    for module, name, value in (
        (make_reference, "FOLDER", tmp_path),
        (make_reference, "RUNS", tmp_path / "runs"),
        (make_reference, "SAMPLES", 20),
        (make_reference, "manifest", lambda: ["tiny"]),
        (make_reference, "ms_a_step", lambda _: 1.5),
        (make_reference, "write_tables", lambda: None),
        (data, "load", lambda *_, **__: data.Digits(many, torch.arange(400) % 10)),
        (evaluation, "score", lambda images: evaluation.Score(*[images.mean().item()] * 11)),
        (class_scores, "score", lambda *_: [class_scores.ClassScore(*[0.123456] * 5)] * 10),
        (class_scores, "floor", lambda *_: [class_scores.ClassScore(*[0.123456] * 5)] * 10),
        (evaluation, "real_digits", lambda _: real),
        (evaluation, "frechet_distance", lambda *_: 2.5),
        (latent, "find_directions", lambda sampler: "directions"),
        (effects, "measure", lambda *_: [effect]),
    ):
        monkeypatch.setattr(module, name, value)
    for _ in range(2):
        make_reference.main()
        assert capsys.readouterr().out.endswith("tiny: measured over 3 runs\n")
        monkeypatch.setattr(runs, "train", None)  # a finished run is not repeated
    entry = json.loads((tmp_path / "results.json").read_text())["recipes"]["tiny"]
    sampler = checkpoint.sampler(tmp_path / "runs" / "tiny-2")
    assert (entry["seeds"], entry["steps"], entry["ms_a_step"], entry["truncation"]) == ([1, 2, 3], 100, 1.5, 0.9)
    assert entry["parameters"] == sum(weights.numel() for weights in recipe.game().generator.parameters())
    assert entry["scores"][1] == evaluation.score(sampler.sample(20, 1000))._asdict()
    assert entry["untruncated"][1] == evaluation.score(sampler.sample(20, 1000, truncation=1.0))._asdict()
    assert entry["by_class"][2][9]["recall"] == entry["effects"][0][0]["explained"] == 0.1235
    with (tmp_path / "tiny.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["seed"], row["step"], row["frechet"]) for row in rows] == [(i, "100", "2.500") for i in "123"]
    record = runs.load_records(tmp_path / "runs" / "tiny-3" / "records.csv")[-1]
    assert float(rows[2]["d_loss"]) == pytest.approx(record.d_loss, abs=1e-4)


def test_make_digit_net_trains_and_writes_the_average(monkeypatch, capsys):
    monkeypatch.syspath_prepend(ROOT / "tools")
    import make_weights

    calls, digits = [], data.Digits(torch.zeros(256, 28, 28, dtype=torch.uint8), torch.arange(256) % 10)
    monkeypatch.setattr(make_weights, "save", lambda *words, **about: calls.append((*words, about)) or 1e6)
    monkeypatch.setattr(data, "load", lambda **_: digits)
    monkeypatch.setattr(sys, "argv", ["make_digit_net.py", "--epochs", "1"])
    make_digit_net.main()
    assert "1.0 MB written" in capsys.readouterr().out
    [(name, tensors, about)] = calls
    assert (name, about["epochs"], about["seed"]) == ("digit-net", 1, 0)
    bundled, _ = files.bundled_weights(name)
    assert {key: value.shape for key, value in tensors.items()} == {key: value.shape for key, value in bundled.items()}
