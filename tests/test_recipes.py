"""Each recipe held to its description, and what can be made of it: games, files, samplers."""

import dataclasses
import json
import math
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy

from gan_lib import UserError, checkpoint, files, losses, recipes, training
from gan_lib.recipes import RECIPES, Recipe
from tools import make_weights

ALL = pytest.mark.parametrize("name", RECIPES)


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


# What people know them as


def test_mlp_sigmoid_is_as_described():
    """Latent 128, fully connected with ReLU, sigmoid pixels in [-1, 1], ReLU discriminator, batch 32, 20 epochs."""
    recipe = RECIPES["mlp-sigmoid"]
    game = recipe.game()
    assert (game.latent_dim, game.batch_size, recipe.epochs) == (128, 32, 20)
    assert kinds(game.generator) == ["Linear", "ReLU", "Linear", "ReLU", "Linear", "SigmoidPixels"]
    assert kinds(game.discriminator) == ["Linear", "ReLU", "Linear", "ReLU", "Linear"]
    assert sizes(game.generator)[0][0] == 128
    assert sizes(game.generator)[-1][1] == sizes(game.discriminator)[0][0] == 784
    assert adam(game) == [(2e-4, (0.9, 0.999))] * 2


def test_mlp_is_as_described():
    """Latent 64, hidden 256, LeakyReLU discriminator, tanh, batch 100, 200 epochs, Adam 2e-4."""
    recipe = RECIPES["mlp"]
    game = recipe.game()
    assert (game.latent_dim, game.batch_size, recipe.epochs) == (64, 100, 200)
    assert kinds(game.generator) == ["Linear", "ReLU", "Linear", "ReLU", "Linear", "Tanh"]
    assert kinds(game.discriminator) == ["Linear", "LeakyReLU", "Linear", "LeakyReLU", "Linear"]
    assert {layer.negative_slope for layer in game.discriminator if isinstance(layer, nn.LeakyReLU)} == {0.2}
    assert sizes(game.generator) == [(64, 256), (256, 256), (256, 784)]
    assert sizes(game.discriminator) == [(784, 256), (256, 256), (256, 1)]
    assert adam(game) == [(2e-4, (0.9, 0.999))] * 2


def test_dcgan_is_as_described():
    """Transposed convolutions, BatchNorm, ReLU, tanh; strided ones with LeakyReLU; Adam 2e-4, β1 0.5; N(0, 0.02)."""
    game = RECIPES["dcgan"].game()
    block = ["ConvTranspose2d", "BatchNorm2d", "ReLU"]
    blocks = kinds(game.generator).count("BatchNorm2d")
    assert blocks >= 2
    assert kinds(game.generator) == [*block * blocks, "ConvTranspose2d", "Tanh"]
    block = ["Conv2d", "BatchNorm2d", "LeakyReLU"]
    assert kinds(game.discriminator) == ["Conv2d", "LeakyReLU", *block * (blocks - 1), "Conv2d"]
    convolutions = [
        m for net in (game.generator, game.discriminator) for m in net if isinstance(m, (nn.Conv2d, nn.ConvTranspose2d))
    ]
    strides = [m.stride[0] for m in convolutions]
    assert strides == strides[::-1]  # the discriminator walks back the generator's way
    assert strides[0] == 1
    assert set(strides[1:-1]) == {2}  # sizes change by strides, not by pooling
    assert {layer.negative_slope for layer in game.discriminator if isinstance(layer, nn.LeakyReLU)} == {0.2}
    for layer in convolutions:
        assert layer.weight.std().item() == pytest.approx(0.02, rel=0.1)
    assert adam(game) == [(2e-4, (0.5, 0.999))] * 2
    assert (game.batch_size, RECIPES["dcgan"].epochs) == (64, 20)


def differs(name, other):
    """What two recipes do not share, but for the name: {field: the first's}."""
    one, two = dataclasses.asdict(RECIPES[name]), dataclasses.asdict(RECIPES[other])
    return {field: value for field, value in one.items() if value != two[field] and field != "name"}


