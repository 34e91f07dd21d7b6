"""What a lesson writes out by hand is what gan_lib exports.

Of a lesson only those statements run that the compared name needs, found by following the names that they use.
Whatever a lesson defines under a name of gan_lib is compared source by source, unless `SAME` says how else.
"""

import ast
import copy
import importlib
import inspect
import symtable
import textwrap
from pathlib import Path

import pytest
import torch

import gan_lib
from gan_lib import evaluation, models, training
from gan_lib.studies import toys
from tests.notebooks import contract, example
from tests.notebooks.example import code

LESSONS = contract.all_lessons()
MODULES = [path.stem for path in Path(gan_lib.__file__).parent.glob("[a-z]*.py")]


# From a notebook to values


def statements(lesson):
    """The top-level statements of a lesson's own code, without exercises and checks."""
    cells = [cell for cell in lesson.code if not {"bootstrap", "exercise", "check"} & set(contract.tags(cell))]
    return [node for cell in cells for node in contract.parsed(cell.source).body]


def binds(node):
    """The names that a statement binds: by def, class, import or assignment; none for others."""
    if isinstance(node, ast.Import | ast.ImportFrom):
        return {(alias.asname or alias.name).split(".")[0] for alias in node.names}
    return contract.defined(ast.Module([node], []))


def needs(node):
    """The global names that a statement uses, in the functions that it defines too."""

    def used(table):
        own = {symbol.get_name() for symbol in table.get_symbols() if symbol.is_global() and symbol.is_referenced()}
        return own.union(*(used(child) for child in table.get_children()))

    return used(symtable.symtable(ast.unparse(node), "lesson", "exec"))


def world(lesson, *names, **given):
    """The lesson's values of these names, after what they need has run; the `given` ones are not computed.

    Each statement begins with the random state of seed 0.
    """
    wanted, chosen, body = set(names), set(), statements(lesson)
    while new := {i for i, node in enumerate(body) if binds(node) & (wanted - given.keys())} - chosen:
        chosen |= new
        wanted |= set().union(*(needs(body[i]) for i in new))
    namespace = dict(given)
    with torch.random.fork_rng(devices=[]):
        for i in sorted(chosen):
            torch.manual_seed(0)
            exec(compile(ast.Module([body[i]], []), lesson.path.name, "exec"), namespace)
            namespace |= given
    return namespace


def exported(dotted):
    """An object of gan_lib: `exported("latent.slerp")`."""
    module, name = dotted.split(".")
    return getattr(importlib.import_module(f"gan_lib.{module}"), name)


