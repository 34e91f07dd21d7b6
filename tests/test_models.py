"""Every pair of nets: the range contract, the shape comments, and what makes a sampler a pure function of z."""

import ast
import inspect
import math
import re
import textwrap

import pytest
import torch
from torch import nn

from gan_lib import data, models, recipes, residual

PAIRS = pytest.mark.parametrize("name", recipes.PAIRS)


def generator(name, latent_dim=5, width=6):
    torch.manual_seed(0)
    return recipes.PAIRS[name][0](latent_dim, width)


def discriminator(name, width=6):
    torch.manual_seed(0)
    return recipes.PAIRS[name][1](width)


# Contracts


@pytest.mark.parametrize(  # the residual generator is free as it learns: below
    ("name", "train"),
    [(name, train) for name in recipes.PAIRS for train in (True, False) if (name, train) != ("residual", True)],
)
def test_a_generator_makes_images_in_the_range(name, train):
    net = generator(name).train(train)
    with torch.no_grad():
        [layer for layer in net if list(layer.parameters())][-1].weight.mul_(1e5)  # as wild as a net can get
    images = net(torch.randn(9, 5))
    assert (images.shape, images.dtype) == ((9, 1, 28, 28), torch.float32)
    assert -1 <= images.min() < -0.9
    assert 0.9 < images.max() <= 1


@PAIRS
def test_a_discriminator_gives_one_logit_an_image(name, images):
    logits = discriminator(name)(data.to_range(images))
    assert (logits.shape, logits.dtype) == ((48,), torch.float32)


@PAIRS
def test_a_logit_is_any_real_number(name, images):
    net = discriminator(name)
    last = [layer for layer in net if hasattr(layer, "bias")][-1]
    nn.init.constant_(last.bias, -70.0)
    assert net(data.to_range(images)).max() < -10  # no sigmoid, no ReLU after the last layer


@PAIRS
def test_both_nets_can_be_trained_in_every_parameter(name, images):
    net_d, net_g = discriminator(name), generator(name)
    parameters = [*net_g.parameters(), *net_d.parameters()]
    for _ in range(
        2
    ):  # in the first round a block that starts as the identity holds back what is before its last layer
        net_d(torch.cat([net_g(torch.randn(8, 5)), data.to_range(images[:8])])).square().sum().backward()
        torch.optim.SGD(parameters, 1e-3).step()
    for parameter in parameters:
        assert parameter.grad.abs().sum() > 0


@PAIRS
def test_latent_dim_and_width_set_the_size(name):
    assert generator(name, latent_dim=7)(torch.zeros(2, 7)).shape == (2, 1, 28, 28)
    for make in recipes.PAIRS[name]:
        sizes = [sum(p.numel() for p in make(width=width).parameters()) for width in (6, 12)]
        assert sizes[1] > 1.8 * sizes[0]


WRITTEN_OUT = {make for pair in recipes.PAIRS.values() for make in pair} - {
    models.spectral_discriminator
}  # of another's layers


@pytest.mark.parametrize("make", [*sorted(WRITTEN_OUT, key=lambda make: make.__name__), models.digit_classifier])
def test_the_comment_beside_a_layer_is_the_shape_that_leaves_it(make):
    sizes = {"N": 3} | {name: p.default for name, p in inspect.signature(make).parameters.items()}
    lines = textwrap.dedent(inspect.getsource(make)).splitlines()
    (call,) = [
        n
        for n in ast.walk(ast.parse("\n".join(lines)))
        if isinstance(n, ast.Call) and ast.unparse(n.func) == "nn.Sequential"
    ]
    shape_beside = lambda line: re.search(r"#\s+(?:[xz] )?\[(.*?)\]", lines[line - 1]).group(1).split(", ")
    evaluate = lambda shape: [eval(re.sub(r"(\d) (\w)", r"\1 * \2", size), sizes) for size in shape]

    first = evaluate(shape_beside(call.lineno))
    x = torch.zeros([*first, 1, 28, 28][:1] + (first[1:] or [1, 28, 28]))
    net = make()
    for i, written in enumerate(call.args):
        x = (net[i:] if isinstance(written, ast.Starred) else net[i])(x)  # a whole net can stand at the end of another
        ends_its_line = all(
            other.end_lineno != written.end_lineno for other in call.args[call.args.index(written) + 1 :]
        )
        if ends_its_line:
            assert list(x.shape) == evaluate(shape_beside(written.end_lineno)), ast.unparse(written)


