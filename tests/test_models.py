"""Every pair of nets: ranges, shape comments, initialisation; and the sampler, a pure function of z."""

import ast
import inspect
import math
import re
import textwrap

import pytest
import torch
from torch import nn

from gan_lib import UserError, data, models, recipes

each_pair = pytest.mark.parametrize("name", recipes.PAIRS)


def generator(name, latent_dim=5, width=6):
    return recipes.PAIRS[name][0](latent_dim, width)


def discriminator(name, width=6):
    return recipes.PAIRS[name][1](width)


# What every net keeps


@each_pair
@pytest.mark.parametrize("train", [True, False])
def test_a_generator_makes_images_in_the_range(name, train):
    net = generator(name).train(train)
    with torch.no_grad():
        [layer for layer in net if list(layer.parameters())][-1].weight.mul_(1e5)  # saturates the last layer
    images = net(torch.randn(9, 5))
    assert (images.shape, images.dtype) == ((9, 1, 28, 28), torch.float32)
    limit = math.inf if (name, train) == ("residual", True) else 1  # it clips in eval mode only: see below
    assert -limit <= images.min() < -0.9
    assert 0.9 < images.max() <= limit


@each_pair
def test_a_discriminator_gives_one_logit_an_image_of_any_size(name, images):
    net, x = discriminator(name), data.to_range(images)
    assert (net(x).shape, net(x).dtype) == ((48,), torch.float32)
    nn.init.constant_([layer for layer in net if hasattr(layer, "bias")][-1].bias, -70.0)
    assert net(x).max() < -10  # no sigmoid, no ReLU after the last layer


@each_pair
def test_latent_dim_and_width_set_the_size(name):
    assert generator(name, latent_dim=7)(torch.zeros(2, 7)).shape == (2, 1, 28, 28)
    for make in recipes.PAIRS[name]:
        small, large = (sum(p.numel() for p in make(width=width).parameters()) for width in (6, 12))
        assert large > 1.8 * small


STACKS = {make for pair in recipes.PAIRS.values() for make in pair} - {models.spectral_discriminator}
STACKS |= {models.digit_classifier}


@pytest.mark.parametrize("make", sorted(STACKS, key=lambda make: (make.__module__, make.__name__)))
def test_the_comment_beside_a_layer_is_the_shape_of_its_output(make):
    parameters = inspect.signature(make).parameters.items()
    given = {name: 5 if p.default is inspect.Parameter.empty else p.default for name, p in parameters}
    net, sizes = make(**given), {"N": 3} | given
    lines = textwrap.dedent(inspect.getsource(make)).splitlines()
    calls = [node for node in ast.walk(ast.parse("\n".join(lines))) if isinstance(node, ast.Call)]
    (stack,) = [call for call in calls if ast.unparse(call.func) == "nn.Sequential"]

    def shape_beside(line):
        shape = re.search(r"#\s+(?:[xz] )?\[(.*?)\]", lines[line - 1]).group(1).split(", ")
        return [eval(re.sub(r"(\d) (\w)", r"\1 * \2", size), sizes) for size in shape]

    x = torch.zeros(shape_beside(stack.lineno))
    for i, layer in enumerate(stack.args):
        x = (net[i:] if isinstance(layer, ast.Starred) else net[i])(x)  # a whole net can be the end of another
        if all(other.end_lineno != layer.end_lineno for other in stack.args[i + 1 :]):  # the last layer on its line
            assert list(x.shape) == shape_beside(layer.end_lineno), ast.unparse(layer)


# Initialisation


def test_dcgan_starts_with_normal_weights():
    for layer in (*models.dcgan_generator(64, 32), *models.dcgan_discriminator(32)):
        if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
            assert layer.weight.std().item() == pytest.approx(0.02, rel=0.15)
            assert abs(layer.weight.mean().item()) < 0.002
        if isinstance(layer, nn.BatchNorm2d):
            assert layer.weight.mean().item() == pytest.approx(1, abs=0.02)
            assert 0.01 < layer.weight.std().item() < 0.03
            assert layer.bias.abs().max() == 0


def test_spectral_normalisation_divides_each_layer_by_its_largest_singular_value(images):
    net, plain = discriminator("dcgan-spectral"), discriminator("mapped")
    for _ in range(30):
        net(data.to_range(images[:8]))  # each pass is one power iteration
    weights = lambda each: [layer.weight.flatten(1) for layer in each.eval() if hasattr(layer, "weight")]
    values, unbounded = ([torch.linalg.matrix_norm(w, 2).item() for w in weights(each)] for each in (net, plain))
    assert values == pytest.approx([1.0] * 5, abs=0.02)
    assert max(abs(value - 1) for value in unbounded) > 0.1


