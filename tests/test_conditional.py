"""Players that are told labels: what each label does to an image and to a logit, and that the digit asked for is what comes."""

import dataclasses

import pytest
import torch
from torch import nn

from gan_lib import conditional, data, evaluation, models, recipes, training
from gan_lib.recipes import RECIPES

NETS = pytest.mark.parametrize("nets", ["mlp", "mapped"])


@pytest.fixture
def digits(images):
    """48 random images with labels from 0 to 3."""
    return data.Digits(images, torch.arange(48) % 4)


@pytest.fixture
def game(new_game):
    """A game whose generator listens already."""
    game = new_game(classes=4)
    for net in (game.generator, game.average):
        nn.init.normal_(net.embedding.weight)
    return game


# The players


@NETS
def test_the_label_decides_what_is_made_and_z_does_too(nets, new_game):
    game = new_game(nets, classes=4)
    z = game.noise(2)
    alike = game.sampler()
    assert alike(z, torch.tensor([0, 0])).equal(alike(z, torch.tensor([3, 1])))  # at first the label says nothing
    nn.init.normal_(game.average.embedding.weight)
    sampler = game.sampler()
    made = [sampler(z, torch.full((2,), y)) for y in range(4)]
    assert all(not made[a].equal(made[b]) for a in range(4) for b in range(a))
    assert not made[0][0].equal(made[0][1])


def test_what_a_label_adds_is_added_to_its_own_z(images):
    """Each image of a batch follows from its own z and its own label: labels that are tiled the wrong way round would not."""
    torch.manual_seed(0)
    net = conditional.LabelledGenerator(nn.Sequential(nn.Linear(2, 3), nn.Tanh()), classes=3)
    nn.init.normal_(net.embedding.weight)
    z = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    labels = torch.tensor([2, 0, 2])
    made = net(z, labels)
    for i, label in enumerate(labels):
        before = net.first.weight @ z[i] + net.first.bias + net.embedding.weight[label]
        assert torch.allclose(made[i], before.tanh(), atol=1e-6)
    assert net.eval()(z, labels).equal(net.train()(z, labels))  # sampling is truncated, if at all, and not the net


def test_shares_of_classes_are_labels_too(game):
    z, net = game.noise(3), game.average
    assert torch.allclose(net(z, torch.eye(4)[[2, 0, 3]]), net(z, torch.tensor([2, 0, 3])), atol=1e-6)
    between = net.rest(net.first(z) + net.embedding.weight[1].lerp(net.embedding.weight[2], 0.3))
    assert torch.allclose(net(z, torch.tensor([[0.0, 0.7, 0.3, 0.0]]).expand(3, 4)), between, atol=1e-6)


def test_a_logit_is_the_plain_one_and_how_well_the_features_fit_the_label(images):
    """D(x, y) = w · f(x) + b + v_y · f(x), written out for a single image."""
    torch.manual_seed(0)
    plain = models.mlp_discriminator(6)
    net, x = conditional.ProjectionDiscriminator(plain, classes=3), data.to_range(images[:2])
    assert torch.allclose(net(x, torch.tensor([0, 2])), plain(x), atol=1e-6)  # at first the label says nothing
    nn.init.normal_(net.embedding.weight)
    f = plain[:-2](x)
    expected = [
        (plain[-2].weight[0] + net.embedding.weight[y]) @ f[i] + plain[-2].bias[0] for i, y in enumerate([2, 1])
    ]
    assert torch.allclose(net(x, torch.tensor([2, 1])), torch.stack(expected), atol=1e-5)


def test_a_discriminator_without_a_linear_end_is_refused():
    with pytest.raises(ValueError, match=r"must end in a linear layer, not in Conv2d"):
        conditional.ProjectionDiscriminator(models.dcgan_discriminator(6))


def test_a_generator_without_a_linear_beginning_is_refused():
    with pytest.raises(ValueError, match=r"must begin with a linear layer, not with Unflatten"):
        dataclasses.replace(RECIPES["dcgan"], classes=10).game()


# The game