def bare(node):
    """A definition without its name, docstring, decorators and annotations, as comparable text."""
    node = copy.deepcopy(node)
    node.name, node.decorator_list = "_", []
    for part in ast.walk(node):
        if isinstance(part, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(part) is not None:
            part.body = part.body[1:] or [ast.Pass()]
        if isinstance(part, ast.FunctionDef):  # the package checks images where they enter, a lesson needs not
            part.body = [each for each in part.body if ast.unparse(each) != "data.check_images(images)"]
        for field in ("annotation", "returns"):
            if hasattr(part, field) and not isinstance(part, ast.AnnAssign):
                setattr(part, field, None)
    return ast.unparse(node)


# How to compare: each makes a function (lesson, name), which asserts


def same_source(dotted):
    """The same definition, but for docstring, comments and annotations."""

    def compare(lesson, name):
        mine = [node for node in statements(lesson) if getattr(node, "name", None) == name]
        theirs = ast.parse(textwrap.dedent(inspect.getsource(exported(dotted)))).body
        assert [bare(node) for node in mine] == [bare(node) for node in theirs]

    return compare


def same_results(dotted, *arguments):
    """The same results for each tuple of arguments, bit for bit."""

    def compare(lesson, name):
        mine, theirs = world(lesson, name)[name], exported(dotted)
        for these in arguments:
            assert_equal(mine(*these), theirs(*these))

    return compare


def same_net(make, init=None):
    """The same layers and, from the same seed, the same weights; `init` is what the lesson applies to its net."""

    def compare(lesson, name):
        found = world(lesson, name, *filter(None, [init]), device=torch.device("cpu"))
        mine = found[name]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            theirs = make()
            for net, start in ((mine, found.get(init)), (theirs, exported(f"models.{init}") if init else None)):
                torch.manual_seed(0)
                net.apply(start or (lambda layer: None))
        assert str(mine) == str(theirs)
        assert_equal(mine.state_dict(), theirs.state_dict())

    return compare


def assert_equal(mine, theirs):
    torch.testing.assert_close(mine, theirs, rtol=0, atol=0)


def same_steps(lesson, name):
    """Three rounds of both steps of lesson 02 give the losses and the weights that `training`'s steps give."""
    names = ("generator", "discriminator", "d_optimizer", "g_optimizer", "discriminator_step", "generator_step")
    cpu = torch.device("cpu")
    mine, start = world(lesson, *names, device=cpu), world(lesson, "generator", "discriminator", device=cpu)
    options = mine["g_optimizer"].defaults
    game = training.Game(start["generator"], start["discriminator"], latent_dim=64, batch_size=20, g_lr=options["lr"],
                         d_lr=mine["d_optimizer"].defaults["lr"], betas=options["betas"])  # fmt: skip
    game.dtype = torch.float32
    rng = torch.Generator().manual_seed(0)
    for _ in range(3):
        real, z = torch.rand(20, 1, 28, 28, generator=rng) * 2 - 1, torch.randn(20, 64, generator=rng)
        for step, inputs in (("discriminator_step", (real, z)), ("generator_step", (z,))):
            ours, _, _ = getattr(training, step)(game, real, game.generator(z))
            torch.testing.assert_close(mine[step](*inputs), ours)
    for net in ("generator", "discriminator"):
        torch.testing.assert_close(mine[net].state_dict(), getattr(game, net).state_dict(), rtol=0, atol=1e-5)
    assert not mine["generator"][0].weight.equal(world(lesson, "generator", device=cpu)["generator"][0].weight)


def same_distance(lesson, name):
    """Lesson 06's distance of two piles of features is `evaluation`'s, of their statistics; few features too."""
    rng = torch.Generator().manual_seed(0)
    for n in (300, 12):
        a, b = (
            torch.randn(n, 20, generator=rng) * torch.rand(20, generator=rng),
            torch.rand(200, 20, generator=rng) ** 2,
        )
        theirs = evaluation.frechet_distance(evaluation.gaussian(a), evaluation.gaussian(b))
        assert world(lesson, name)[name](a, b) == pytest.approx(theirs, rel=1e-6)


def same_moves(lesson, name):
    """Lesson 00's moves are the steps of `training`, each on new points and new noise."""
    games = []
    for _ in range(2):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            nets = toys.nets(width=8)
        games.append(training.Game(*nets, latent_dim=2, batch_size=16, gamma=0.25, g_lr=0.02, d_lr=0.01))
    mine, theirs = games
    world(lesson, name)[name](mine, toys.ring(), "DDG")
    for step in (training.discriminator_step, training.discriminator_step, training.generator_step):
        real, z = toys.ring().sample(16, theirs.rng), theirs.noise(16)
        step(theirs, real, theirs.generate(z))
    for net in ("generator", "discriminator"):
        assert_equal(getattr(mine, net).state_dict(), getattr(theirs, net).state_dict())


SAME = {
    "00": {"play": same_moves},
    "02": {
        "generator": same_net(models.mlp_generator),
        "discriminator": same_net(models.mlp_discriminator),
        "discriminator_step": same_steps,
        "generator_step": same_steps,
    },
    "03": {
        "generator": same_net(lambda: models.dcgan_generator(width=24), "normal_init"),
        "discriminator": same_net(lambda: models.dcgan_discriminator(width=24), "normal_init"),
    },
    "06": {"distance": same_distance},
}


def entries(lesson):
    """{name: how to compare} for a lesson: by source where the name is one of gan_lib's, and what `SAME` adds."""
    public = {
        name: f"{module}.{name}"
        for module in MODULES
        for name, value in vars(importlib.import_module(f"gan_lib.{module}")).items()
        if getattr(value, "__module__", None) == f"gan_lib.{module}"
        and inspect.isroutine(value) | inspect.isclass(value)
    }
    own = [node.name for node in statements(lesson) if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    return {name: same_source(public[name]) for name in own if name in public} | SAME.get(lesson.number, {})


@pytest.mark.parametrize(
    ("lesson", "name", "compare"),
    [
        pytest.param(lesson, name, compare, id=f"{lesson.number}-{name}")
        for lesson in LESSONS
        for name, compare in entries(lesson).items()
    ],
)
def test_lesson_defines_what_the_package_exports(lesson, name, compare):
    compare(lesson, name)


def test_lessons_write_out_what_they_then_import():
    assert {lesson.number for lesson in LESSONS if entries(lesson)} >= {"02", "03", "05", "06"}
    assert SAME.keys() <= {lesson.number for lesson in LESSONS}


# The mechanism, on the example

LERP = """def lerp(a, b, t):
    # another comment
    t = torch.as_tensor(t, dtype=a.dtype, device=a.device).unsqueeze(-1)
    return (1 - t) * a + t * b"""
OTHER_LERP = """two = 2


def lerp(a, b, t):
    t = torch.as_tensor(t)[..., None]
    return a * (1 - t) + two * t * b / 2"""
NET = """hidden = 16
generator = nn.Sequential(
    nn.Linear(8, hidden), nn.ReLU(),
    nn.Linear(hidden, hidden), nn.ReLU(),
    nn.Linear(hidden, 784), nn.Tanh(),
    nn.Unflatten(1, (1, 28, 28)),
)
raise LookupError("never reached: nothing needs it")"""


@pytest.fixture
def lesson_with(tmp_path):
    def make(source):
        notebook = example.make()
        imports = next(cell for cell in notebook.cells if "imports" in contract.tags(cell))
        imports.source += "\nimport torch\nfrom torch import nn"
        notebook.cells.append(code(source))
        return contract.Lesson(example.write(tmp_path, notebook))

    return make


A, B = torch.tensor([1.0, 2.0]), torch.tensor([-1.0, 0.0])
by_source, by_results = same_source("latent.lerp"), same_results("latent.lerp", (A, B, 0.25), (A, B, torch.rand(3)))


@pytest.mark.parametrize(("compare", "source"), [(by_source, LERP), (by_results, LERP), (by_results, OTHER_LERP)])
def test_same_function_passes(compare, source, lesson_with):
    compare(lesson_with(source), "lerp")


@pytest.mark.parametrize(
    ("compare", "source"),
    [
        (by_source, OTHER_LERP),
        (by_source, LERP.replace("1 - t", "2 - t")),
        (by_source, LERP + "\n\n\n" + LERP),
        (by_source, "pass"),
        (by_results, LERP.replace("1 - t", "2 - t")),
    ],
)
def test_other_function_fails(compare, source, lesson_with):
    with pytest.raises(AssertionError):
        compare(lesson_with(source), "lerp")


INIT = """


def normal_init(layer):
    nn.init.zeros_(getattr(layer, "bias", torch.ones(1)))"""


@pytest.mark.parametrize(
    ("source", "init", "same"),
    [
        (NET, None, True),
        (NET.replace("hidden), nn.ReLU()", "hidden), nn.LeakyReLU()"), None, False),
        (INIT.strip() + "\n\n\n" + NET, "normal_init", False),
    ],
)
def test_net_is_compared_layer_by_layer_and_weight_by_weight(source, init, same, lesson_with):
    compare, lesson = same_net(lambda: models.mlp_generator(8, 16), init), lesson_with(source)
    if same:
        compare(lesson, "generator")
    else:
        with pytest.raises(AssertionError):
            compare(lesson, "generator")


def test_namesakes_are_found(lesson_with):
    assert entries(lesson_with(LERP)).keys() == {"lerp"}
    assert entries(lesson_with(NET)).keys() == set()


def test_only_what_is_needed_runs(lesson_with):
    found = world(lesson_with(NET + "\nlater = hidden + 1"), "later", "double")
    assert found["later"] == 17
    assert "generator" not in found
    assert world(lesson_with(NET), "hidden", hidden=3)["hidden"] == 3