# What is known to go wrong


def test_sigmoid_pixels_are_tanh_of_half():
    a = torch.linspace(-20, 20, 101)
    assert torch.allclose(models.SigmoidPixels()(a), (a / 2).tanh(), atol=1e-6)


def test_convolutions_start_at_two_hundredths():
    torch.manual_seed(0)
    for net in (models.dcgan_generator(64, 32), models.dcgan_discriminator(32)):
        for layer in net:
            if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
                assert layer.weight.std().item() == pytest.approx(0.02, rel=0.15)
                assert abs(layer.weight.mean().item()) < 0.002
            if isinstance(layer, nn.BatchNorm2d):
                assert layer.weight.mean().item() == pytest.approx(1, abs=0.02)
                assert 0.01 < layer.weight.std().item() < 0.03
                assert layer.bias.abs().max() == 0


@PAIRS
def test_batchnorm_keeps_torchs_epsilon_and_momentum(name):
    for net in (generator(name), discriminator(name)):
        for layer in net.modules():
            if isinstance(layer, nn.BatchNorm2d):
                assert (layer.eps, layer.momentum) == (1e-5, 0.1)


@PAIRS
def test_the_discriminator_sees_its_input_unnormalised(name):
    kinds = [type(layer) for layer in discriminator(name) if list(layer.parameters())]
    assert kinds[0] is not nn.BatchNorm2d
    assert kinds[1] is not nn.BatchNorm2d


# Spectral norm


def largest_singular_value(weight):
    """The root of the largest eigenvalue of W W^T."""
    w = weight.flatten(1).double()
    return math.sqrt(torch.linalg.eigvalsh(w @ w.T)[-1].item())


def test_no_layer_of_the_spectral_discriminator_stretches(images):
    net, plain = discriminator("dcgan-spectral"), discriminator("mapped")
    assert [type(layer).__mro__[1 if hasattr(layer, "weight") else 0] for layer in net] == [
        type(layer) for layer in plain
    ]
    for _ in range(30):
        net(data.to_range(images[:8]))  # each pass is one power iteration
    weights = [layer.weight for layer in net.eval() if hasattr(layer, "weight")]
    assert [largest_singular_value(weight) for weight in weights] == pytest.approx([1.0] * 5, abs=0.02)
    unbounded = [largest_singular_value(layer.weight) for layer in plain if hasattr(layer, "weight")]
    assert max(abs(value - 1) for value in unbounded) > 0.1


# Residual blocks


def test_a_residual_block_adds_to_what_it_is_given_and_starts_with_nothing():
    block, x = residual.Residual(3).apply(residual.even_init), torch.randn(2, 3, 5, 5)
    assert block(x).equal(x)
    nn.init.dirac_(block.f[1].weight)  # both convolutions leave their input as it is
    nn.init.dirac_(block.f[3].weight)
    nn.init.constant_(block.f[1].bias, 1.0)
    leaky = lambda a: torch.where(a > 0, a, 0.2 * a)
    assert torch.allclose(block(x), x + leaky(leaky(x) + 1), atol=1e-6)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.Linear(64, 900), (64,)),
        (nn.Conv2d(32, 64, 4, 2), (32, 20, 20)),
        (nn.ConvTranspose2d(32, 64, 4, 2), (32, 20, 20)),
        (nn.ConvTranspose2d(32, 64, 3, 2), (32, 20, 20)),
    ],
)
def test_an_even_start_leaves_numbers_as_large_as_they_come(layer, shape):
    torch.manual_seed(0)
    with torch.no_grad():
        out = layer.apply(residual.even_init)(torch.randn(20, *shape))
    assert out.std().item() == pytest.approx(1, abs=0.08)  # the edges of a transposed convolution have fewer inputs


