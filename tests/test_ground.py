"""The ground that the lessons stand on: what is installed, the make targets, the links."""

import ast
import functools
import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

import gan_lib
from tools import links

DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef)
ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
DEV = PROJECT["optional-dependencies"]["dev"]
DECLARED = [Requirement(line) for line in [*PROJECT["dependencies"], *DEV]]


@functools.cache
def tracked():
    """The text files of the repository as {path: text}."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout, so nothing says which files are the repository's")
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    texts = {}
    for path in (ROOT / name for name in names if name):
        try:
            texts[path.relative_to(ROOT).as_posix()] = path.read_text(encoding="utf-8")
        except (
            UnicodeDecodeError,
            FileNotFoundError,
            IsADirectoryError,
        ):  # a picture, or deleted and not yet committed
            continue
    return texts


# What is installed


def constraints():
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def test_constraints_are_exact_versions_and_nothing_else():
    assert [line for line in constraints() if not re.fullmatch(r"[\w.-]+==[\w.]+", line)] == []
    names = [canonicalize_name(line.split("==")[0]) for line in constraints()]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("requirement", DECLARED, ids=lambda requirement: requirement.name)
def test_each_dependency_is_pinned_within_its_range(requirement):
    pins = {canonicalize_name(name): version for name, version in (line.split("==") for line in constraints())}
    assert requirement.specifier, "a range, please"
    assert requirement.specifier.contains(pins[canonicalize_name(requirement.name)])


def test_no_dependency_is_declared_twice():
    names = [canonicalize_name(requirement.name) for requirement in DECLARED]
    assert len(names) == len(set(names))


def third_party_imports(folder):
    """The distributions that the Python files of a folder import, but for the standard library and our own."""
    modules = set()
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                modules |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                modules.add(node.module.split(".")[0])
    own = {path.stem for path in [*ROOT.iterdir(), *(ROOT / "tools").iterdir(), *(ROOT / "tests").rglob("*")]}
    providers = metadata.packages_distributions()
    return {canonicalize_name(providers.get(name, [name])[0]) for name in modules - sys.stdlib_module_names - own}


@pytest.mark.parametrize(
    ("folder", "declared"),
    [("gan_lib", ["optuna", "scikit-image"]), ("tools", DEV), ("tests", DEV)],  # of lessons 10 and 09 alone
    ids=["gan_lib", "tools", "tests"],
)
def test_each_import_is_declared(folder, declared):
    names = {canonicalize_name(Requirement(line).name) for line in [*PROJECT["dependencies"], *declared]}
    assert third_party_imports(ROOT / folder) <= names


def test_environment_installs_this_package_with_the_constraints_and_nothing_twice():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    *conda, pip = environment["dependencies"]
    assert [re.match(r"\w+", line).group() for line in conda] == ["python", "pip"]
    assert pip == {"pip": ["-c constraints.txt", "-e .[dev]"]}
    python = SpecifierSet(conda[0].removeprefix("python"))
    supported = [f"3.{minor}" for minor in range(8, 30) if f"3.{minor}" in python]
    assert supported
    assert all(version in SpecifierSet(PROJECT["requires-python"]) for version in supported)


def test_the_package_has_one_version_and_its_data():
    assert metadata.version("gan-lib") == gan_lib.__version__
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"][
        "package-data"
    ]
    packed = {path for pattern in patterns["gan_lib"] for path in (ROOT / "gan_lib").glob(pattern)}
    files = {path for path in (ROOT / "gan_lib").rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    assert {path for path in files if path.suffix != ".py"} == packed


@pytest.mark.parametrize(
    "pattern",
    [
        r"(?<![\w.~$>)}-])/(?:home|Users|root|work|tmp)/\w",  # a path of one machine
        r"(?i)\b[C]:\\\\?Users",
        r"file:/{3}\w",
        r"pythonhosted\.org|/[s]imple/|extra[-]index-url",  # an address of one registry
    ],
)
def test_no_file_names_a_machine_or_a_registry(pattern):
    found = {name: re.search(pattern, text) for name, text in tracked().items()}
    assert {name: text.group() for name, text in found.items() if text} == {}


# The make targets


def test_every_file_that_a_docstring_or_a_comment_cites_is_there():
    """A name such as models.py, or a path such as tools/make_reference.py; what a run makes is not cited by its name alone."""
    names = {part for name in tracked() for part in (name, name.split("/")[-1])}
    made = {"bench.json", "records.csv", "lab.log", "x.html", "playground.html"}
    missing = set()
    for name, text in tracked().items():
        if name.endswith(".py"):
            docs = [ast.get_docstring(node) or "" for node in ast.walk(ast.parse(text)) if isinstance(node, DOCUMENTED)]
            for cited in re.findall(r"[\w./-]+\.(?:py|md|json|toml|html|js|yaml)\b", "\n".join(docs)):
                if cited not in names and cited.split("/")[-1] not in names | made:
                    missing.add((name, cited))
    assert missing == set()


def make(*arguments, cwd=ROOT):
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    return subprocess.run(["make", *arguments], cwd=cwd, env=environment, capture_output=True, text=True)


def targets():
    return re.findall(r"^([a-z]+):.*## ", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)


def test_every_target_is_documented_and_every_documented_one_exists():
    contributing = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert set(re.findall(r"`make ([a-z]+)", contributing)) == set(targets())
    phony = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE).group(1)
    assert phony.split() == targets()
    assert set(re.findall(r"^  make ([a-z]+)", make("help").stdout, re.MULTILINE)) == set(targets())


@pytest.mark.parametrize("target", targets())
def test_every_target_expands_to_commands_that_are_there(target):
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


def test_an_interrupted_setup_is_begun_anew_and_a_finished_one_is_kept(house):
    calls, ready = house / "calls", house / ".venv" / ".installed"

    def setup():
        calls.write_text("")
        return make("setup", "PYTHON=./python", cwd=house).returncode, calls.read_text()

    (house / "offline").touch()
    assert setup()[0] != 0
    assert not ready.exists()
    (house / ".venv" / "half-installed").touch()

    (house / "offline").unlink()
    code, called = setup()
    assert code == 0
    assert "-m venv --clear .venv" in called
    assert called.index("-m pip install -c constraints.txt -e .[dev]") < called.index("tests/colab.py")
    assert ready.exists()
    assert not (house / ".venv" / "half-installed").exists()

    assert setup() == (0, "")

    for changed in ("pyproject.toml", "constraints.txt"):
        later = ready.stat().st_mtime + 1
        os.utime(house / changed, (later, later))
        os.utime(ready, (later - 1, later - 1))
        code, called = setup()
        assert code == 0
        assert "pip install" in called
        assert "--clear" not in called
        os.utime(house / changed, (0, 0))

    later = ready.stat().st_mtime + 1
    os.utime(house / "constraints.txt", (later, later))
    (house / "offline").touch()
    assert setup()[0] != 0
    assert not ready.exists()


def test_an_old_python_is_told_so(house):
    (house / "python").write_text(f'#!/bin/sh\nexec {sys.executable} -c "import sys; sys.version_info = (3, 9); $2"\n')
    told = make("setup", "PYTHON=./python", cwd=house)
    assert told.returncode != 0
    assert "needs Python 3.11 or newer, and ./python is 3." in told.stderr
    assert not (house / ".venv").exists()


def test_links_are_rewritten_everywhere_and_back(tmp_path):
    before = tracked()
    for name, text in before.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="")
    old = links.current(ROOT)
    links.rewrite(tmp_path, "ada/digits")
    after = {name: (tmp_path / name).read_text(encoding="utf-8") for name in before}
    assert [name for name, text in after.items() if old in text] == []
    assert links.current(tmp_path) == "ada/digits"

    links.rewrite(tmp_path, old)
    assert {name: (tmp_path / name).read_bytes() for name in before} == {k: t.encode() for k, t in before.items()}
