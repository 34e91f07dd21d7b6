"""Named recipes: everything that decides a training run, as data; and the pretrained generators. Introduced in lesson 03."""

from dataclasses import dataclass
from pathlib import Path

import torch

from gan_lib import UserError, models, training
from gan_lib.files import bundled_weights, manifest
from gan_lib.losses import LOSSES, PENALTIES

PAIRS = {  # name: (generator, discriminator)
    "mlp": (models.mlp_generator, models.mlp_discriminator),
    "mlp-sigmoid": (models.mlp_sigmoid_generator, models.mlp_relu_discriminator),
    "dcgan": (models.dcgan_generator, models.dcgan_discriminator),
    "mapped": (models.mapped_generator, models.plain_discriminator),
    "dcgan-plain": (models.dcgan_generator, models.plain_discriminator),
    "dcgan-spectral": (models.dcgan_generator, models.spectral_discriminator),
    "residual": (models.residual_generator, models.residual_discriminator),
}


@dataclass(frozen=True)
class Recipe:
    """All that decides a run, except the data and the seed. Raises `UserError` for a field outside its range or choices."""

    name: str
    nets: str  # a name in PAIRS
    latent_dim: int = 64  # length of z
    width: int = 256  # units of a hidden layer, or channels of the first convolution
    d_width: int | None = None  # the same of the discriminator; None: as `width`
    channels: int = 1  # of an image: 3 for stacked digits ("dcgan-plain" only)
    classes: int = 0  # number of labels in a conditional GAN; 0: not conditional
    loss: str = "non-saturating"  # a name in losses.LOSSES: binary cross-entropy on logits
    gamma: float = 0.0  # twice the weight of the gradient penalty; 0: none
    penalty: str = "R1 + R2"  # a name in losses.PENALTIES
    penalty_every: int = 1  # compute it only in every k-th iteration, with weight k: it is the most expensive part
    batch_size: int = 64
    epochs: int = 20
    g_lr: float = 2e-4  # as Radford et al.; with the EMA, short runs do better at 1e-3 or above
    d_lr: float = 2e-4
    anneal: bool = False  # learning-rate decay: see training.Game.schedule
    betas: tuple = (0.5, 0.999)  # Adam's; β1 = 0.5 forgets old gradients faster, because the opponent changes
    truncation: float = 1.0  # the default ψ of sampling: z from N(0, ψ²)
    ema: float = 0.999  # the EMA covers about the last 1 / (1 - ema) iterations

    def __post_init__(self):
        training.check_settings(**{field: value for field, value in vars(self).items() if field in training.RANGES})
        known = {"nets": PAIRS, "loss": LOSSES, "penalty": PENALTIES, "anneal": (False, True)}
        for field, choices in known.items():
            if (value := getattr(self, field)) not in list(choices):
                raise UserError(f"{field} must be one of: {', '.join(map(str, choices))}; not {value!r:.80}.")
        if not isinstance(self.name, str) or not self.name.isprintable() or Path(self.name or "/").name != self.name:
            raise UserError(f"The name of a recipe must be one that a file can have, not {self.name!r:.80}.")
        if self.channels > 1 and self.nets != "dcgan-plain":
            raise UserError(f'Only the nets "dcgan-plain" make images of {self.channels} channels, not "{self.nets}".')
        object.__setattr__(self, "betas", tuple(self.betas))  # JSON knows lists only

    @property
    def steps(self):
        """The iterations in its epochs of MNIST's 60,000 training images. `runs.train` counts those of other data."""
        return self.epochs * (60_000 // self.batch_size)

    def build_nets(self):
        """A new generator and a new discriminator, from torch's random state."""
        make_generator, make_discriminator = PAIRS[self.nets]
        more = {} if self.channels == 1 else {"channels": self.channels}
        generator = make_generator(self.latent_dim, self.width, **more)
        discriminator = make_discriminator(self.d_width or self.width, **more)
        if self.classes:
            generator = models.LabelledGenerator(generator, self.classes)
            discriminator = models.ProjectionDiscriminator(discriminator, self.classes)
        return generator, discriminator

    def game(self, seed=0, device="cpu", horizon=None):
        """A new `Game` at step 0, decided by `seed`. With `anneal` its rates decay over `horizon` iterations (None: `steps`)."""
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)  # torch.manual_seed would reseed every GPU as well
            generator, discriminator = (net.to(device) for net in self.build_nets())
        return training.Game(
            generator, discriminator, latent_dim=self.latent_dim, loss=LOSSES[self.loss],
            penalty=PENALTIES[self.penalty], gamma=self.gamma, penalty_every=self.penalty_every,
            batch_size=self.batch_size, g_lr=self.g_lr, d_lr=self.d_lr, betas=self.betas, ema=self.ema,
            horizon=(horizon or self.steps) if self.anneal else None, truncation=self.truncation, seed=seed,
        )  # fmt: skip