def test_the_residual_generator_is_clipped_where_it_samples_and_free_where_it_learns():
    """A pixel beyond the range has a gradient as it learns, where a tanh would have none; a sample has no such pixel."""
    z = 100 * torch.randn(4, 8)
    generator = recipes.PAIRS["residual"][0](8, 4)
    learning = generator(z)
    learning.sum().backward()
    assert learning.abs().max() > 1 and generator[-2].bias.grad.item() == pytest.approx(4 * 784)
    sampled = generator.eval()(z)
    assert sampled.equal(learning.clamp(-1, 1)) and sampled.abs().max() == 1


# Samplers


@pytest.fixture(params=recipes.PAIRS)
def sampler(request):
    """A sampler of a generator that has seen batches, so that its BatchNorm statistics are its own."""
    net = generator(request.param).train()
    with torch.no_grad():
        for _ in range(20):
            net(torch.randn(16, 5) * 2)
    return models.Sampler(net, 5)


def test_an_image_alone_equals_the_image_in_a_batch(sampler):
    z = sampler.noise(32)
    batch = sampler(z)
    for i in (0, 13, 31):
        assert torch.allclose(sampler(z[i : i + 1])[0], batch[i], atol=1e-6)
    assert torch.allclose(sampler(z.flip(0)).flip(0), batch, atol=1e-6)


def test_the_same_z_gives_the_same_image(sampler):
    z = sampler.noise(4)
    assert sampler(z).equal(sampler(z.clone()))


def test_the_same_seed_gives_the_same_samples_and_another_seed_others(sampler):
    assert sampler.sample(4, seed=1).equal(sampler.sample(4, seed=1))
    assert sampler.sample(4, seed=1).equal(sampler(sampler.noise(4, seed=1)))
    assert not sampler.sample(4, seed=1).equal(sampler.sample(4, seed=2))


def test_chunks_change_nothing(sampler):
    assert torch.allclose(sampler.sample(10, chunk=3), sampler.sample(10), atol=1e-6)


def test_sampling_leaves_the_global_random_state_alone(sampler):
    state = torch.get_rng_state()
    sampler.sample(4)
    assert torch.get_rng_state().equal(state)


def test_noise_is_standard_normal(sampler):
    z = sampler.noise(20_000)
    assert z.shape == (20_000, 5)
    assert z.mean().item() == pytest.approx(0, abs=0.02)
    assert z.std().item() == pytest.approx(1, abs=0.02)


def test_a_sampler_keeps_the_range_contract(sampler):
    images = sampler.sample(7)
    assert (images.shape, images.dtype, images.requires_grad) == ((7, 1, 28, 28), torch.float32, False)
    assert -1 <= images.min() < images.max() <= 1


@PAIRS
def test_a_sampler_stays_as_it_was_when_the_generator_moves_on(name):
    net = generator(name)
    sampler = models.Sampler(net, 5)
    before = sampler.sample(3)
    with torch.no_grad():
        [p.add_(0.5) for p in net.parameters()]
        net.train()(torch.randn(8, 5))
    assert sampler.sample(3).equal(before)
    assert net.training
    assert all(p.requires_grad for p in net.parameters())


def test_gradients_reach_z_and_nothing_else(sampler):
    z = sampler.noise(2).requires_grad_(True)
    sampler(z).sum().backward()
    assert z.grad.abs().sum() > 0
    assert all(p.grad is None for p in sampler.generator.parameters())


@pytest.mark.parametrize("shape", [(5,), (1, 4), (1, 5, 1)])
def test_a_wrong_z_is_refused(shape, sampler):
    with pytest.raises(ValueError, match=r"z must have the shape \[N, 5\], not \[" + ", ".join(map(str, shape))):
        sampler(torch.zeros(shape))


# Truncation, and generators from elsewhere


def test_truncation_is_a_part_of_sampling_and_not_of_the_generator(new_sampler):
    plain = new_sampler(9)
    short = models.Sampler(plain.generator, 9, truncation=0.5)
    z = plain.noise(4, seed=2)
    assert short.noise(4, seed=2).equal(0.5 * z)
    assert short.noise(4, seed=2, truncation=1.0).equal(z)
    assert short(z).equal(plain(z))
    assert short.sample(4, seed=2).equal(plain(0.5 * z)) and plain.sample(4, seed=2, truncation=0.5).equal(
        plain(0.5 * z)
    )


