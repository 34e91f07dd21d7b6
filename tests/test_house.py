"""The structure of the package: who imports whom, which library is used where, what may print, docstrings and sizes."""

import ast
import graphlib
import importlib
import inspect
import json
import subprocess
import sys

import pytest

import gan_lib
from tests import ROOT
from tools import make_structure

# What is not the core:
OUTSIDE = {"checks", "widgets", "playground", "studies", "processes", "runs", "tables", "__main__"}
HOMES = {  # the modules, or folders of modules, that may import a library
    "matplotlib": {"plotting"},
    "imageio": {"studies.films"},
    "ipywidgets": {"widgets"},
    "IPython": {"widgets", "playground"},
    "optuna": set(),
    "skimage": set(),
    "accelerate": {"processes"},
    "scipy": {"checks.test_an_image_pipeline"},
    "torchvision": {"data"},
    "argparse": {"__main__"},
    "tqdm": {"runs"},
}
PRINTING = {"__main__", "widgets.dashboard"}
FOLDER = ROOT / "gan_lib"


def module_name(path):
    """The name of a module without "gan_lib."; of a folder's __init__.py, the folder's name."""
    return ".".join(path.relative_to(FOLDER).with_suffix("").parts).removesuffix(".__init__")


PATHS = {module_name(path): path for path in sorted(FOLDER.rglob("*.py")) if path != FOLDER / "__init__.py"}
CORE = {name for name in PATHS if name.split(".")[0] not in OUTSIDE}
SOURCES = {name: path.read_text(encoding="utf-8") for name, path in PATHS.items()}
IMPORTS = make_structure.read_imports()


def violations(rule):
    """{module: what it does against the rule}, of the modules that do; `rule(name, source)` returns a set."""
    return {name: found for name, source in SOURCES.items() if (found := rule(name, source))}


def imports(source):
    """The full names that a source imports, at its top or within functions."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
            assert not any(name.startswith("gan_lib.") for name in names), "write `from gan_lib import`"
            yield from names
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are written in full"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def libraries(source):
    return {name.split(".")[0] for name in imports(source)}


def calls(source):
    return [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]


def dangerous(source):
    """The calls and libraries that could run code that a file holds; `np.load` is none with `allow_pickle=False`."""
    found = {ast.unparse(node.func) for node in calls(source)} & {"torch.load", "torch.save", "eval", "exec"}
    loads = [node for node in calls(source) if ast.unparse(node.func) in ("np.load", "numpy.load")]
    found |= {ast.unparse(node) for node in loads if "allow_pickle=False" not in map(ast.unparse, node.keywords)}
    return found | libraries(source) & {"pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}


# Imports


def test_the_core_imports_nothing_outside_it():
    assert len(CORE) <= 17
    assert violations(lambda name, _: IMPORTS[name] - CORE if name in CORE else set()) == {}


def test_no_modules_import_each_other_in_a_circle():
    graphlib.TopologicalSorter(IMPORTS).prepare()


def test_imports_are_seen_wherever_they_stand(tmp_path):
    """Within functions, and of what a wing's __init__ imports."""
    (tmp_path / "wing").mkdir()
    for name, source in {
        "a": "from gan_lib import b, UserError\nfrom gan_lib.wing import show",
        "b": "def f():\n    from gan_lib.wing.c import x",
        "wing/__init__": "from gan_lib.wing.c import show",
        "wing/c": "import torch",
    }.items():
        (tmp_path / f"{name}.py").write_text(source)
    assert make_structure.read_imports(tmp_path) == {"a": {"b", "wing.c"}, "b": {"wing.c"}, "wing.c": set()}


def test_each_library_has_one_home():
    at_home = lambda name, library: library not in HOMES or HOMES[library] & {name, name.split(".")[0]}
    assert violations(lambda name, source: {each for each in libraries(source) if not at_home(name, each)}) == {}


@pytest.mark.parametrize(
    ("module", "absent"), [("gan_lib", ["torch", "numpy"]), ("gan_lib.recipes", HOMES.keys() - {"argparse", "tqdm"})]
)
def test_importing_a_module_does_not_bring_what_it_does_not_need(module, absent):
    program = f"import sys, {module}; print(*[name for name in {absent} if name in sys.modules])"
    assert run(program).split() == []


