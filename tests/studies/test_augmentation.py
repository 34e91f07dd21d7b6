"""Few real digits, generated ones, data augmentation, and the classifiers trained on them."""

import json

import pytest
import torch
from torch import nn

from gan_lib import data, models, recipes, training
from gan_lib.studies import augmentation
from tools import make_augmentation as tool


@pytest.fixture(scope="module")
def digits():
    """2,000 of the test digits."""
    return data.Digits(*(each[:2000] for each in data.load(train=False)))


class Marked(nn.Linear):
    """A conditional generator whose images have the label in the first pixel and part of z in the second."""

    classes = 10

    def forward(self, z, labels):
        images = -torch.ones(len(z), 1, 28, 28)
        images[:, 0, 0, 0] = labels / 10
        images[:, 0, 0, 1] = z[:, 0].clamp(-1, 1)
        return images


def flat(value, n=40, label=0):
    """n digits of one grey and one label."""
    return data.Digits(torch.full((n, 28, 28), value, dtype=torch.uint8), torch.full((n,), label))


def test_a_subset_has_as_many_of_each_class_each_once_and_its_seed_decides_it(digits):
    as_bytes = lambda images: [image.numpy().tobytes() for image in images]
    images, labels = augmentation.subset(digits, 30, seed=3)
    assert labels.bincount().tolist() == [30] * 10
    known = dict(zip(as_bytes(digits.images), digits.labels.tolist(), strict=True))
    assert [known[image] for image in as_bytes(images)] == labels.tolist()
    assert len(set(as_bytes(images))) == 300
    every = augmentation.subset(digits, 6000)  # all of a class without more
    assert every.labels.bincount().equal(digits.labels.bincount())
    assert len(augmentation.subset(digits, 0).images) == 0
    first, again, other = (augmentation.subset(digits, 5, seed).images for seed in (0, 0, 1))
    assert first.equal(again)
    assert not first.equal(other)
    assert set(as_bytes(first)) < set(as_bytes(augmentation.subset(digits, 9, 0).images))


def test_generated_digits_have_the_labels_that_they_are_conditioned_on_and_no_truncation():
    sampler = models.Sampler(Marked(4, 1), 4, truncation=0.5)
    images, labels = augmentation.generate(sampler, 23, seed=5)
    assert labels.tolist() == [i % 10 for i in range(23)]
    assert images[:, 0, 0].equal((127.5 * (labels / 10 + 1)).round().byte())
    assert images[:, 0, 1].equal(data.to_uint8(sampler(sampler.noise(23, 5, truncation=1.0), labels))[:, 0, 1])


def test_a_batch_has_an_equal_share_of_each_source_and_the_seed_decides_it(digits):
    real, fake = flat(255, label=3), flat(0, label=7)
    images, labels = next(augmentation.mix(real, fake, batch_size=16))
    assert images.flatten(1).mean(1).tolist() == [1] * 8 + [-1] * 8
    assert labels.tolist() == [3] * 8 + [7] * 8
    images, labels = next(augmentation.mix(real, batch_size=16))
    assert (images.mean(), labels.tolist()) == (1, [3] * 16)
    few = augmentation.subset(digits, 1)  # ends before the other source, and starts again
    streams = [augmentation.mix(few, digits, batch_size=10, seed=seed) for seed in (0, 1)]
    first, other = (torch.stack([next(stream)[0] for _ in range(4)]) for stream in streams)
    assert not first[3].equal(other[3])


def test_data_augmentation_keeps_the_range_and_moves_each_image_independently_within_its_bounds(digits):
    moved = augmentation.augment(data.to_range(digits.images[:50]))
    assert moved.shape == (50, 1, 28, 28)
    assert moved.min() == -1
    assert moved.max() <= 1 + 1e-6

    dot, square = torch.full((2, 400, 1, 28, 28), -1.0)
    dot[:, :, 13:15, 13:15] = 1  # in the middle, where rotation, scale and shear do not move it
    square[:, :, 8:20, 8:20] = 1
    ink = augmentation.augment(dot)[:, 0] + 1
    along = torch.arange(28) - 13.5
    shifts = torch.stack([(ink.sum(axis) * along).sum(1) / ink.sum((1, 2)) for axis in (1, 2)])
    assert 2 < shifts.abs().max() < 2.6  # of 2 pixels, in an image up to a tenth smaller, and sheared; rarely more
    assert (shifts.std(1) > 0.8).all()
    areas = (augmentation.augment(square) + 1).sum((1, 2, 3)) / (2 * 144)
    assert 0.05 < areas.std() < 0.11  # two scales of ±10 %, a deviation of 0.058 each: 0.082