MLP = {"nets": "mlp", "batch_size": 100}
# R3GAN's objective (Huang et al. 2025, arXiv 2501.05441) on the layers of a DCGAN. With the gradient penalty D tolerates high
# rates and small batches; at every fourth iteration it is as good and cheaper (Karras et al. 2020, arXiv 1912.04958, app. B).
BEST = {"nets": "mapped", "loss": "relativistic", "gamma": 1.0, "penalty_every": 4, "batch_size": 32, "g_lr": 2e-3,
        "d_lr": 1e-3, "anneal": True, "betas": (0.0, 0.99)}  # fmt: skip
# One recipe for each family of losses, to compare in lesson 09: some minutes on one CPU thread.
SMALL = {"width": 24, "batch_size": 32, "epochs": 4, "anneal": True, "g_lr": 2e-3, "d_lr": 2e-3}

RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe("mlp-sigmoid", "mlp-sigmoid", latent_dim=128, batch_size=32, betas=(0.9, 0.999)),
        Recipe("mlp", **MLP, epochs=200, betas=(0.9, 0.999)),
        Recipe("dcgan", "dcgan", width=32),
        Recipe("best", **BEST, width=40, d_width=32, epochs=24),
        # Conditional. At ψ = 0.9 98.7 % of the digits are read as their label, at 1 97.4 %, with more recall (lesson 11).
        Recipe("cgan", **BEST, classes=10, width=32, d_width=48, epochs=12, truncation=0.9),
        Recipe("lsgan", "dcgan", loss="least squares", **SMALL),
        # Spectral normalisation holds D back, so D needs a higher rate. β1 = 0 as in Miyato et al.
        Recipe("hinge-sn", "dcgan-spectral", loss="hinge", betas=(0.0, 0.99), **SMALL | {"d_lr": 4e-3}),
        # gamma = 2 lambda = 20 and the betas as in Gulrajani et al., who take five steps of D for each of G, at 1e-4.
        Recipe("wgan-gp", "dcgan-plain", loss="Wasserstein", penalty="WGAN-GP", gamma=20.0, betas=(0.0, 0.9), **SMALL),
        # gamma is the best of 0.2, 1 and 5 after 600 steps. At rates of 2e-3 and every fourth penalty the run diverged.
        Recipe("r3gan", "residual", loss="relativistic", gamma=1.0, penalty_every=2, betas=(0.0, 0.99),
               **SMALL | {"width": 16, "g_lr": 1e-3, "d_lr": 1e-3}),
        # What the lessons train while you wait: higher rates, for the first minute of a run.
        Recipe("mlp-quick", **MLP, epochs=10, g_lr=1e-3, d_lr=1e-3),
        Recipe("dcgan-quick", "dcgan", width=24, batch_size=32, epochs=2, g_lr=2e-3, d_lr=1e-3),
    )
}  # fmt: skip


def get(name):
    """The recipe called `name`. Raises `UserError` with a list of the names."""
    if name not in RECIPES:
        raise UserError(f"There is no recipe called {name!r}; choose one of: {', '.join(RECIPES)}.")
    return RECIPES[name]


def from_json(fields, path="the file"):
    """The recipe that `asdict` wrote. Raises `UserError` that names `path` where this version does not know such a recipe."""
    try:
        return Recipe(**fields)
    except (TypeError, ValueError) as error:
        raise UserError(f"This version of gan_lib does not know the recipe in {path}: {error}") from error


def pretrained(name, device="cpu"):
    """The averaged generator of the recipe `name`, a frozen `Sampler`. `UserError` for an unknown name or damaged weights."""
    if name not in (known := pretrained_names()):
        raise UserError(f"There is no pretrained generator called {name!r}; choose one of: {', '.join(known)}.")
    tensors, about = bundled_weights(name)
    recipe = from_json(about["recipe"])
    generator, _ = recipe.build_nets()
    generator.load_state_dict(tensors)
    return models.Sampler(generator.to(device), recipe.latent_dim, recipe.truncation)


def pretrained_names():
    """The recipes whose generators come with the package."""
    return [name for name, about in manifest().items() if "recipe" in about]