@pytest.mark.parametrize("psi", [0, -0.5, 1.5, float("nan"), "0.9", True])
def test_a_truncation_that_is_none_is_refused(psi, new_sampler):
    with pytest.raises(ValueError, match=r"^truncation must be above 0 and at most 1, not "):
        new_sampler(9).sample(4, truncation=psi)
    with pytest.raises(ValueError, match=r"^truncation must be above 0 and at most 1, not "):
        models.Sampler(new_sampler(9).generator, 9, psi)


def test_the_bundled_generator_of_digits_samples_with_its_recipes_truncation():
    sampler = recipes.pretrained("cgan")
    assert sampler.truncation == sampler.of(7).truncation == recipes.get("cgan").truncation == 0.9
    assert recipes.get("cgan").game().sampler().truncation == 0.9
    assert {recipe.truncation for name, recipe in recipes.RECIPES.items() if name != "cgan"} == {1.0}


class FromConvolutions(nn.Module):
    """A generator in the style of PyTorch's DCGAN tutorial: z is an image of one pixel, and what it makes has 64 × 64."""

    def __init__(self, size=64):
        super().__init__()
        self.main = nn.Sequential(nn.ConvTranspose2d(5, 1, size), nn.Tanh())

    def forward(self, z):
        return self.main(z)


def flat(*end):
    """A generator in the style of many first GANs: a row of 784 numbers."""
    return nn.Sequential(nn.Linear(5, 784), *end)


@pytest.mark.parametrize(
    ("generator", "says", "adapt"),
    [
        (
            FromConvolutions(28),
            r"takes z as \[N, 5, 1, 1\]: put nn.Sequential\(nn.Unflatten\(1, \(5, 1, 1\)\), generator\)",
            lambda net: nn.Sequential(nn.Unflatten(1, (5, 1, 1)), net),
        ),
        (
            nn.Sequential(nn.Unflatten(1, (5, 1, 1)), FromConvolutions()),
            r"makes images \[N, 1, 64, 64\], not \[N, 1, 28, 28\]: put nn.Sequential\(generator, nn.Upsample",
            lambda net: nn.Sequential(net, nn.Upsample((28, 28), mode="bilinear")),
        ),
        (
            flat(nn.Tanh()),
            r"makes images \[N, 784\], not \[N, 1, 28, 28\]: put nn.Sequential\(generator, nn.Flatten",
            lambda net: nn.Sequential(net, nn.Flatten(), nn.Unflatten(1, (1, 28, 28))),
        ),
        (
            flat(nn.Tanh(), nn.Unflatten(1, (28, 28))),
            r"makes images \[N, 28, 28\], not",
            lambda net: nn.Sequential(net, nn.Flatten(), nn.Unflatten(1, (1, 28, 28))),
        ),
        (
            flat(nn.Sigmoid(), nn.Unflatten(1, (1, 28, 28))),
            r"pixels of this generator lie from 0\.\d\d to [01]\.\d\d, and must be in \[-1, 1\]: .* models.SigmoidPixels\(\)",
            lambda net: nn.Sequential(net[0], models.SigmoidPixels(), net[2]),
        ),
    ],
)
def test_a_generator_from_elsewhere_is_refused_with_the_way_to_adapt_it(generator, says, adapt):
    with pytest.raises(ValueError, match=says) as error:
        models.Sampler(generator, 5)
    assert "\n" not in str(error.value)
    assert models.Sampler(adapt(generator), 5).sample(3).shape == (3, 1, 28, 28)


@pytest.mark.parametrize(
    ("generator", "says"),
    [
        (nn.Linear(6, 784), r"takes z as \[N, 6\]: let latent_dim be 6\.$"),
        (lambda z: z, "is an nn.Module with weights, not function"),
        (nn.Tanh(), "is an nn.Module with weights, not Tanh"),
        (nn.LSTM(5, 784), "returns one tensor with an image for each z, not tuple"),
    ],
)
def test_what_is_no_generator_is_refused(generator, says):
    with pytest.raises(ValueError, match=says):
        models.Sampler(generator, 5)


