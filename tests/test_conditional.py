"""Conditional nets: what a label does to an image and to a logit, and that G generates the digit of the label."""

import dataclasses

import pytest
import torch
from torch import nn

from gan_lib import UserError, data, evaluation, models, recipes, training


@pytest.fixture
def digits(images):
    """48 random images with labels from 0 to 3."""
    return data.Digits(images, torch.arange(48) % 4)


@pytest.fixture
def game(new_game):
    """A game whose generator depends on the label already."""
    game = new_game(classes=4)
    for net in (game.generator, game.average):
        nn.init.normal_(net.embedding.weight)
    return game


def test_each_z_gets_the_embedding_of_its_own_label_or_a_mix_of_embeddings(game):
    net = models.LabelledGenerator(nn.Sequential(nn.Linear(2, 3), nn.Tanh()), classes=3)
    z, y = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]), torch.tensor([2, 0, 2])
    assert net(z, y).equal(net(z, y - y))  # at first labels have no influence: the class embedding is 0
    nn.init.normal_(net.embedding.weight)
    expected = [(net.first.weight @ z[i] + net.first.bias + net.embedding.weight[y[i]]).tanh() for i in range(3)]
    torch.testing.assert_close(net(z, y), torch.stack(expected), atol=1e-6, rtol=1e-5)
    assert net.eval()(z, y).equal(net.train()(z, y))  # truncation belongs to sampling and not to the net
    z, net = game.noise(3), game.average
    torch.testing.assert_close(net(z, torch.eye(4)[[2, 0, 3]]), net(z, torch.tensor([2, 0, 3])), atol=1e-6, rtol=1e-5)
    between = net.rest(net.first(z) + net.embedding.weight[1].lerp(net.embedding.weight[2], 0.3))
    shares = torch.tensor([[0.0, 0.7, 0.3, 0.0]]).expand(3, 4)
    torch.testing.assert_close(net(z, shares), between, atol=1e-6, rtol=1e-5)