def test_the_quick_recipes_are_as_described():
    """The nets of mlp, and dcgan with three quarters of its width; higher rates, β1 0.5, shorter."""
    assert differs("mlp-quick", "mlp") == {"g_lr": 1e-3, "d_lr": 1e-3, "betas": (0.5, 0.999), "epochs": 10}
    assert differs("dcgan-quick", "dcgan") == {"width": 24, "batch_size": 32, "epochs": 2, "g_lr": 2e-3, "d_lr": 1e-3}
    game = RECIPES["dcgan-quick"].game()
    assert [size for pair in sizes(game.generator) for size in pair] == [64, 96, 96, 48, 48, 24, 24, 1]
    assert [size for pair in sizes(game.discriminator) for size in pair] == [1, 24, 24, 48, 48, 96, 96, 1]
    assert adam(game) == [(2e-3, (0.5, 0.999)), (1e-3, (0.5, 0.999))]
    assert adam(RECIPES["mlp-quick"].game()) == [(1e-3, (0.5, 0.999))] * 2
    assert {RECIPES[name].game().ema for name in ("mlp-quick", "dcgan-quick")} == {0.999}


def test_best_is_as_described():
    """The objective of R3GAN on a DCGAN's layers: relativistic, R1 and R2 at every 4th step, no BatchNorm in D, β1 0.

    A hidden layer stands before G's convolutions and after D's; D is narrower than G; rates fall over the last 18 of 24 epochs.
    """
    recipe = RECIPES["best"]
    game = recipe.game()
    assert (game.loss, game.gamma, game.penalty_every) == (losses.LOSSES["relativistic"], 1.0, 4)
    assert game.penalty is losses.zero_centred_penalties
    mapping = ["Linear", "BatchNorm1d", "LeakyReLU"]
    assert kinds(game.generator) == mapping + kinds(RECIPES["dcgan"].game().generator)
    assert kinds(game.discriminator) == ["Conv2d", "LeakyReLU"] * 3 + ["Linear", "LeakyReLU", "Linear"]
    assert (sizes(game.generator)[-1], sizes(game.discriminator)[0]) == ((40, 1), (1, 32))
    assert adam(game) == [(2e-3, (0.0, 0.99)), (1e-3, (0.0, 0.99))]
    assert (game.latent_dim, game.batch_size, game.horizon) == (64, 32, 24 * 60_000 // 32)
    assert [name for name in RECIPES if RECIPES[name].game().horizon is not None] == ["best", "cgan", *FAMILIES]


def test_cgan_is_best_conditional_narrower_and_shorter():
    assert differs("cgan", "best") == {"classes": 10, "width": 32, "d_width": 48, "epochs": 12, "truncation": 0.9}
    game, best = RECIPES["cgan"].game(), RECIPES["best"].game()
    assert kinds([game.generator.first, *game.generator.rest]) == kinds(best.generator)
    assert kinds(game.discriminator.features) == kinds(best.discriminator)[:-1]
    assert game.classes == 10 and best.classes == 0


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


def test_r3gan_has_residual_blocks_and_no_normalisation():
    """Huang et al. 2025: relativistic pairing, R1 and R2 with one gamma, β1 = 0, no normalisation in either net."""
    game = RECIPES["r3gan"].game()
    layers = [type(layer).__name__ for net in (game.generator, game.discriminator) for layer in net.modules()]
    assert layers.count("Residual") == 6 and not any("Norm" in layer for layer in layers)
    assert adam(game) == [(1e-3, (0.0, 0.99))] * 2


def test_the_family_of_wasserstein_has_the_papers_penalty():
    """Gulrajani et al. 2017: lambda = 10 times mean (|input gradient| - 1)², Adam's betas (0, 0.9)."""
    game = RECIPES["wgan-gp"].game()
    assert (game.gamma / 2, game.penalty_every, game.g_optimizer.defaults["betas"]) == (10, 1, (0.0, 0.9))


@pytest.mark.parametrize("name", [name for name in RECIPES if name not in {"best", "cgan", *FAMILIES}])
def test_every_other_recipe_trains_by_binary_cross_entropy_alone(name):
    """The two losses of its game equal sigmoid and BCE, label 1 for real, and 1 for fake where G is judged."""
    game = RECIPES[name].game()
    loss = game.loss
    assert game.gamma == 0
    real, fake = torch.tensor([1.2, -0.7, 3.1]), torch.tensor([-0.4, 2.2, 0.9])
    ones, zeros = torch.ones(3), torch.zeros(3)
    d = binary_cross_entropy(real.sigmoid(), ones) + binary_cross_entropy(fake.sigmoid(), zeros)
    assert loss.discriminator(real, fake).item() == pytest.approx(d.item(), abs=1e-6)
    assert loss.generator(real, fake).item() == pytest.approx(
        binary_cross_entropy(fake.sigmoid(), ones).item(), abs=1e-6
    )


@ALL
def test_every_recipe_makes_digits_shaped_images_and_takes_them(name):
    game = RECIPES[name].game()
    made = game.sampler().sample(3)
    assert made.shape == (3, 1, 28, 28)
    assert game.discriminator(made, *[torch.arange(3)] * (game.classes > 0)).shape == (3,)


# A recipe is data


@ALL
def test_a_recipe_comes_back_from_json(name):
    recipe = RECIPES[name]
    back = recipes.from_json(json.loads(json.dumps(dataclasses.asdict(recipe))))
    assert back == recipe
    assert adam(back.game()) == adam(recipe.game())


@pytest.mark.parametrize(
    "change", [{"nets": "vae"}, {"loss": "f-gan"}, {"penalty": "R3"}, {"dropout": 0.1}, {"betas": 0.5}]
)
def test_a_recipe_of_another_version_is_refused(change):
    fields = dataclasses.asdict(RECIPES["mlp"]) | change
    with pytest.raises(UserError, match="This version of gan_lib does not know the recipe in the file"):
        recipes.from_json(fields)


def test_a_variant_is_another_recipe_and_leaves_the_first_alone():
    before = dataclasses.asdict(RECIPES["dcgan"])
    variant = dataclasses.replace(RECIPES["dcgan"], width=4, g_lr=1e-3, d_lr=3e-4, loss="relativistic", ema=0.9)
    game = variant.game()
    assert (adam(game)[0][0], adam(game)[1][0], game.loss.paired, game.ema) == (1e-3, 3e-4, True, 0.9)
    assert sizes(game.generator)[-1] == (4, 1)
    assert dataclasses.asdict(RECIPES["dcgan"]) == before
    with pytest.raises(dataclasses.FrozenInstanceError):
        variant.width = 5


def test_names_are_keys_and_an_unknown_one_is_refused_with_a_list():
    assert all(recipes.get(name).name == name for name in RECIPES)
    with pytest.raises(UserError, match="no recipe called 'dcgna'; choose one of: ") as error:
        recipes.get("dcgna")
    assert str(error.value).endswith("choose one of: " + ", ".join(RECIPES) + ".")
    assert {"mlp-sigmoid", "mlp", "dcgan", "best", "mlp-quick", "dcgan-quick"} <= RECIPES.keys()


@ALL
def test_a_game_follows_from_its_seed_and_leaves_the_global_random_state_alone(name, state_of, differences):
    torch.manual_seed(1)
    state = torch.get_rng_state()
    one = RECIPES[name].game(seed=3)
    assert torch.get_rng_state().equal(state)
    torch.manual_seed(2)
    assert differences(state_of(one), state_of(RECIPES[name].game(seed=3))) == []
    assert differences(state_of(one), state_of(RECIPES[name].game(seed=4))) != []


# Files


def test_a_game_comes_back_from_its_file_alone(tmp_path, images, state_of, differences):
    recipe = Recipe(
        "small", "dcgan", latent_dim=5, width=4, batch_size=8, g_lr=1e-3, betas=(0.3, 0.9), loss="relativistic"
    )
    game = recipe.game(seed=2)
    list(training.train(game, images, 3))
    checkpoint.save(game, tmp_path / "x.safetensors", recipe, mood="calm")
    assert checkpoint.read(tmp_path / "x.safetensors").header["notes"]["mood"] == "calm"
    back = checkpoint.resume(tmp_path / "x.safetensors")
    assert differences(state_of(back), state_of(game)) == []
    assert (back.loss, back.batch_size, back.ema) == (game.loss, 8, 0.999)
    list(training.train(game, images, 3))
    list(training.train(back, images, 3))
    assert differences(state_of(back), state_of(game)) == []


def test_a_checkpoint_without_a_recipe_is_refused(tmp_path, new_game):
    checkpoint.save(new_game(), tmp_path / "x.safetensors")
    with pytest.raises(UserError, match=r"x\.safetensors does not say its recipe: build its game, then use checkpoint"):
        checkpoint.resume(tmp_path / "x.safetensors")


# Pretrained generators


@pytest.mark.parametrize("name", recipes.pretrained_names())
def test_a_pretrained_generator_is_a_sampler_of_its_recipe(name):
    sampler = recipes.pretrained(name)
    images = sampler.sample(64)
    assert sampler.latent_dim == RECIPES[name].latent_dim
    assert images.shape == (64, 1, 28, 28)
    assert -1 <= images.min() < -0.9 and 0.5 < images.max() <= 1
    assert not sampler.generator.training and not any(p.requires_grad for p in sampler.generator.parameters())
    alone = sampler.of(3) if sampler.classes else sampler
    assert torch.allclose(alone(alone.noise(9))[4], alone(alone.noise(9)[4:5])[0], atol=1e-5)


@pytest.fixture
def own_weights(tmp_path, monkeypatch, images, capsys):
    """An empty folder in place of gan_lib/weights, and a short run exported into it."""
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "manifest.json").write_text('{"digit-net": {"sha256": ""}}')
    monkeypatch.setattr(files, "resources", SimpleNamespace(files=lambda _: tmp_path))
    recipe = Recipe("small", "dcgan", latent_dim=5, width=4, batch_size=8)
    game = recipe.game(seed=2)
    list(training.train(game, images, 3))
    checkpoint.save(game, tmp_path / "run" / "checkpoints" / "step_3.safetensors", recipe)
    make_weights.export(tmp_path / "run", tmp_path / "weights")
    assert capsys.readouterr().out == "small: 0.0 MB written into gan_lib/weights\n"
    return tmp_path / "weights", game


