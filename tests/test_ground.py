"""The ground that the lessons stand on: what is installed, the make targets, what README and CONTRIBUTING.md say."""

import ast
import contextlib
import functools
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib import metadata

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

import gan_lib
from gan_lib import __main__ as command_line
from tests import ROOT
from tests.notebooks import contract
from tests.test_house import calls, libraries
from tools import links, make_bench, make_reference


def read(name):
    return (ROOT / name).read_text(encoding="utf-8")


PYPROJECT, MAKEFILE = tomllib.loads(read("pyproject.toml")), read("Makefile")
PROJECT = PYPROJECT["project"]
DEPENDENCIES, DEV = PROJECT["dependencies"], [*itertools.chain(*PROJECT["optional-dependencies"].values())]
DECLARED = [Requirement(line) for line in [*DEPENDENCIES, *DEV]]
PINS = [line for line in read("constraints.txt").splitlines() if line and not line.startswith("#")]
TARGETS = re.findall(r"^([a-z-]+):.*## ", MAKEFILE, re.MULTILINE)


@functools.cache
def tracked():
    """The text files of the repository as {path: text}."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout, so nothing says which files are the repository's")
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    texts = {}
    for name in filter(None, names):
        with contextlib.suppress(UnicodeDecodeError, FileNotFoundError, IsADirectoryError):  # a picture, or deleted
            texts[name] = read(name)
    return texts


def canonical(requirements):
    return [canonicalize_name(Requirement(line).name) for line in requirements]


def test_constraints_are_exact_versions_and_nothing_is_listed_twice():
    assert [line for line in PINS if not re.fullmatch(r"[\w.-]+==[\w.]+", line)] == []
    for names in (canonical(PINS), canonical([*DEPENDENCIES, *DEV])):
        assert len(names) == len(set(names))


@pytest.mark.parametrize("requirement", DECLARED, ids=lambda requirement: requirement.name)
def test_each_dependency_is_a_range_that_holds_its_pinned_version(requirement):
    [version] = [line.split("==")[1] for line in PINS if canonical([line]) == canonical([requirement.name])]
    assert requirement.specifier
    assert requirement.specifier.contains(version)


def third_party_imports(folder):
    """The distributions that the Python files of a folder import, without the standard library and our own."""
    modules = {name for path in folder.rglob("*.py") for name in libraries(path.read_text(encoding="utf-8"))}
    own = {path.stem for path in [*ROOT.iterdir(), *(ROOT / "tools").iterdir(), *(ROOT / "tests").rglob("*")]}
    providers = metadata.packages_distributions()
    return {canonicalize_name(providers.get(name, [name])[0]) for name in modules - sys.stdlib_module_names - own}


def test_each_import_is_declared():
    of_lessons, only_on_colab = ["optuna", "scikit-image"], {"google"}
    for folder, more in (("gan_lib", of_lessons), ("tools", DEV), ("tests", DEV)):
        assert third_party_imports(ROOT / folder) - only_on_colab <= set(canonical([*DEPENDENCIES, *more])), folder


def test_environment_installs_this_package_with_the_constraints_and_nothing_twice():
    *conda, pip = yaml.safe_load(read("environment.yml"))["dependencies"]
    assert [re.match(r"\w+", line).group() for line in conda] == ["python", "pip"]
    assert pip == {"pip": ["-c constraints.txt", "-e .[dev,docs]"]}
    python = SpecifierSet(conda[0].removeprefix("python"))
    supported = [f"3.{minor}" for minor in range(8, 30) if f"3.{minor}" in python]
    assert supported and all(version in SpecifierSet(PROJECT["requires-python"]) for version in supported)


def test_the_package_has_one_version_and_its_data():
    assert metadata.version("gan-lib") == gan_lib.__version__
    patterns = PYPROJECT["tool"]["setuptools"]["package-data"]["gan_lib"]
    packed = {path for pattern in patterns for path in (ROOT / "gan_lib").glob(pattern)}
    files = {path for path in (ROOT / "gan_lib").rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    assert {path for path in files if path.suffix != ".py"} == packed


@pytest.mark.parametrize("pattern", [
    r"(?<![\w.~$>)}-])/(?:home|Users|root|work|tmp|private|mnt|opt|content(?!/drive\b))/\w",  # a path of one machine
    r"(?i)\b[C]:\\\\?Users|\b[A-Z]:\\\\",
    r"file:/{3}\w",
    r"pythonhosted\.org|/[s]imple/|extra[-]index-url",  # an address of one registry
])  # fmt: skip
def test_no_file_names_a_machine_or_a_registry(pattern):
    found = {name: re.search(pattern, text) for name, text in tracked().items()}
    assert {name: text.group() for name, text in found.items() if text} == {}


def test_every_file_that_a_docstring_cites_exists():
    """A name such as models.py, or a path such as tools/make_reference.py."""
    made = {"bench.json", "gpu.json", "records.csv", "lab.log", "x.html", "playground.html"}  # by runs
    known, missing = made | {part for name in tracked() for part in (name, name.split("/")[-1])}, set()
    for name in tracked():
        nodes = ast.walk(ast.parse(tracked()[name])) if name.endswith(".py") else ()
        nodes = [node for node in nodes if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)]
        docs = "\n".join(ast.get_docstring(node) or "" for node in nodes)
        cited = re.findall(r"[\w./-]+\.(?:py|md|json|toml|html|js|yaml)\b", docs)
        missing |= {(name, file) for file in cited if not known & {file, file.split("/")[-1]}}
    assert missing == set()


def make(*arguments, cwd=ROOT):
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    return subprocess.run(["make", *arguments], cwd=cwd, env=environment, capture_output=True, text=True)


def test_every_target_is_documented_and_every_documented_one_exists():
    text = read("README.md") + read("CONTRIBUTING.md")
    assert set(re.findall(r"`make (?:PYTHON=\S+ )?([a-z-]+)", text)) == set(TARGETS)
    assert re.search(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE).group(1).split() == TARGETS
    assert set(re.findall(r"^  make ([a-z-]+)", make("help").stdout, re.MULTILINE)) == set(TARGETS)


@pytest.mark.parametrize("target", TARGETS)
def test_every_target_expands_to_commands_that_exist(target):
    expanded = make("--dry-run", "--always-make", target)
    assert expanded.returncode == 0, expanded.stderr
    for script in re.findall(r"\S+\.(?:py|ipynb)\b", expanded.stdout):
        assert (ROOT / script).exists(), script


@pytest.fixture
def house(tmp_path):
    """A folder with the Makefile and a stand-in for Python: its pip fails as long as the file `offline` is there."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    python = tmp_path / "python"
    python.write_text(
        '#!/bin/sh\necho "$@" >> calls\ncase "$*" in\n'
        '  "-m venv --clear .venv") rm -rf .venv; mkdir -p .venv/bin; cp python .venv/bin ;;\n'
        '  "-m pip "*) test ! -e offline ;;\nesac\n'
    )
    python.chmod(0o755)
    return tmp_path


