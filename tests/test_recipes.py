"""Each recipe held to its description, and what can be made of it: games, files, samplers."""

import dataclasses
import json
import math
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from gan_lib import UserError, checkpoint, files, losses, recipes, training
from gan_lib.recipes import RECIPES, Recipe
from tools import make_weights


def kinds(net):
    return [type(layer).__name__ for layer in net if not isinstance(layer, (nn.Flatten, nn.Unflatten))]


def sizes(net):
    """(in, out) of each layer with weights."""
    read = lambda layer, end: getattr(layer, f"{end}_features", getattr(layer, f"{end}_channels", None))
    return [(read(layer, "in"), read(layer, "out")) for layer in net if read(layer, "in") and read(layer, "out")]


def adam(game):
    """(lr, betas) of the generator's and of the discriminator's optimiser."""
    assert type(game.g_optimizer) is type(game.d_optimizer) is torch.optim.Adam
    groups = [group for optimizer in (game.g_optimizer, game.d_optimizer) for group in optimizer.param_groups]
    return [(group["lr"], tuple(group["betas"])) for group in groups]


@pytest.mark.parametrize(
    ("name", "latent_dim", "hidden", "batch_size", "epochs", "end", "activation_of_d"),
    [("mlp-sigmoid", 128, 512, 32, 20, "SigmoidPixels", "ReLU"), ("mlp", 64, 256, 100, 200, "Tanh", "LeakyReLU")],
)
def test_the_mlp_recipes_are_as_described(name, latent_dim, hidden, batch_size, epochs, end, activation_of_d):
    """Fully connected; G with ReLU, and pixels in [-1, 1] by a scaled sigmoid or tanh; Adam 2e-4 with β1 0.9."""
    recipe = RECIPES[name]
    game = recipe.game()
    assert (game.latent_dim, game.batch_size, recipe.epochs) == (latent_dim, batch_size, epochs)
    assert kinds(game.generator) == ["Linear", "ReLU", "Linear", "ReLU", "Linear", end]
    assert kinds(game.discriminator) == ["Linear", activation_of_d, "Linear", activation_of_d, "Linear"]
    assert sizes(game.generator) == [(latent_dim, 256), (256, hidden), (hidden, 784)]
    assert sizes(game.discriminator) == [(784, hidden), (hidden, 256), (256, 1)]
    assert adam(game) == [(2e-4, (0.9, 0.999))] * 2


def test_dcgan_is_as_described():
    """Transposed convolutions, BatchNorm, ReLU, tanh; strided ones with LeakyReLU; Adam 2e-4, β1 0.5."""
    game = RECIPES["dcgan"].game()
    blocks = kinds(game.generator).count("BatchNorm2d")
    assert blocks >= 2
    assert kinds(game.generator) == ["ConvTranspose2d", "BatchNorm2d", "ReLU"] * blocks + ["ConvTranspose2d", "Tanh"]
    middle = ["Conv2d", "BatchNorm2d", "LeakyReLU"] * (blocks - 1)
    assert kinds(game.discriminator) == ["Conv2d", "LeakyReLU", *middle, "Conv2d"]
    assert adam(game) == [(2e-4, (0.5, 0.999))] * 2
    assert (game.batch_size, RECIPES["dcgan"].epochs) == (64, 20)


def differs(name, other):
    """The fields in which two recipes differ, apart from the name: {field: value of the first}."""
    one, two = dataclasses.asdict(RECIPES[name]), dataclasses.asdict(RECIPES[other])
    return {field: value for field, value in one.items() if value != two[field] and field != "name"}


def test_the_quick_recipes_and_cgan_are_as_described():
    """The nets of mlp, and dcgan with three quarters of its width; higher rates, β1 0.5, shorter. cgan is best, conditional."""
    assert differs("cgan", "best") == {"classes": 10, "width": 32, "d_width": 48, "epochs": 12, "truncation": 0.9}
    assert [RECIPES[name].game().classes for name in ("cgan", "best")] == [10, 0]
    assert differs("mlp-quick", "mlp") == {"g_lr": 1e-3, "d_lr": 1e-3, "betas": (0.5, 0.999), "epochs": 10}
    assert differs("dcgan-quick", "dcgan") == {"width": 24, "batch_size": 32, "epochs": 2, "g_lr": 2e-3, "d_lr": 1e-3}
    assert {RECIPES[name].game().ema for name in ("mlp-quick", "dcgan-quick")} == {0.999}


