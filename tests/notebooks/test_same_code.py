"""What a lesson writes out by hand is what gan_lib exports.

Only those statements of a lesson run that the compared name needs; they are found by the names that they use. What a
lesson defines under a name from a module that it imports is compared source by source, unless `SAME` says how.
"""

import ast
import copy
import inspect
import symtable
import textwrap
from functools import partial
from types import FunctionType

import pytest
import torch

from gan_lib import attributes, data, evaluation, models, training
from gan_lib.checks import train_a_dcgan
from tests.notebooks import contract
from tools import make_losses, make_study

LESSONS = contract.all_lessons()
CPU = torch.device("cpu")


def statements(lesson):
    """The top-level statements of a lesson's own code, without exercises and checks."""
    cells = [cell for cell in lesson.code if not {"bootstrap", "exercise", "check"} & set(contract.tags(cell))]
    return [node for cell in cells for node in contract.parse(cell.source).body]


def binds(node):
    """The names that a statement binds by def, class, import or assignment."""
    if isinstance(node, ast.Import | ast.ImportFrom):
        return {(alias.asname or alias.name).split(".")[0] for alias in node.names}
    targets = node.targets if isinstance(node, ast.Assign) else filter(None, [getattr(node, "target", None)])
    names = {part.id for target in targets for part in ast.walk(target) if isinstance(part, ast.Name)}
    return names | {node.name} if isinstance(node, ast.FunctionDef | ast.ClassDef) else names


def needs(node):
    """The global names that a statement uses, also inside of the functions that it defines."""

    def used(table):
        own = {symbol.get_name() for symbol in table.get_symbols() if symbol.is_global() and symbol.is_referenced()}
        return own.union(*(used(child) for child in table.get_children()))

    return used(symtable.symtable(ast.unparse(node), "lesson", "exec"))


def world(lesson, *names, **given):
    """The lesson's values of these names, after what they need has run; the `given` values are not computed.

    Each statement starts from the random state of seed 0.
    """
    wanted, chosen, body = set(names), set(), statements(lesson)
    while new := {i for i, node in enumerate(body) if binds(node) & (wanted - given.keys())} - chosen:
        chosen |= new
        wanted |= set().union(*(needs(body[i]) for i in new))
    namespace = dict(given)
    for i in sorted(chosen):
        seeded(exec, compile(ast.Module([body[i]], []), lesson.path.name, "exec"), namespace)
        namespace |= given
    return namespace


def defined(number, *names, **given):
    """The values of these names in the `world` of the lesson with this number."""
    [lesson] = [lesson for lesson in LESSONS if lesson.number == number]
    namespace = world(lesson, *names, **given)
    return [namespace[name] for name in names]