@pytest.mark.parametrize(("augmented", "shuffled", "low", "high"), [
    (False, False, 0.7, 1), (True, False, 0.7, 1), (False, True, 0.02, 0.25),
])  # fmt: skip
def test_a_classifier_learns_its_labels_and_nothing_from_shuffled_ones(augmented, shuffled, low, high, digits):
    images, labels = augmentation.subset(data.load(), 20)
    if shuffled:
        labels = labels[torch.randperm(200, generator=torch.Generator().manual_seed(0))]
    net = augmentation.classifier(data.Digits(images, labels), augmented=augmented, steps=60)
    assert not net.training
    accuracy = (net(data.to_range(digits.images)).argmax(1) == digits.labels).double().mean().item()
    assert low < augmentation.accuracy(net, digits) < high and augmentation.accuracy(net, digits) == accuracy


def test_a_classifier_is_trained_on_augmented_images_only_if_asked_and_decided_by_its_seed(monkeypatch, digits):
    seen = []
    monkeypatch.setattr(augmentation, "augment", lambda images: seen.append(len(images)) or images)
    augmentation.classifier(flat(0, 80), steps=2)
    assert seen == []
    augmentation.classifier(flat(0, 80), flat(255, 80), augmented=True, steps=2)
    assert seen == [64, 64]
    monkeypatch.undo()
    few, weights = augmentation.subset(digits, 7), []
    for seed in (0, 0, 1):
        torch.rand(1)  # from any state
        state = torch.get_rng_state()
        weights.append(augmentation.classifier(few, augmented=True, steps=2, seed=seed)[-1].weight)
        assert torch.get_rng_state().equal(state)
    assert weights[0].equal(weights[1])
    assert not torch.allclose(weights[0], weights[2])


def test_the_novelty_of_copies_is_0_and_of_other_digits_about_1(digits):
    train = data.load()
    few = augmentation.subset(train, 50)
    assert augmentation.novelty(data.to_range(few.images), few) == 0
    assert augmentation.novelty(data.to_range(digits.images), few) == 1  # the digits that it compares with
    assert 0.9 < augmentation.novelty(data.to_range(train.images[:1000]), few) < 1.1


def test_the_tool_measures_each_arm_once_and_resumes(tmp_path, monkeypatch, digits):
    few = lambda train, device: data.Digits(*(each[: 900 if train else 50] for each in digits))
    monkeypatch.setattr(data, "load", few)
    monkeypatch.setattr(tool, "RESULTS", tmp_path / "augmentation.json")
    monkeypatch.setattr(tool, "PLAN", [("real", 10), ("own", 10), ("all", 10), ("synthetic", 0)])
    monkeypatch.setattr(tool, "GENERATED", 300)
    monkeypatch.setattr(tool, "quality", lambda generated, digits: {"novelty": len(digits.images)})
    monkeypatch.setattr(recipes, "pretrained", lambda name, device: models.Sampler(Marked(4, 1), 4))
    seeds, trained, sizes = [], [], []  # of generated digits, of generators' training, of classifiers' sources
    generate, train, classifier = augmentation.generate, training.train, augmentation.classifier
    short_run = lambda game, digits, steps: trained.append((len(digits.images), steps)) or train(game, digits, 2)

    def short_fit(*sources, **options):
        sizes.append([len(source.images) for source in sources])
        return classifier(*sources, steps=2, **options)

    monkeypatch.setattr(augmentation, "generate", lambda g, n, seed: seeds.append(seed) or generate(g, n, seed))
    monkeypatch.setattr(training, "train", short_run)
    monkeypatch.setattr(augmentation, "classifier", short_fit)
    monkeypatch.setattr("sys.argv", ["make_augmentation.py", "--seeds", "0", "1"])
    tool.main()
    rows = json.loads(tool.RESULTS.read_text())
    assert seeds == 3 * [tool.NOISE] + 3 * [tool.NOISE + 1]
    arms = [(*arm, seed) for seed in (0, 1) for arm in tool.PLAN]
    assert [(row["arm"], row["per_class"], row["seed"]) for row in rows] == arms
    assert trained == 2 * [(100, augmentation.OWN.steps)]  # "own": on its own digits alone
    assert sizes == 2 * (2 * [[100]] + 4 * [[100, 300]] + 2 * [[300]])
    assert [row.get("novelty") for row in rows[:4]] == [None, 100, None, 900]
    assert all(0 <= row[how] <= 1 for row in rows for how in ("plain", "augmented"))

    tool.RESULTS.write_text(json.dumps(rows[:5]))
    del sizes[:]
    tool.main()
    assert len(sizes) == 6
    assert json.loads(tool.RESULTS.read_text()) == rows


def test_the_quality_of_copies_and_of_inverted_digits_with_wrong_labels():
    few = augmentation.subset(data.load(), 100)
    copies = tool.quality(few, few)
    assert copies["novelty"] == 0
    assert copies["as_asked"] > 0.98
    wrong = tool.quality(data.Digits(255 - few.images, (few.labels + 1) % 10), few)
    assert wrong["as_asked"] < 0.3
    assert wrong["novelty"] > 1
    assert wrong["frechet"] > 10 * copies["frechet"]
