"""Complete, named recipes, and the generators that they gave. Introduced in lesson 03.

A recipe is data: `dataclasses.replace(RECIPES["dcgan"], width=64)` is another one.
"""

from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from gan_lib import checkpoint, conditional, models, settings, training
from gan_lib.files import bundled_weights, manifest
from gan_lib.losses import LOSSES, PENALTIES


@dataclass(frozen=True)
class Recipe:
    """All that decides a run, but for the data and the seed. The defaults are what most recipes share.

    Raises `ValueError` with one sentence where a field is outside `settings.RANGES`, or names nothing that there is.
    """

    name: str
    nets: str  # a pair of models.PAIRS
    latent_dim: int = 64  # length of z
    width: int = 256  # units of a hidden layer, or channels of the first convolution
    d_width: int | None = None  # that of the discriminator, where it is another
    channels: int = 1  # of an image: 3 for stacked digits; "dcgan-plain" can
    classes: int = 0  # of the labels that both players are told; 0: they are told none
    loss: str = "non-saturating"  # a pair of losses.LOSSES: binary cross-entropy on logits
    gamma: float = 0.0  # twice the weight of the penalty on D's slopes; 0: none
    penalty: str = "R1 + R2"  # one of losses.PENALTIES
    penalty_every: int = 1  # it is the dearest part of a step; at every k-th step it counts k times
    batch_size: int = 64
    epochs: int = 20
    g_lr: float = 2e-4  # as Radford et al.; with the moving average, short runs gain from 1e-3 and more
    d_lr: float = 2e-4
    anneal: bool = False  # let both fall to a hundredth after a quarter of the epochs (training.anneal)
    betas: tuple = (0.5, 0.999)  # β1 = 0.5 forgets old gradients sooner, for the opponent moves meanwhile
    truncation: float = 1.0  # the default ψ of sampling: z from N(0, ψ²)
    ema: float = 0.999  # the moving average looks back over about 1 / (1 - ema) steps

    def __post_init__(self):
        numbers = {field: value for field, value in vars(self).items() if field in settings.RANGES}
        settings.check(**numbers | {"d_width": 1 if self.d_width is None else self.d_width})
        known = {"nets": models.PAIRS, "loss": LOSSES, "penalty": PENALTIES, "anneal": (False, True)}
        for field, choices in known.items():
            if (value := getattr(self, field)) not in list(choices):
                raise ValueError(f"{field} must be one of: {', '.join(map(str, choices))}; not {value!r:.80}.")
        if not isinstance(self.name, str) or not self.name.isprintable() or Path(self.name or "/").name != self.name:
            raise ValueError(f"The name of a recipe must be one that a file can have, not {self.name!r:.80}.")
        if self.channels > 1 and self.nets != "dcgan-plain":
            raise ValueError(f'Only the nets "dcgan-plain" make images of {self.channels} channels, not "{self.nets}".')
        object.__setattr__(self, "betas", tuple(self.betas))  # JSON knows lists only

    @property
    def steps(self):
        """The iterations in its epochs of MNIST's 60,000 training images. `runs.train` counts those of other data."""
        return self.epochs * (60_000 // self.batch_size)

    def players(self):
        """A new generator and a new discriminator, from torch's random state."""
        make_generator, make_discriminator = models.PAIRS[self.nets]
        more = {} if self.channels == 1 else {"channels": self.channels}
        generator = make_generator(self.latent_dim, self.width, **more)
        discriminator = make_discriminator(self.d_width or self.width, **more)
        if self.classes:
            generator = conditional.LabelledGenerator(generator, self.classes)
            discriminator = conditional.ProjectionDiscriminator(discriminator, self.classes)
        return generator, discriminator

    def game(self, seed=0, device="cpu", horizon=None):
        """A new `Game` at step 0: nets, noise and order of the data all follow from `seed`.

        Where the recipe anneals, the learning rates fall over `horizon` iterations (None: `steps`).
        """
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)  # torch.manual_seed would reseed every GPU as well
            generator, discriminator = (net.to(device) for net in self.players())
        return training.Game(generator, discriminator, latent_dim=self.latent_dim, loss=LOSSES[self.loss],
                    penalty=PENALTIES[self.penalty], gamma=self.gamma, penalty_every=self.penalty_every,
                    batch_size=self.batch_size, g_lr=self.g_lr, d_lr=self.d_lr, betas=self.betas, ema=self.ema,
                    truncation=self.truncation,
                    horizon=(horizon or self.steps) if self.anneal else None, seed=seed)  # fmt: skip


# Some minutes on one thread of a CPU: short enough to train each of them several times
SMALL = {"width": 24, "batch_size": 32, "epochs": 4, "anneal": True}

RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe("mlp-sigmoid", "mlp-sigmoid", latent_dim=128, batch_size=32, betas=(0.9, 0.999)),
        Recipe("mlp", "mlp", batch_size=100, epochs=200, betas=(0.9, 0.999)),
        Recipe("dcgan", "dcgan", width=32),
        # The best digits for the time: R3GAN's objective (Huang et al. 2025, arXiv 2501.05441) on a DCGAN's layers.
        Recipe(
            "best",
            "mapped",
            width=40,
            d_width=32,
            loss="relativistic",
            gamma=1.0,  # with its slopes held in check D bears high rates and small batches
            penalty_every=4,  # Karras et al. 2020 (arXiv 1912.04958), appendix B: no worse, and cheaper
            batch_size=32,  # at these sizes steps count, and not images
            epochs=24,
            g_lr=2e-3,
            d_lr=1e-3,
            anneal=True,  # at rates this high the last bit of quality comes when they fall
            betas=(0.0, 0.99),
        ),
        # Digits on request: `best`, shorter, with players that are told the label.
        Recipe(
            "cgan",
            "mapped",
            classes=10,
            width=32,
            d_width=48,  # wide enough to tell within a class
            loss="relativistic",  # a real and a fake digit of the same class make a pair
            gamma=1.0,
            penalty_every=4,
            batch_size=32,
            epochs=12,
            truncation=0.9,  # 98.7 % of the digits are read as their label then, 97.4 % at 1, for some recall (lesson 08)
            g_lr=2e-3,
            d_lr=1e-3,
            anneal=True,
            betas=(0.0, 0.99),
        ),
        # One for each family of losses, to compare in lesson 07: small, and short enough to train several.
        Recipe("lsgan", "dcgan", loss="least squares", g_lr=2e-3, d_lr=2e-3, **SMALL),
        Recipe(
            "hinge-sn",
            "dcgan-spectral",
            loss="hinge",
            g_lr=2e-3,
            d_lr=4e-3,  # spectral norm holds D back, so that it bears, and needs, the higher rate
            betas=(0.0, 0.99),  # β1 = 0 as Miyato et al.
            **SMALL,
        ),
        Recipe(
            "wgan-gp",
            "dcgan-plain",
            loss="Wasserstein",
            penalty="WGAN-GP",
            gamma=20.0,  # lambda = 10, as Gulrajani et al.
            g_lr=2e-3,
            d_lr=2e-3,  # theirs takes five steps of D for each of G's; here one, at 20 times their rate of 1e-4
            betas=(0.0, 0.9),  # as theirs
            **SMALL,
        ),
        Recipe(
            "r3gan",
            "residual",
            loss="relativistic",
            gamma=1.0,  # scanned at MNIST's size: 0.2 and 5 are worse after 600 steps
            penalty_every=2,
            g_lr=1e-3,
            d_lr=1e-3,  # at 2e-3, with the penalty at every fourth step, the game came apart
            betas=(0.0, 0.99),
            **SMALL | {"width": 16},  # its blocks have two more convolutions each
        ),
        # What the lessons train while you wait: higher rates, for the first minute of a run.
        Recipe("mlp-quick", "mlp", batch_size=100, epochs=10, g_lr=1e-3, d_lr=1e-3),
        Recipe("dcgan-quick", "dcgan", width=24, batch_size=32, epochs=2, g_lr=2e-3, d_lr=1e-3),
    )
}


def get(name):
    """The recipe called `name`. Raises `ValueError` that lists those there are."""
    if name not in RECIPES:
        raise ValueError(f"There is no recipe called {name!r}; choose one of: {', '.join(RECIPES)}.")
    return RECIPES[name]


def resume(path, device="cpu"):
    """The `Game` saved at `path` by the command line or by `save`, with its recipe, ready to go on.

    Raises as `checkpoint.load` does, before nets are built whose sizes are not those in the file.
    """
    notes = checkpoint.header(path)["notes"]
    if "recipe" not in notes:
        raise ValueError(f"{path} does not say its recipe: build its game, then use checkpoint.load(game, path).")
    recipe = from_json(notes["recipe"], path)
    with torch.device("meta"):  # shapes without memory
        checkpoint.read(path, recipe.players())
    return checkpoint.load(recipe.game(device=device), path)


def from_json(fields, path="the file"):
    """The recipe that `asdict` wrote. Raises `ValueError` that names `path` where this version does not know such a recipe."""
    try:
        before = 0.9 if dict(fields).get("classes") else 1.0  # ψ in files from when it was no field
        return Recipe(**{"truncation": before} | fields)
    except (TypeError, ValueError) as error:
        raise ValueError(f"This version of gan_lib does not know the recipe in {path}: {error}") from error


def save(game, recipe, path, **notes):
    """`checkpoint.save` with the recipe noted, so that `resume` can rebuild the game from the file alone."""
    checkpoint.save(game, path, recipe=asdict(recipe), **notes)


def pretrained(name, device="cpu"):
    """The averaged generator that the recipe `name` gave, as a frozen `models.Sampler`.

    Made by `make reference`; weights/manifest.json says with which seed, in how many steps and seconds. The file is checked
    by its SHA-256. Raises `ValueError` where there are no weights of that name, or they are damaged.
    """
    if name not in pretrained_names():
        raise ValueError(
            f"There is no pretrained generator called {name!r}; choose one of: {', '.join(pretrained_names())}."
        )
    tensors, about = bundled_weights(name)
    recipe = from_json(about["recipe"])
    generator, _ = recipe.players()
    generator.load_state_dict(tensors)
    return models.Sampler(generator.to(device), recipe.latent_dim, recipe.truncation)


def pretrained_names():
    """The recipes whose generators come with the package."""
    return [name for name, about in manifest().items() if "recipe" in about]


def checkpoints_of(source):
    """The checkpoints that `source` names, in the order of their steps: of the folder of a run, or a single file.

    [] where `source` is the name of a pretrained generator, which goes before a file or folder of that name in the working
    directory: "./dcgan" names the folder. Raises `ValueError` for a folder that holds no checkpoint.
    """
    source, path = str(source), Path(source)
    if source in pretrained_names() or (path.name == source and not path.suffix and not path.exists()):
        return []
    if not path.is_dir():
        return [path]
    if not (paths := checkpoint.in_order(path / "checkpoints")):
        raise ValueError(f"{source} holds no checkpoint.")
    return paths


def sampler(source, device="cpu"):
    """The frozen generator that `source` names (see `checkpoints_of`); of a run's folder, the newest."""
    paths = checkpoints_of(source)
    return resume(paths[-1], device).sampler() if paths else pretrained(source, device)