def test_a_residual_block_starts_as_the_identity_and_adds_f_of_x():
    block, x = models.Residual(3).apply(models.even_init), torch.randn(2, 3, 5, 5)
    assert block(x).equal(x)
    for layer in (block.f[1], block.f[3]):
        nn.init.dirac_(layer.weight)  # both convolutions leave their input as it is
    nn.init.constant_(block.f[1].bias, 1.0)
    leaky = lambda a: torch.where(a > 0, a, 0.2 * a)
    torch.testing.assert_close(block(x), x + leaky(leaky(x) + 1), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("kind", [nn.Linear, nn.Conv2d, nn.ConvTranspose2d])
@pytest.mark.parametrize("kernel", [3, 4])
def test_an_even_start_keeps_the_variance(kind, kernel):
    layer, shape = (kind(64, 900), (64,)) if kind is nn.Linear else (kind(32, 64, kernel, 2), (32, 20, 20))
    with torch.no_grad():
        out = layer.apply(models.even_init)(torch.randn(20, *shape))
    assert out.std().item() == pytest.approx(1, abs=0.08)  # the edges of a transposed convolution have fewer inputs


def test_the_residual_generator_clips_in_eval_mode_only():
    """In train mode a pixel beyond the range has a gradient, where a tanh would have none."""
    z, net = 100 * torch.randn(4, 8), recipes.PAIRS["residual"][0](8, 4)
    training = net(z)
    training.sum().backward()
    assert training.abs().max() > 1
    assert net[-2].bias.grad.item() == pytest.approx(4 * 784)
    assert net.eval()(z).equal(training.clamp(-1, 1))
    assert net(z).abs().max() == 1


# Samplers


@pytest.fixture(params=recipes.PAIRS)
def sampler(request, liven):
    """A sampler of a generator that has BatchNorm statistics of its own."""
    return models.Sampler(liven(generator(request.param), 2 * torch.randn(64, 5)), 5)


def test_an_image_depends_on_its_z_alone_and_gradients_reach_nothing_else(sampler):
    z = sampler.noise(32)
    batch = sampler(z)
    assert sampler(z.clone()).equal(batch)
    alone = torch.cat([sampler(z[i : i + 1]) for i in (0, 13, 31)])
    for images, expected in ((alone, batch[[0, 13, 31]]), (sampler(z.flip(0)), batch.flip(0))):
        torch.testing.assert_close(images, expected, atol=1e-6, rtol=1e-5)
    sampler(z.requires_grad_(True)).sum().backward()
    assert z.grad.abs().sum() > 0
    assert all(p.grad is None for p in sampler.generator.parameters())


def test_a_sample_depends_on_its_seed_alone(sampler):
    state, images = torch.get_rng_state(), sampler.sample(10, seed=1)
    assert torch.get_rng_state().equal(state)
    assert sampler.sample(10, seed=1).equal(images)
    assert sampler(sampler.noise(10, seed=1)).equal(images)
    assert not sampler.sample(10, seed=2).equal(images)
    torch.testing.assert_close(sampler.sample(10, seed=1, chunk=3), images, atol=1e-6, rtol=1e-5)
    assert (images.shape, images.dtype, images.requires_grad) == ((10, 1, 28, 28), torch.float32, False)


@each_pair
def test_a_sampler_leaves_its_generator_alone_and_does_not_follow_it(name):
    net, state = generator(name), torch.get_rng_state()
    before = {key: value.clone() for key, value in net.state_dict().items()}
    sampler = models.Sampler(net, 5)
    assert torch.get_rng_state().equal(state)
    assert net.training and not sampler.generator.training and all(p.requires_grad for p in net.parameters())
    assert all(value.equal(before[key]) for key, value in net.state_dict().items())
    images = sampler.sample(3)
    with torch.no_grad():
        [p.add_(0.5) for p in net.parameters()]
        net.train()(torch.randn(8, 5))
    assert sampler.sample(3).equal(images)


def test_truncation_scales_normal_noise_and_not_the_generator_and_z_has_its_shape(new_sampler):
    for shape in ((9,), (1, 8), (1, 9, 1)):
        with pytest.raises(UserError, match=re.escape(f"z must have the shape [N, 9], not {list(shape)}.")):
            new_sampler(9)(torch.zeros(shape))
    plain = new_sampler(9)
    many = plain.noise(20_000)
    assert many.shape == (20_000, 9)
    assert (many.mean().item(), many.std().item()) == pytest.approx((0, 1), abs=0.02)
    truncated, z = models.Sampler(plain.generator, 9, truncation=0.5), plain.noise(4, seed=2)
    assert truncated.noise(4, seed=2).equal(0.5 * z)
    assert truncated.noise(4, seed=2, truncation=1.0).equal(z)
    assert truncated(z).equal(plain(z))
    for images in (truncated.sample(4, seed=2), plain.sample(4, seed=2, truncation=0.5)):
        assert images.equal(plain(0.5 * z))
    for psi in (0, -0.5, 1.5, float("nan"), "0.9", True):
        for use in (lambda psi: plain.sample(4, truncation=psi), lambda psi: models.Sampler(plain.generator, 9, psi)):
            with pytest.raises(UserError, match=r"^truncation must be above 0 and at most 1, not "):
                use(psi)


# Generators from elsewhere


class Does(nn.Module):
    """A layer that computes `function`."""

    def __init__(self, function):
        super().__init__()
        self.forward = function


IMAGE, PIXEL = nn.Unflatten(1, (1, 28, 28)), nn.Unflatten(1, (5, 1, 1))
CANT = r"can't take z of the shape \[N, 5\]: "


def tutorial(size, *start):
    """A generator as in PyTorch's DCGAN tutorial, which takes z as images of one pixel and makes images of `size` × `size`."""
    return nn.Sequential(*start, nn.ConvTranspose2d(5, 1, size), nn.Tanh())


def flat(*end):
    """A generator as in many first GANs, whose images are rows of 784 numbers."""
    return nn.Sequential(nn.Linear(5, 784), *end)


row = lambda function: flat(nn.Tanh(), Does(function))
image = lambda function: flat(nn.Tanh(), IMAGE, Does(function))


def fail(z):
    raise AttributeError("no such thing\nand more")


@pytest.mark.parametrize(("generator", "message"), [
    (tutorial(28), "takes z as [N, 5, 1, 1]: put nn.Sequential(nn.Unflatten(1, (5, 1, 1)), generator)"),
    (tutorial(64, PIXEL), "makes images [N, 1, 64, 64], not [N, 1, 28, 28]: put nn.Sequential(generator, nn.U"),
    (tutorial(32, PIXEL), "mode='bilinear')), or nn.Sequential(generator, nn.ConstantPad2d(-2, -1.0)) in its place."),
    (flat(nn.Tanh()), "makes images [N, 784], not [N, 1, 28, 28]: put nn.Sequential(generator, nn.Flatten"),
    (flat(nn.Tanh(), nn.Unflatten(1, (28, 28))), "makes images [N, 28, 28], not"),
])  # fmt: skip
def test_the_advice_for_a_generator_from_elsewhere_adapts_it(generator, message):
    with pytest.raises(UserError, match=re.escape(message)) as error:
        models.Sampler(generator, 5)
    assert "\n" not in str(error.value)
    (advice,) = re.findall("put (.*) in its place", str(error.value))
    for choice in advice.split(", or "):
        adapted = eval(choice, {"nn": nn, "generator": generator})
        assert models.Sampler(adapted, 5).sample(3).shape == (3, 1, 28, 28)


def test_sigmoid_pixels_are_tanh_of_half_and_fit_in_place_of_a_sigmoid():
    a = torch.linspace(-20, 20, 101)
    torch.testing.assert_close(models.SigmoidPixels()(a), (a / 2).tanh(), atol=1e-6, rtol=1e-5)
    message = r"pixels of this generator lie from 0\.\d\d to [01]\.\d\d, and must be in \[-1, 1\]: .* models.SigmoidPixels\(\)"
    with pytest.raises(UserError, match=message):
        models.Sampler(flat(nn.Sigmoid(), IMAGE), 5)
    models.Sampler(flat(models.SigmoidPixels(), IMAGE), 5)


@pytest.mark.parametrize(("generator", "latent_dim", "message"), [
    (row(lambda x: x.repeat(1, 3)), 5, r"images \[N, 2352\], .*nn.Unflatten\(1, \(3, 28, 28\)\)"),
    (image(lambda x: 9 + x), 5, r"from 8\.\d+ to \d+\.\d+, and must be in \[-1, 1\]: let it end in nn.Tanh"),
    (image(lambda x: 127.5 * x + 127.5), 5, r"must be in \[-1, 1\]: let forward return x / 127.5 - 1"),
    (image(lambda x: x[0]), 5, CANT + r"for 4 z it returns \[1, 28, 28\]"),
    (row(torch.mean), 5, CANT + r"for 4 z it returns \[\]"),
    (row(fail), 5, CANT + "no such thing$"),
    (image(lambda x: x), 3, r"takes z as \[N, 5\]: let latent_dim be 5\.$"),
    (nn.Linear(6, 784), 5, r"takes z as \[N, 6\]: let latent_dim be 6\.$"),
    (tutorial(28), 9, r"as \[N, 5, 1, 1\]: put nn.Sequential\(.* place, and let latent_dim be 5\.$"),
    (lambda z: z, 5, "is an nn.Module with weights, not function"),
    (nn.Tanh(), 5, "is an nn.Module with weights, not Tanh"),
    (nn.LSTM(5, 784), 5, "returns one tensor with an image for each z, not tuple"),
])  # fmt: skip
def test_other_generators_that_do_not_fit_are_refused(generator, latent_dim, message):
    with pytest.raises(UserError, match=message):
        models.Sampler(generator, latent_dim)


def test_points_anywhere_nearly_uniform_images_noisy_and_diverged_generators_are_accepted():
    models.Sampler(nn.Sequential(nn.Linear(5, 2), Does(lambda x: 9 + x)), 5)
    noisy, state = image(lambda x: x + 0 * torch.randn_like(x)), torch.get_rng_state()
    models.Sampler(noisy, 5)
    assert torch.get_rng_state().equal(state)  # the check draws nothing from it
    net = models.dcgan_generator(5, 4)
    net[-2].bias.data.fill_(0.1)  # nearly uniform images, as before training
    models.Sampler(net, 5)
    net[1].weight.data.fill_(float("nan"))
    assert models.Sampler(net, 5).sample(2).isnan().all()