def test_an_exported_run_is_the_pretrained_generator_of_its_recipe(own_weights):
    folder, game = own_weights
    assert recipes.pretrained("small").sample(4).equal(game.sampler().sample(4))
    about = json.loads((folder / "manifest.json").read_text())["small"]
    assert about["command"] == "python -m gan_lib train small --steps 3 --seed 2"
    assert (about["seed"], about["steps"], about["recipe"]["latent_dim"]) == (2, 3, 5)
    assert math.isclose(about["seconds"], game.seconds, abs_tol=1)


def test_what_is_no_run_is_not_exported(tmp_path):
    with pytest.raises(ValueError, match="nowhere holds no checkpoint"):
        make_weights.export(tmp_path / "nowhere", tmp_path)


def test_damaged_or_unknown_pretrained_weights_are_refused(own_weights):
    folder, _ = own_weights
    content = (folder / "small.safetensors").read_bytes()
    (folder / "small.safetensors").write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(UserError, match=r"small\.safetensors is damaged: install gan_lib once more"):
        recipes.pretrained("small")
    for name in ("smal", "digit-net"):
        with pytest.raises(UserError, match=f"no pretrained generator called '{name}'; choose one of: small\\.$"):
            recipes.pretrained(name)


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("gamma", [-0.1, float("nan"), "1"]),
        ("latent_dim", [0, -3, 2.5, True, None]),
        ("width", [0, 10**9]),
        ("batch_size", [0]),
        ("epochs", [0]),
        ("classes", [-1]),
        ("penalty_every", [0]),
        ("g_lr", [-1e-3, float("inf")]),
        ("betas", [(0.5,), (0.5, 1.0), "ab", None]),
        ("ema", [1.5]),
        ("truncation", [0.0, 1.1]),
        ("loss", ["mean", None]),
        ("nets", ["mlpp"]),
        ("channels", [3]),  # which the nets "mlp" can't make
    ],
)
def test_a_setting_out_of_its_range_is_refused_by_its_name(field, values):
    for value in values:
        with pytest.raises(UserError, match=field) as error:
            dataclasses.replace(RECIPES["mlp"], **{field: value})
        assert "\n" not in str(error.value)


def test_a_gradient_penalty_needs_a_d_without_batch_norm():
    with pytest.raises(UserError, match=r"^A gradient penalty .* needs a discriminator without BatchNorm"):
        dataclasses.replace(RECIPES["dcgan"], gamma=1.0).game()
    assert dataclasses.replace(RECIPES["dcgan"], nets="dcgan-plain", gamma=1.0).game().gamma == 1.0


def test_the_learning_rates_decay_over_the_given_horizon():
    best = RECIPES["best"]
    assert (best.game().horizon, best.game(horizon=50).horizon) == (best.steps, 50)
    assert RECIPES["mlp"].game(horizon=50).horizon is None