def seeded(function, *arguments):
    """What a function returns from the random state of seed 0; the state of now is kept."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return function(*arguments)


def bare(node):
    """A definition as text without its name, docstrings and decorators."""
    node = copy.deepcopy(node)
    node.name, node.decorator_list = "_", []
    for part in ast.walk(node):
        if isinstance(part, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(part) is not None:
            part.body = part.body[1:] or [ast.Pass()]
        if isinstance(part, ast.FunctionDef):  # the package checks the images that enter; a lesson need not
            part.body = [each for each in part.body if ast.unparse(each) != "data.check_images(images)"]
    return ast.unparse(node)


def same_source(exported, lesson, name):
    """The same definition apart from docstrings and comments."""
    mine = [node for node in statements(lesson) if getattr(node, "name", None) == name]
    theirs = ast.parse(textwrap.dedent(inspect.getsource(exported))).body
    assert [bare(node) for node in mine] == [bare(node) for node in theirs]


def same_net(make, lesson, name, **given):
    """The same layers, with these `given` values. What draws their weights is compared by source."""
    assert str(world(lesson, name, device=CPU, **given)[name]) == str(make())


def same_iteration(lesson, name):
    """Three of lesson 02's iterations, with the solution as G's step and with the lesson's reference, give the results, the
    weights and the EMA of `training.iteration`.
    """
    names = ("iteration", "cross_entropy", "ema_generator", "rate", "betas", "start")
    for code in ("my_generator_step = ...", lesson.exercises[0].solution_code):
        exec(code, given := world(lesson, "cross_entropy"))
        mine = world(lesson, *names, device=CPU, my_generator_step=given["my_generator_step"])
        game = training.Game(*mine["start"], latent_dim=mine["latent_dim"], batch_size=mine["batch_size"], g_lr=mine["rate"],
                             d_lr=mine["rate"], betas=mine["betas"])  # fmt: skip
        game.dtype = torch.float32
        batches = data.batches(data.load().images, game.batch_size)
        for step, real in zip((0, 1, 20_000), batches, strict=False):  # the last is after the warm-up of the EMA
            game.step = step
            with torch.random.fork_rng(devices=[]):
                torch.random.set_rng_state(game.rng.get_state())
                results = mine["iteration"](step, real)
            torch.testing.assert_close(results, training.iteration(game, real), rtol=0, atol=1e-5)
        nets = {"generator": game.generator, "discriminator": game.discriminator, "ema_generator": game.average}
        for part, net in nets.items():
            torch.testing.assert_close(mine[part].state_dict(), net.state_dict(), rtol=0, atol=3e-5)


def same_distance(lesson, name):
    """Lesson 07's distance of two sets of features is `evaluation`'s of their statistics, also for few features."""
    rng = torch.Generator().manual_seed(0)
    for n in (300, 12):
        a = torch.randn(n, 20, generator=rng) * torch.rand(20, generator=rng)
        b = torch.rand(200, 20, generator=rng) ** 2
        theirs = evaluation.frechet_distance(evaluation.gaussian(a), evaluation.gaussian(b))
        assert world(lesson, name)[name](a, b) == pytest.approx(theirs, rel=1e-6)


SAME = {
    "02": {
        "generator": partial(same_net, models.mlp_generator),
        "discriminator": partial(same_net, models.mlp_discriminator),
        "iteration": same_iteration,
        "discriminator_step": same_iteration,
    },
    "03": {
        "generator": partial(same_net, lambda: models.dcgan_generator(width=24), block=train_a_dcgan.reference_block),
        "discriminator": partial(same_net, lambda: models.dcgan_discriminator(width=24)),
    },
    "07": {"distance": same_distance},
    "09": {"clip_weights": partial(same_source, make_losses.clip_weights)},
    "14": {name: partial(same_source, getattr(make_study, name)) for name in ("distances", "suggest", "objective")},
}


def exported(lesson):
    """{name: object} of the functions and classes in the modules of gan_lib that a lesson imports."""
    namespace = {}
    for node in statements(lesson):
        if isinstance(node, ast.ImportFrom):
            exec(ast.unparse(node), namespace)
    modules = [module for module in namespace.values() if getattr(module, "__name__", "").startswith("gan_lib.")]
    found = [pair for module in modules for pair in vars(module).items()]
    ours = lambda value: isinstance(value, FunctionType | type) and value.__module__.startswith("gan_lib.")
    return {name: value for name, value in found if ours(value)}


def comparisons(lesson):
    """{name: how to compare it} for a lesson."""
    public = exported(lesson)
    own = [node.name for node in statements(lesson) if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    return {name: partial(same_source, public[name]) for name in own if name in public} | SAME.get(lesson.number, {})


TRIPLES = [
    pytest.param(compare, lesson, name, id=f"{lesson.number}-{name}")
    for lesson in LESSONS
    for name, compare in comparisons(lesson).items()
]


@pytest.mark.parametrize(("compare", "lesson", "name"), TRIPLES)
def test_lesson_defines_what_the_package_exports(compare, lesson, name):
    compare(lesson, name)


def test_lessons_write_out_what_they_then_import():
    assert {lesson.number for lesson in LESSONS if comparisons(lesson)} >= {"05", *SAME}


WRONG = [
    (same_source, attributes.slant, "05", "thickness"),
    (same_net, partial(models.mlp_generator, width=99), "02", "generator"),
]


@pytest.mark.parametrize(("compare", "other", "number", "name"), WRONG)
def test_other_code_fails(compare, other, number, name):
    [lesson] = [lesson for lesson in LESSONS if lesson.number == number]
    with pytest.raises(AssertionError):
        compare(other, lesson, name)