def test_an_interrupted_setup_starts_again_and_a_finished_one_is_kept(house):
    calls, ready, half = house / "calls", house / ".venv" / ".installed", house / ".venv" / "half-installed"

    def setup():
        calls.write_text("")
        return make("setup", "PYTHON=./python", cwd=house).returncode, calls.read_text()

    def change(name):
        later = ready.stat().st_mtime + 1
        os.utime(house / name, (later, later))

    (house / "offline").touch()
    assert setup()[0] != 0
    assert not ready.exists()
    half.touch()

    (house / "offline").unlink()
    code, called = setup()
    assert code == 0
    assert "-m venv --clear .venv" in called
    assert called.index("-m pip install -c constraints.txt -e .[dev,docs]") < called.index("tests/colab.py")
    assert ready.exists() and not half.exists()
    assert setup() == (0, "")

    for name in ("pyproject.toml", "constraints.txt"):
        change(name)
        code, called = setup()
        assert code == 0
        assert "pip install" in called and "--clear" not in called
        os.utime(house / name, (0, 0))

    change("constraints.txt")
    (house / "offline").touch()
    assert setup()[0] != 0
    assert not ready.exists()


def test_an_old_python_is_refused(house):
    (house / "python").write_text(f'#!/bin/sh\nexec {sys.executable} -c "import sys; sys.version_info = (3, 9); $2"\n')
    ended = make("setup", "PYTHON=./python", cwd=house)
    assert ended.returncode != 0
    assert "needs Python 3.11 or newer, and ./python is 3." in ended.stderr
    assert not (house / ".venv").exists()


