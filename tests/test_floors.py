"""The house: imports point down only, each library has one home, nothing prints, everything says what it is."""

import ast
import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import gan_lib

FLOORS = [  # from the ground up; a module imports only from those before it
    "files",
    "data",
    "toys",
    "losses",
    "residual",
    "settings",
    "sampler",
    "models",
    "conditional",
    "parallel",
    "training",
    "checkpoint",
    "evaluation",
    "reference",
    "recipes",
    "diagnosis",
    "clinic",
    "stacked",
    "augmentation",
    "attributes",
    "imaging",
    "latent",
    "plotting",
    "handwriting",
    "art",
    "checks",
    "tuning",
    "runs",
    "report",
    "bench",
    "page",
    "pictures",
    "explorer",
    "dashboard",
    "widgets",
    "__main__",
]
HOMES = {  # the only modules that may import a library
    "matplotlib": {"plotting"},
    "imageio": {"plotting"},
    "ipywidgets": {"widgets", "dashboard", "explorer"},
    "IPython": {"dashboard"},
    "torchvision": {"data", "bench"},
    "accelerate": {"parallel"},
    "scipy": {"bench", "imaging"},
    "skimage": {"imaging"},
    "optuna": {"tuning"},
    "tqdm": {"runs", "__main__"},
    "argparse": {"__main__"},
}
FOLDER = Path(gan_lib.__file__).parent
SOURCES = {path.stem: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.py") if path.stem != "__init__"}
MODULE = pytest.mark.parametrize("name", FLOORS)


def imports(tree):
    """The full names that a piece of code imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are written in full"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def ours(source):
    """The modules of gan_lib that a source imports."""
    return {name.split(".")[1] for name in imports(ast.parse(source)) if name.startswith("gan_lib.")}


def too_high(name, source):
    return ours(source) - set(FLOORS[: FLOORS.index(name)])


def calls(source):
    """(the function's name, the class or function around it) of each call by a plain name or an attribute."""
    for top in ast.parse(source).body:
        for node in ast.walk(top):
            if isinstance(node, ast.Call):
                yield ast.unparse(node.func), getattr(top, "name", "")


def dangerous(source):
    """The calls that could unpickle or run what a file holds; `np.load` is none if it is told not to."""
    found = {function for function, _ in calls(source)} & {"torch.load", "torch.save", "eval", "exec"}
    loads = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    loads = [node for node in loads if ast.unparse(node.func) in ("np.load", "numpy.load")]
    return found | {ast.unparse(node) for node in loads if "allow_pickle=False" not in map(ast.unparse, node.keywords)}


def test_every_module_stands_on_a_floor():
    assert set(SOURCES) == set(FLOORS)


@MODULE
def test_imports_point_down(name):
    assert too_high(name, SOURCES[name]) == set()


def test_an_import_that_points_up_is_seen():
    assert too_high("data", "from gan_lib import models\nfrom gan_lib.files import x") == {"models"}
    assert too_high("data", "def f():\n    import gan_lib.plotting") == {"plotting"}


@MODULE
def test_each_library_has_one_home(name):
    wrong = {
        module for module in imports(ast.parse(SOURCES[name])) if name not in HOMES.get(module.split(".")[0], {name})
    }
    assert wrong == set()


def test_torchvision_is_imported_only_when_data_are_loaded():
    top = [node for node in ast.parse(SOURCES["data"]).body if isinstance(node, ast.Import | ast.ImportFrom)]
    assert not any(name.startswith("torchvision") for node in top for name in imports(node))


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("gan_lib", ["torch", "numpy"]),
        (
            "gan_lib.recipes",
            [
                "matplotlib",
                "ipywidgets",
                "torchvision",
                "imageio",
                "IPython",
                "accelerate",
                "scipy",
                "optuna",
                "skimage",
            ],
        ),
        ("gan_lib.widgets", ["torchvision"]),
    ],
)
def test_importing_a_module_does_not_bring_what_it_does_not_need(module, absent):
    program = f"import sys, {module}; print(*[name for name in {absent} if name in sys.modules])"
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert told.stdout.split() == []


@MODULE
def test_nothing_prints_but_the_command_line_its_runs_and_the_dashboard(name):
    printing = {around for function, around in calls(SOURCES[name]) if function == "print"}
    allowed = {
        "__main__": {"train", "sample", "measure", "bench", "page", "directions", "main"},
        "runs": {"play"},
        "dashboard": {"Live"},
    }
    assert printing <= allowed.get(name, set())


def test_a_call_that_could_unpickle_is_seen():
    assert dangerous("torch.load(path)\nnp.load(path, allow_pickle=False)") == {"torch.load"}
    assert dangerous("np.load(path)") == {"np.load(path)"}
    assert dangerous("def f():\n    np.load(path, allow_pickle=True)") == {"np.load(path, allow_pickle=True)"}


@MODULE
def test_nothing_is_unpickled_or_run(name):
    """A checkpoint, a weights file or an array can't run code when it is opened."""
    assert dangerous(SOURCES[name]) == set()
    libraries = {module.split(".")[0] for module in imports(ast.parse(SOURCES[name]))}
    assert libraries & {"pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"} == set()


def undocumented(module):
    """The public functions, classes and methods of a module that have no docstring of their own."""
    for name, thing in inspect.getmembers(module, lambda t: inspect.isfunction(t) or inspect.isclass(t)):
        if name.startswith("_") or thing.__module__ != module.__name__:
            continue
        if not thing.__doc__:
            yield name
        for inner, method in vars(thing).items() if inspect.isclass(thing) else ():
            known = inner.startswith("_") or inner == "forward"  # what these do is Python's or torch's to say
            if inspect.isfunction(method) and not known and not method.__doc__:
                yield f"{name}.{inner}"


@MODULE
def test_everything_public_says_what_it_is(name):
    module = importlib.import_module(f"gan_lib.{name}")
    assert module.__doc__
    # what these do, --help says, or the name
    known = {
        "__main__": {"train", "sample", "measure", "bench", "page", "directions", "main"},
        "runs": {"epoch_of"},
    }
    assert set(undocumented(module)) - known.get(name, set()) == set()


def test_the_package_is_small_enough_to_read():
    lines = {name: len(source.splitlines()) for name, source in SOURCES.items() if name != "checks"}  # grows by lesson
    assert {name: count for name, count in lines.items() if count > (300 if name == "__main__" else 250)} == {}
    assert sum(lines.values()) < 5330


def test_the_package_itself_holds_its_version_and_nothing_else():
    body = ast.parse((FOLDER / "__init__.py").read_text(encoding="utf-8")).body
    assert [ast.unparse(node).split(" ")[0] for node in body[1:]] == ["__version__"]
