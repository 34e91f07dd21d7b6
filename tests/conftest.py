"""What the tests share: tiny images, tiny games, and the whole state of a game as plain data."""

import atexit
import os
import signal
import tempfile

import matplotlib
import matplotlib.pyplot as plt
import pytest
import torch
from torch import nn
from torch.nn.utils.parametrize import is_parametrized

from gan_lib import hardware, models
from gan_lib.recipes import Recipe

_cache = tempfile.TemporaryDirectory(prefix="gan_lib_data_")  # the tests' own, also for the processes that they start
atexit.register(_cache.cleanup)
os.environ |= {"GAN_LIB_DATA": _cache.name, "OMP_NUM_THREADS": "1"}
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell starts background jobs with Ctrl-C ignored
matplotlib.use("Agg")
torch.set_num_threads(1)  # the nets here are so small that threads only wait for each other


@pytest.fixture(autouse=True)
def _afresh():
    """A test draws from seed 0 of PyTorch, whatever ran before it, and leaves no figure open."""
    torch.manual_seed(0)
    yield
    plt.close("all")


@pytest.fixture(autouse=True)
def _gpu_tests_are_skipped_without_one(request):
    if request.node.get_closest_marker("gpu") and not hardware.works("cuda"):
        pytest.skip("there is no GPU that PyTorch can use")


@pytest.fixture
def images():
    """48 random images, uint8 [48, 28, 28]."""
    return torch.randint(0, 256, (48, 28, 28), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def new_game():
    """Make a game of tiny nets, in float32 on every machine: `new_game(nets, seed=..., **what else a recipe says)`."""

    def make(nets="mlp", seed=0, dtype=torch.float32, **changes):
        game = Recipe("tiny", nets, **{"latent_dim": 5, "width": 6, "batch_size": 8} | changes).game(seed)
        game.dtype = dtype
        return game

    return make


@pytest.fixture
def new_sampler():
    """Make a sampler whose images differ clearly from each other: `new_sampler(latent_dim)`."""

    def make(latent_dim):
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.manual_seed(0)
            generator = models.mlp_generator(latent_dim, 32)
            [parameter.mul_(2.5) for parameter in generator.parameters()]
        return models.Sampler(generator, latent_dim)

    return make


@pytest.fixture
def conditional(new_game):
    """A class-conditional sampler with 10 classes, whose images depend on the label."""
    game = new_game(classes=10)
    torch.nn.init.normal_(game.average.embedding.weight)
    return game.sampler()


@pytest.fixture(scope="session")
def liven():
    """`liven(net, x)` gives an untrained net BatchNorm statistics and outputs that differ clearly, in eval mode."""

    def lively(net, x):
        norms = [part for part in net.modules() if isinstance(part, (nn.BatchNorm1d, nn.BatchNorm2d))]
        with torch.random.fork_rng(), torch.no_grad():
            torch.manual_seed(0)
            for norm in norms:
                norm.momentum = None  # the statistics of all batches so far
                norm.weight.uniform_(0.5, 1.5)
                norm.bias.uniform_(-0.5, 0.5)
            net.train()(x)
            last = [part for part in net.modules() if isinstance(part, (nn.Linear, nn.Conv2d, nn.ConvTranspose2d))][-1]
            while net.eval()(x).std() < 0.5 and not is_parametrized(last):  # spectral norm would undo it
                last.weight.mul_(1.5)
        return net

    return lively


@pytest.fixture
def state_of():
    """Everything that a game consists of, as one dict of copied tensors and numbers; the clock is left out."""

    def state(game):
        held = {"rng": game.rng.get_state(), "step": torch.tensor(game.step), "seed": torch.tensor(game.seed)}
        for name in ("generator", "discriminator", "average"):
            held |= {f"{name}.{key}": value for key, value in getattr(game, name).state_dict().items()}
        for name in ("g_optimizer", "d_optimizer"):
            for i, slots in getattr(game, name).state_dict()["state"].items():
                held |= {f"{name}.{i}.{key}": value for key, value in slots.items()}
        return {key: value.detach().clone() for key, value in held.items()}

    return state


@pytest.fixture
def differences():
    """The names under which two dicts of tensors are not equal bit for bit."""
    return lambda a, b: sorted(k for k in a.keys() | b.keys() if k not in a or k not in b or not a[k].equal(b[k]))