def run(program):
    """What a program prints in a new Python in the repository's top folder."""
    words = [sys.executable, "-c", program]
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def test_lesson_01_imports_at_most_seven_of_our_modules():
    [lesson] = (ROOT / "notebooks").glob("01_*.ipynb")
    cells = json.loads(lesson.read_text(encoding="utf-8"))["cells"]
    [source] = ["".join(cell["source"]) for cell in cells if "imports" in cell["metadata"].get("tags", [])]
    loaded = run(f"{source}\nimport sys\nprint(*sys.modules)").split()
    loaded = {name for name in PATHS if f"gan_lib.{name}" in loaded and PATHS[name].name != "__init__.py"}
    assert len(loaded) <= 7, sorted(loaded)


# What modules do


def test_nothing_prints_but_the_command_line_and_the_dashboard():
    rule = lambda _, source: {"print"} & {ast.unparse(node.func) for node in calls(source)}
    assert violations(rule).keys() <= PRINTING


def test_nothing_is_unpickled_or_run():
    """A checkpoint, a weights file or an array can't run code when it is opened."""
    assert violations(lambda _, source: dangerous(source)) == {}


def test_a_call_that_could_unpickle_is_seen():
    assert dangerous("torch.load(path)\nnp.load(path, allow_pickle=False)") == {"torch.load"}
    assert dangerous("np.load(path)") == {"np.load(path)"}
    assert dangerous("def f():\n    np.load(path, allow_pickle=True)") == {"np.load(path, allow_pickle=True)"}
    assert dangerous("from joblib import load") == {"joblib"}


# Docstrings, sizes and the picture of it all


def undocumented(name, _):
    """The module itself, and its public functions, classes and methods, as far as they have no docstring of their own."""
    module = importlib.import_module(f"gan_lib.{name}")
    found = set() if module.__doc__ else {name}
    for key, thing in inspect.getmembers(module, lambda each: inspect.isfunction(each) or inspect.isclass(each)):
        if key.startswith("_") or thing.__module__ != module.__name__:
            continue
        found |= set() if thing.__doc__ else {key}
        for inner, method in vars(thing).items() if inspect.isclass(thing) else ():
            known = inner.startswith("_") or inner == "forward"  # Python or torch says what these do
            if inspect.isfunction(method) and not known and not method.__doc__:
                found.add(f"{key}.{inner}")
    return found


def test_everything_public_has_a_docstring():
    assert violations(undocumented) == {}


def test_everything_is_small_enough_to_read():
    lines = lambda paths: sum(len(path.read_text(encoding="utf-8").splitlines()) for path in paths)
    sizes = {name: (lines([path]), 250) for name, path in PATHS.items()}
    for path in FOLDER.glob("playground/*.[jhc]*"):
        sizes[path.name] = lines([path]), 450
        sizes[f"a line of {path.name}"] = max(map(len, path.read_text("utf-8").splitlines())), 130
    sizes["the core"] = lines(PATHS[name] for name in CORE), 2100
    sizes["the checks"] = lines(path for name, path in PATHS.items() if name.split(".")[0] == "checks"), 800
    sizes["the package"] = lines(FOLDER.rglob("*.py")), 5300
    tests = [*(ROOT / "tests").rglob("*.py"), *(ROOT / "tests").rglob("wrong_answers.txt")]
    sizes["the tests"] = lines(tests), 11_000
    assert {name: (size, limit) for name, (size, limit) in sizes.items() if size > limit} == {}


def test_the_package_itself_holds_its_version_and_user_error_and_nothing_else():
    _, *body = ast.parse((FOLDER / "__init__.py").read_text(encoding="utf-8")).body
    assert [getattr(node, "name", ast.unparse(node)[:11]) for node in body] == ["__version__", "UserError"]
    assert issubclass(gan_lib.UserError, ValueError)


def test_the_picture_in_contributing_shows_the_imports():
    """`python tools/make_structure.py` renews it."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    picture = text.split(make_structure.OPENING)[1].split(make_structure.CLOSING)[0]
    assert picture.strip() == make_structure.draw()