@pytest.mark.parametrize("paired", [False, True])
def test_each_step_tells_d_the_labels_of_both_piles(paired, new_game, digits):
    """Of D's step, its penalty and G's step: real and fake of the same labels, each in the order of its images."""
    game = new_game(classes=4, loss="relativistic" if paired else "non-saturating", gamma=1.0)
    seen = []
    game.discriminator.register_forward_hook(lambda net, told, logits: seen.append(told))
    list(training.train(game, digits, 1))
    shown = {image.numpy().tobytes(): y.item() for image, y in zip(*digits, strict=True)}
    real, labels = seen[0][0][:8], seen[0][1][:8]
    assert [shown[data.to_uint8(image).numpy().tobytes()] for image in real] == labels.tolist()
    piles = [2, 2, *[1] * paired, 1]  # both, both for R1 + R2, then real alone where the loss is paired, and fakes
    assert [len(images) for images, _ in seen] == [8 * n for n in piles]
    for images, told in seen:
        assert told.equal(labels.repeat(len(images) // 8))


def test_g_is_told_the_labels_that_d_is_told(new_game, digits):
    game, told = new_game(classes=4), {"G": [], "D": []}
    for name, net in (("G", game.generator), ("D", game.discriminator)):
        net.register_forward_hook(lambda net, inputs, out, name=name: told[name].append(inputs[1]))
    list(training.train(game, digits, 3))
    assert all(a.equal(b[:8]) for a, b in zip(told["G"], told["D"][::2], strict=True))
    assert not told["G"][0].equal(told["G"][1])


@pytest.mark.parametrize("wrong", ["no labels", "too many classes"])
def test_a_game_that_needs_labels_says_so(wrong, game, digits):
    given = digits.images if wrong == "no labels" else digits._replace(labels=digits.labels + 1)
    with pytest.raises(ValueError, match="This game needs labels from 0 to 3: give it digits as"):
        list(training.train(game, given, 1))
    assert game.step == 0


def test_a_game_without_labels_leaves_them_aside(new_game, digits, state_of, differences):
    with_labels, without = new_game(), new_game()
    list(training.train(with_labels, digits, 3))
    list(training.train(without, digits.images, 3))
    assert differences(state_of(with_labels), state_of(without)) == []


# The sampler


def test_a_sampler_of_one_class_is_a_pure_function_of_z(game):
    sampler = game.sampler()
    z, twos = sampler.noise(6), sampler.of(2)
    assert twos.classes == 0
    assert torch.allclose(twos(z), sampler(z, torch.full((6,), 2)), atol=1e-6)
    assert not any(parameter.requires_grad for parameter in twos.generator.parameters())
    assert torch.allclose(twos(z[3:4])[0], twos(z)[3], atol=1e-6)
    assert twos.sample(6).equal(twos(z))


def test_samples_take_turns_with_the_classes(game):
    sampler = game.sampler()
    expected = sampler(sampler.noise(7), torch.tensor([0, 1, 2, 3, 0, 1, 2]))
    assert torch.allclose(sampler.sample(7, chunk=3), expected, atol=1e-6)


@pytest.mark.parametrize("labels", [torch.tensor([4]), torch.tensor([-1]), torch.tensor([0.0])])
def test_a_label_that_is_none_is_refused(labels, game):
    with pytest.raises(ValueError, match="Labels are whole numbers from 0 to 3, not "):
        game.sampler()(torch.zeros(1, 5), labels)


def test_what_is_asked_the_wrong_way_is_refused(game, new_game):
    sampler, z = game.sampler(), torch.zeros(2, 5)
    with pytest.raises(ValueError, match=r"This generator is told labels: sampler\(z, labels\)"):
        sampler(z)
    with pytest.raises(ValueError, match=r"The 2 z need as many labels, in the shape \[2\], not \[3\]"):
        sampler(z, torch.tensor([0, 1, 2]))
    with pytest.raises(ValueError, match="Labels are whole numbers from 0 to 3, not 4"):
        sampler.of(4)
    with pytest.raises(ValueError, match="was never told a label"):
        new_game().sampler().of(1)
    with pytest.raises(ValueError, match="was never told a label"):
        new_game().sampler()(z, torch.tensor([0, 1]))


# What it is all for


@pytest.mark.parametrize("shift", [0, 3])
def test_the_class_that_was_asked_for_is_the_class_that_comes(shift):
    """Small players, 600 steps; told that every digit is another, three further on, they make that one when asked."""
    digits = data.load()
    digits = digits._replace(labels=(digits.labels + shift) % 10)
    game = dataclasses.replace(RECIPES["cgan"], nets="mlp", width=128, d_width=None).game()
    list(training.train(game, digits, 600))
    read = evaluation.features_and_logits(game.sampler().sample(500))[1].argmax(1)
    assert (read == (torch.arange(500) - shift) % 10).float().mean() > 0.5


def test_the_generator_that_comes_with_the_package_makes_the_digit_asked_for():
    """At least 98 of 100, and of no digit fewer than 96."""
    images, labels = recipes.pretrained("cgan").sample(5000), torch.arange(5000) % 10
    right = (evaluation.features_and_logits(images)[1].argmax(1) == labels).float()
    assert right.mean() >= 0.98
    assert min(right[labels == digit].mean() for digit in range(10)) >= 0.96
