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


MLP, CONVOLUTION = ["Linear", "ReLU"] * 2 + ["Linear"], ["ConvTranspose2d", "BatchNorm2d", "ReLU"]
LEAKY, DCGAN = ["Linear", "LeakyReLU"] * 2 + ["Linear"], [*CONVOLUTION * 3, "ConvTranspose2d", "Tanh"]
STRIDED = ["Conv2d", "LeakyReLU", *["Conv2d", "BatchNorm2d", "LeakyReLU"] * 2, "Conv2d"]
PLAIN = ["Conv2d", "LeakyReLU"] * 3 + ["Linear", "LeakyReLU", "Linear"]
SPECTRAL = [f"Parametrized{layer}" if layer != "LeakyReLU" else layer for layer in PLAIN]
RESIDUAL = ["Conv2d", "Residual"] * 3 + ["LeakyReLU", "Conv2d"]
NONE, FAMILY, SLOW = ("R1 + R2", 0.0, 1), (64, 32, 4), (2e-4, (0.5, 0.999))
DESCRIBED = {  # name: (layers of G, of D, loss, (penalty, gamma, every), (z, batch, epochs), Adam of G, of D: rate and betas)
    "mlp-sigmoid": ([*MLP, "SigmoidPixels"], MLP, "non-saturating", NONE, (128, 32, 20), *[(2e-4, (0.9, 0.999))] * 2),
    "mlp": ([*MLP, "Tanh"], LEAKY, "non-saturating", NONE, (64, 100, 200), *[(2e-4, (0.9, 0.999))] * 2),
    "dcgan": (DCGAN, STRIDED, "non-saturating", NONE, (64, 64, 20), SLOW, SLOW),
    # R3GAN's objective on a DCGAN's layers, behind a hidden layer; D has one before its end, and no BatchNorm
    "best": (["Linear", "BatchNorm1d", "LeakyReLU", *DCGAN], PLAIN, "relativistic", ("R1 + R2", 1.0, 4), (64, 32, 24),
             (2e-3, (0.0, 0.99)), (1e-3, (0.0, 0.99))),
    "lsgan": (DCGAN, STRIDED, "least squares", NONE, FAMILY, *[(2e-3, (0.5, 0.999))] * 2),
    "hinge-sn": (DCGAN, SPECTRAL, "hinge", NONE, FAMILY, (2e-3, (0.0, 0.99)), (4e-3, (0.0, 0.99))),
    # Gulrajani et al. 2017: lambda = gamma / 2 = 10, betas (0, 0.9). Huang et al. 2025: one gamma, β1 0, no normalisation
    "wgan-gp": (DCGAN, PLAIN, "Wasserstein", ("WGAN-GP", 20.0, 1), FAMILY, *[(2e-3, (0.0, 0.9))] * 2),
    "r3gan": (None, RESIDUAL, "relativistic", ("R1 + R2", 1.0, 2), FAMILY, *[(1e-3, (0.0, 0.99))] * 2),
}  # fmt: skip


@pytest.mark.parametrize("name", DESCRIBED)
def test_a_recipe_is_as_described(name):
    recipe, (g, d, loss, (penalty, gamma, every), numbers, *rates) = RECIPES[name], DESCRIBED[name]
    game = recipe.game()
    assert (kinds(game.generator) if g else None, kinds(game.discriminator)) == (g, d)
    assert (game.loss, game.penalty) == (losses.LOSSES[loss], losses.PENALTIES[penalty])
    assert (game.gamma, game.penalty_every) == (gamma, every)
    assert (game.latent_dim, game.batch_size, recipe.epochs) == numbers
    assert (adam(game), recipe.anneal) == (rates, name not in ("mlp-sigmoid", "mlp", "dcgan"))
    if name.startswith("mlp"):
        hidden = 512 if name == "mlp-sigmoid" else 256
        assert sizes(game.generator) == [(numbers[0], 256), (256, hidden), (hidden, 784)]
        assert sizes(game.discriminator) == [(784, hidden), (hidden, 256), (256, 1)]
    if name == "best":
        assert (sizes(game.generator)[-1], sizes(game.discriminator)[0]) == ((40, 1), (1, 32))
    if numbers == FAMILY and g:
        assert sizes(game.generator) == sizes(RECIPES["dcgan-quick"].game().generator)
    if name == "r3gan":
        layers = [type(layer).__name__ for net in (game.generator, game.discriminator) for layer in net.modules()]
        assert layers.count("Residual") == 6 and not any("Norm" in layer for layer in layers)


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


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_has_the_settings_of_its_age_and_comes_back_from_json(name):
    """All without learning-rate decay have no penalty, and the loss that is binary cross-entropy."""
    recipe = RECIPES[name]
    assert recipes.from_json(json.loads(json.dumps(dataclasses.asdict(recipe)))) == recipe
    game = recipe.game()
    assert (game.loss, game.batch_size, game.ema) == (losses.LOSSES[recipe.loss], recipe.batch_size, recipe.ema)
    assert recipe.anneal or (game.loss, game.gamma) == (losses.LOSSES["non-saturating"], 0)
    assert (game.horizon, recipe.game(horizon=50).horizon) == ((recipe.steps, 50) if recipe.anneal else (None, None))
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