def test_best_is_as_described():
    """The objective of R3GAN on a DCGAN's layers: relativistic, R1 and R2 at every 4th step, no BatchNorm in D, β1 0.

    A hidden layer stands before G's convolutions and after D's; D is narrower than G; rates decay over the last 18 of 24 epochs.
    """
    game = RECIPES["best"].game()
    assert (game.loss, game.gamma, game.penalty_every) == (losses.LOSSES["relativistic"], 1.0, 4)
    assert game.penalty is losses.zero_centred_penalties
    mapping = ["Linear", "BatchNorm1d", "LeakyReLU"]
    assert kinds(game.generator) == mapping + kinds(RECIPES["dcgan"].game().generator)
    assert kinds(game.discriminator) == ["Conv2d", "LeakyReLU"] * 3 + ["Linear", "LeakyReLU", "Linear"]
    assert (sizes(game.generator)[-1], sizes(game.discriminator)[0]) == ((40, 1), (1, 32))
    assert adam(game) == [(2e-3, (0.0, 0.99)), (1e-3, (0.0, 0.99))]
    assert (game.latent_dim, game.batch_size, game.horizon) == (64, 32, 24 * 60_000 // 32)


SPECTRAL = ["ParametrizedConv2d", "LeakyReLU"] * 3 + ["ParametrizedLinear", "LeakyReLU", "ParametrizedLinear"]
FAMILIES = {  # name: (loss, penalty or None, the layers of D)
    "lsgan": ("least squares", None, kinds(RECIPES["dcgan"].game().discriminator)),
    "hinge-sn": ("hinge", None, SPECTRAL),
    "wgan-gp": ("Wasserstein", "WGAN-GP", kinds(RECIPES["best"].game().discriminator)),
    "r3gan": ("relativistic", "R1 + R2", ["Conv2d", "Residual"] * 3 + ["LeakyReLU", "Conv2d"]),
}


@pytest.mark.parametrize("name", FAMILIES)
def test_the_recipe_of_a_family_is_as_described(name):
    """Batch 32, rates that decay over the last 3 of 4 epochs; its loss, its regularisation, and the generator of dcgan-quick."""
    game, quick = RECIPES[name].game(), RECIPES["dcgan-quick"].game()
    loss, penalty, layers = FAMILIES[name]
    assert game.loss is losses.LOSSES[loss]
    assert (game.gamma > 0, game.penalty) == (penalty is not None, losses.PENALTIES[penalty or "R1 + R2"])
    assert kinds(game.discriminator) == layers
    assert (game.batch_size, game.horizon) == (32, 4 * 60_000 // 32)
    same = (kinds(game.generator), sizes(game.generator)) == (kinds(quick.generator), sizes(quick.generator))
    assert same == (name != "r3gan")


def test_r3gan_and_wgan_gp_are_those_of_their_papers():
    """Huang et al. 2025: R1 and R2 with one gamma, β1 0, no normalisation. Gulrajani et al. 2017: lambda 10, betas (0, 0.9)."""
    game = RECIPES["r3gan"].game()
    layers = [type(layer).__name__ for net in (game.generator, game.discriminator) for layer in net.modules()]
    assert layers.count("Residual") == 6 and not any("Norm" in layer for layer in layers)
    assert adam(game) == [(1e-3, (0.0, 0.99))] * 2
    game = RECIPES["wgan-gp"].game()
    assert (game.gamma / 2, game.penalty_every, game.g_optimizer.defaults["betas"]) == (10, 1, (0.0, 0.9))


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_has_the_settings_of_its_age_and_comes_back_from_json(name):
    """All but the newer ones have no penalty, and the loss that is binary cross-entropy, without learning-rate decay."""
    recipe = RECIPES[name]
    assert recipes.from_json(json.loads(json.dumps(dataclasses.asdict(recipe)))) == recipe
    game = recipe.game()
    assert (game.loss, game.batch_size, game.ema) == (losses.LOSSES[recipe.loss], recipe.batch_size, recipe.ema)
    newer = name in {"best", "cgan", *FAMILIES}
    assert newer or (game.loss, game.gamma) == (losses.LOSSES["non-saturating"], 0)
    assert (game.horizon, recipe.game(horizon=50).horizon) == ((recipe.steps, 50) if newer else (None, None))
    assert game.sampler().truncation == recipe.truncation == (0.9 if name == "cgan" else 1.0)
    slopes = {layer.negative_slope for layer in game.discriminator.modules() if isinstance(layer, nn.LeakyReLU)}
    assert slopes == ({0.2} if name != "mlp-sigmoid" else set())


@pytest.mark.parametrize("change", [{"dropout": 0.1}, {"nets": "vae"}])
def test_a_recipe_of_another_version_is_refused_and_none_changes(change):
    fields = dataclasses.asdict(RECIPES["mlp"]) | change
    with pytest.raises(UserError, match="This version of gan_lib does not know the recipe in the file"):
        recipes.from_json(fields)
    with pytest.raises(dataclasses.FrozenInstanceError):
        recipes.get("dcgan").width = 5


@pytest.mark.parametrize("name", recipes.pretrained_names())
def test_a_pretrained_generator_is_a_sampler_of_its_recipe(name):
    sampler = recipes.pretrained(name)
    images = sampler.sample(64)
    assert (sampler.latent_dim, sampler.truncation) == (RECIPES[name].latent_dim, RECIPES[name].truncation)
    assert images.shape == (64, 1, 28, 28)
    assert -1 <= images.min() < -0.9 and 0.5 < images.max() <= 1


def test_an_exported_run_is_the_pretrained_generator_of_its_recipe(tmp_path, monkeypatch, images, capsys):
    """The package's weights are those of an empty folder, into which a short run is exported."""
    weights, run = tmp_path / "weights", tmp_path / "run"
    weights.mkdir()
    (weights / "manifest.json").write_text('{"digit-net": {"sha256": ""}}')
    monkeypatch.setattr(files, "resources", SimpleNamespace(files=lambda _: tmp_path))
    with pytest.raises(ValueError, match="run holds no checkpoint"):
        make_weights.export(run, weights)
    recipe = Recipe("small", "dcgan", latent_dim=5, width=4, batch_size=8)
    game = recipe.game(seed=2)
    list(training.train(game, images, 3))
    checkpoint.save(game, run / "checkpoints" / "step_3.safetensors", recipe)
    make_weights.export(run, weights)
    assert capsys.readouterr().out == "small: 0.0 MB written into gan_lib/weights\n"
    assert recipes.pretrained("small").sample(4).equal(game.sampler().sample(4))
    about = json.loads((weights / "manifest.json").read_text())["small"]
    assert about["command"] == "python -m gan_lib train small --steps 3 --seed 2"
    assert (about["seed"], about["steps"], about["recipe"]["latent_dim"]) == (2, 3, 5)
    assert math.isclose(about["seconds"], game.seconds, abs_tol=1)
    for name in ("smal", "digit-net"):
        with pytest.raises(UserError, match=f"no pretrained generator called '{name}'; choose one of: small\\.$"):
            recipes.pretrained(name)


@pytest.mark.parametrize(("field", "values"), [
    ("gamma", [-0.1, float("nan"), "1"]),
    ("latent_dim", [0, -3, 2.5, True, None]),
    ("width", [0, 10**9]),
    ("batch_size", [0]),
    ("epochs", [0]),
    ("classes", [-1]),
    ("penalty_every", [0]),
    ("g_lr", [-1e-3, float("inf")]),
    ("betas", [0.5, (0.5,), (0.5, 1.0), "ab", None]),
    ("ema", [1.5]),
    ("truncation", [0.0, 1.1]),
    ("loss", ["mean", None]),
    ("penalty", ["R3"]),
    ("nets", ["mlpp"]),
    ("channels", [3]),  # which the nets "mlp" can't make
])  # fmt: skip
def test_a_setting_out_of_its_range_is_refused_by_its_name(field, values):
    for value in values:
        with pytest.raises(UserError, match=field) as error:
            dataclasses.replace(RECIPES["mlp"], **{field: value})
        assert "\n" not in str(error.value)


def test_a_gradient_penalty_needs_a_d_without_batch_norm():
    with pytest.raises(UserError, match=r"^A gradient penalty .* needs a discriminator without BatchNorm"):
        dataclasses.replace(RECIPES["dcgan"], gamma=1.0).game()
    assert dataclasses.replace(RECIPES["dcgan"], nets="dcgan-plain", gamma=1.0).game().gamma == 1.0