def test_the_check_of_a_generator_leaves_no_trace_and_lets_a_diverged_one_pass():
    net = models.dcgan_generator(5, 4)
    before = {key: value.clone() for key, value in net.state_dict().items()}
    state = torch.get_rng_state()
    models.Sampler(net, 5)
    assert torch.get_rng_state().equal(state) and net.training
    assert all(value.equal(before[key]) for key, value in net.state_dict().items())
    net[1].weight.data.fill_(float("nan"))
    assert models.Sampler(net, 5).sample(2).isnan().all()


class Does(nn.Module):
    """A layer that computes `function`."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def fails(z):
    raise AttributeError("no such thing\nand more")


IMAGES = (-1, 1, 28, 28)


@pytest.mark.parametrize(
    ("end", "latent_dim", "says"),
    [
        (
            lambda x: x.view(-1, 28, 28, 1),
            5,
            r"images \[N, 28, 28, 1\], .*nn.Flatten\(\), nn.Unflatten\(1, \(1, 28, 28\)\)",
        ),
        (lambda x: x.repeat(1, 3), 5, r"images \[N, 2352\], .*nn.Unflatten\(1, \(3, 28, 28\)\)"),
        (lambda x: 9 + x.view(IMAGES), 5, r"from 8\.\d+ to \d+\.\d+, and must be in \[-1, 1\]: let it end in nn.Tanh"),
        (lambda x: 127.5 * x.view(IMAGES) + 127.5, 5, r"must be in \[-1, 1\]: let forward return x / 127.5 - 1"),
        (lambda x: x.view(IMAGES)[0], 5, r"can't take z of the shape \[N, 5\]: for 4 of them it makes \[1, 28, 28\]"),
        (lambda x: x.mean(), 5, r"for 4 of them it makes \[\]"),
        (fails, 5, r"can't take z of the shape \[N, 5\]: no such thing$"),
        (lambda x: x.view(IMAGES), 3, r"takes z as \[N, 5\]: let latent_dim be 5\.$"),
    ],
)
def test_a_generator_that_does_not_fit_in_another_way_is_refused_too(end, latent_dim, says):
    with pytest.raises(ValueError, match=says):
        models.Sampler(flat(nn.Tanh(), Does(end)), latent_dim)


def test_of_convolutions_and_a_wrong_length_both_are_told():
    with pytest.raises(ValueError, match=r"as \[N, 5, 1, 1\]: put nn.Sequential\(.* place, and let latent_dim be 5\.$"):
        models.Sampler(FromConvolutions(28), 9)


def test_a_margin_can_be_cropped():
    net = nn.Sequential(nn.Unflatten(1, (5, 1, 1)), FromConvolutions(32))
    with pytest.raises(ValueError, match=r" or nn.ConstantPad2d\(-2, -1.0\)\) in its place\.$"):
        models.Sampler(net, 5)
    assert models.Sampler(nn.Sequential(net, nn.ConstantPad2d(-2, -1.0)), 5).sample(2).shape == (2, 1, 28, 28)


def test_points_may_lie_anywhere_and_an_untrained_net_of_one_shade_is_sound():
    models.Sampler(nn.Sequential(nn.Linear(5, 2), Does(lambda x: 9 + x)), 5)
    shade = models.dcgan_generator(5, 4)
    shade[-2].bias.data.fill_(0.1)  # before training nearly all that it makes is this
    models.Sampler(shade, 5)


def test_the_check_leaves_the_random_state_alone_where_a_generator_draws_from_it():
    net = flat(Does(lambda x: x + torch.randn_like(x)), nn.Tanh(), nn.Unflatten(1, (1, 28, 28)))
    state = torch.get_rng_state()
    models.Sampler(net, 5)
    assert torch.get_rng_state().equal(state)


def test_the_sampler_of_one_class_is_not_checked_again(told):
    passes = []
    with nn.modules.module.register_module_forward_hook(lambda *_: passes.append(1)):
        told.of(7)
    assert passes == []