def test_a_logit_adds_how_well_the_features_fit_the_label(images):
    """D(x, y) = w · f(x) + b + v_y · f(x), written out for single images."""
    plain = models.mlp_discriminator(6)
    net, x = models.ProjectionDiscriminator(plain, classes=3), data.to_range(images[:2])
    torch.testing.assert_close(net(x, torch.tensor([0, 2])), plain(x), atol=1e-6, rtol=1e-5)  # v is 0
    nn.init.normal_(net.embedding.weight)
    f, v, last = plain[:-2](x), net.embedding.weight, plain[-2]
    expected = [(last.weight[0] + v[y]) @ f[i] + last.bias[0] for i, y in enumerate([2, 1])]
    torch.testing.assert_close(net(x, torch.tensor([2, 1])), torch.stack(expected), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("paired", [False, True])
def test_both_steps_condition_g_and_d_on_the_labels_of_the_real_images(paired, new_game, digits):
    """In D's step, its penalty and G's step: real and fake have the same labels, each in the order of its images."""
    game = new_game(classes=4, loss="relativistic" if paired else "non-saturating", gamma=1.0)
    of_g, of_d = [], []
    game.generator.register_forward_hook(lambda net, given, images: of_g.append(given[1]))
    game.discriminator.register_forward_hook(lambda net, given, logits: of_d.append(given))
    list(training.train(game, digits, 2))
    label_of = {image.numpy().tobytes(): y.item() for image, y in zip(*digits, strict=True)}
    sizes = [2, 2, *[1] * paired, 1]  # both, both for R1 + R2, then real alone where the loss is paired, and fakes
    assert [len(images) for images, _ in of_d] == [8 * n for n in sizes] * 2
    for labels, inputs in zip(of_g, (of_d[: len(sizes)], of_d[len(sizes) :]), strict=True):
        real = data.to_uint8(inputs[0][0][:8])
        assert [label_of[image.numpy().tobytes()] for image in real] == labels.tolist()
        assert all(y.equal(labels.repeat(len(images) // 8)) for images, y in inputs)


def test_a_sampler_of_one_class_is_a_pure_function_of_z(game):
    sampler = models.Sampler(game.average, 5, truncation=0.5)
    z, passes = sampler.noise(7), []
    with nn.modules.module.register_module_forward_hook(lambda *_: passes.append(1)):
        twos = sampler.of(2)
    assert (twos.classes, passes) == (0, [])  # the generator is not checked again
    close = lambda a, b: torch.testing.assert_close(a, b, atol=1e-6, rtol=1e-5)
    close(twos(z), sampler(z, torch.full((7,), 2)))
    close(twos(z[3:4])[0], twos(z)[3])
    assert twos.sample(7).equal(twos(z))
    assert not (twos.generator.training or any(p.requires_grad for p in twos.generator.parameters()))
    close(sampler.sample(7, chunk=3), sampler(z, torch.tensor([0, 1, 2, 3, 0, 1, 2])))  # all classes in turn


def test_nets_labels_and_images_that_do_not_fit_are_refused(game, new_game, digits, state_of, differences):
    sampler, plain, z, before = game.sampler(), new_game().sampler(), torch.zeros(2, 5), state_of(game)
    train, discriminate = lambda images: list(training.train(game, images, 1)), models.ProjectionDiscriminator
    for call, message in [
        (lambda: sampler(z), r"is conditional: call sampler\(z, y\) with labels y, or sampler.of\(7\)\(z\)"),
        (lambda: sampler(z, torch.tensor([0, 1, 2])), r"labels of 2 z must have the shape \[2\], not \[3\]"),
        (lambda: sampler.of(4), "Labels are whole numbers from 0 to 3, not 4"),
        (lambda: sampler(z, torch.tensor([0, 4])), r"Labels are whole numbers from 0 to 3, not \[0, 4\]"),
        (lambda: sampler(z, torch.tensor([0, -1])), "Labels are whole numbers from 0 to 3"),
        (lambda: sampler(z, torch.tensor([0.0, 1.0])), "Labels are whole numbers from 0 to 3"),
        (lambda: plain.of(1), "This generator is not conditional"),
        (lambda: plain(z, torch.tensor([0, 1])), "This generator is not conditional"),
        (lambda: train(digits.images), "This game needs labels from 0 to 3"),
        (lambda: train(digits._replace(labels=digits.labels + 1)), "This game needs labels from 0 to 3"),
        (lambda: train(digits._replace(images=digits.images / 255)), "The images must be uint8"),
        (lambda: new_game("dcgan", classes=10), "must begin with a linear layer, not with Unflatten"),
        (lambda: discriminate(models.dcgan_discriminator(6)), "end in a linear layer, not in Conv2d"),
    ]:
        with pytest.raises(UserError, match=message):
            call()
    assert differences(state_of(game), before) == []


def test_a_small_gan_generates_the_digit_of_the_label():
    """After 600 iterations. It is trained with labels that are 3 too high, so it generates the digit 3 lower."""
    digits = data.load()
    digits = digits._replace(labels=(digits.labels + 3) % 10)
    game = dataclasses.replace(recipes.get("cgan"), nets="mlp", width=128, d_width=None).game()
    list(training.train(game, digits, 600))
    read = evaluation.features_and_logits(game.sampler().sample(500))[1].argmax(1)
    assert (read == (torch.arange(500) - 3) % 10).float().mean() > 0.5


def test_the_bundled_generator_generates_the_digit_of_the_label():
    """At least 98 % of the images, and at least 96 % of every digit."""
    images, labels = recipes.pretrained("cgan").sample(5000), torch.arange(5000) % 10
    right = (evaluation.features_and_logits(images)[1].argmax(1) == labels).float()
    assert right.mean() >= 0.98
    assert min(right[labels == digit].mean() for digit in range(10)) >= 0.96