def test_the_snippet_of_readme_runs(tmp_path, monkeypatch):
    [snippet] = re.findall(r"```python\n(.*?)```", read("README.md"), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(snippet, names)
    assert names["digits"].shape == (100, 1, 28, 28)
    assert names["sampler"].sample(2).shape == (2, 1, 28, 28)
    assert (tmp_path / "digits.png").stat().st_size > 1000


def test_the_commands_of_readme_are_understood():
    for line in re.findall(r"^python -m gan_lib ([^-].*?)(?:\s+#.*)?$", read("README.md"), re.MULTILINE):
        assert command_line.build_parser().parse_args(line.split()).do.__name__ == line.split()[0]


@pytest.mark.parametrize("page", ["README.md", "docs/results.md"])
def test_the_pictures_and_links_of_a_page_are_there(page):
    targets = re.findall(r'(?:\]\(|src=")(?!http)([^)"#]+)', read(page))
    assert targets and [target for target in targets if not (ROOT / page).parent.joinpath(target).exists()] == []


def texts(source):
    """The texts in a source, f-strings first, with … in place of what is filled in."""
    nodes = [*ast.walk(ast.parse(source))]
    parts = lambda text: "".join(each.value if isinstance(each, ast.Constant) else "…" for each in text.values)
    joined = [parts(node) for node in nodes if isinstance(node, ast.JoinedStr)]
    return [*joined, *(node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str))]


def test_the_table_of_messages_quotes_the_source_and_has_every_mistake_on_the_command_line():
    rows = re.findall(r"^\| `(.+?)` \| (.+) \| (.+) \|$", read("docs/troubleshooting.md"), re.MULTILINE)
    quotes = [".*".join(map(re.escape, quote.strip("… :").split("…"))) for quote, _, _ in rows]
    assert len(set(quotes)) == len(rows) >= 35 and min(map(len, quotes)) > 12
    said = [text for path in (ROOT / "gan_lib").rglob("*.py") for text in texts(path.read_text("utf-8"))]
    assert [quote for quote in quotes if not any(re.search(quote, text) for text in said)] == []
    for name in ("hardware", "processes", "runs", "__main__"):
        errors = [call for call in calls(read(f"gan_lib/{name}.py")) if ast.unparse(call.func) == "UserError"]
        known = lambda error: any(re.search(quote, texts(ast.unparse(error))[0]) for quote in quotes)
        assert errors and [ast.unparse(error) for error in errors if not known(error)] == [], name


def test_the_tables_of_the_pages_are_those_of_the_reference_runs_and_of_the_bench():
    pages = read("README.md") + read("docs/results.md")
    for name, table in make_reference.build_tables().items():
        assert f"<!-- {name}: written by tools/make_reference.py -->\n{table}\n<!-- /{name} -->" in pages
        if name == "bench":
            assert table == make_bench.table(json.loads(read("benchmarks/results/bench.json")))


def test_links_are_rewritten_everywhere_and_back_and_readme_stays_one_page(tmp_path):
    before = tracked()
    for name, text in before.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="")
    old = links.current(ROOT)
    links.rewrite(tmp_path, "ada/digits")
    assert [name for name in before if old in (tmp_path / name).read_text(encoding="utf-8")] == []
    assert links.current(tmp_path) == "ada/digits"
    readme = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert len(re.sub(r"<!--.*?-->|```.*?```|[|`#*]", " ", readme, flags=re.DOTALL).split()) <= 900  # without code
    for path in (tmp_path / "notebooks").glob("*.ipynb"):
        assert [*contract.RULES["code_cells"](contract.Lesson(path))] == []
    links.rewrite(tmp_path, old)
    assert {name: (tmp_path / name).read_bytes() for name in before} == {k: t.encode() for k, t in before.items()}
