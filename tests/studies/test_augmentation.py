"""Few real digits, generated ones, jitter, classifiers of each, and the tool that measures them over seeds."""

import json

import pytest
import torch
from torch import nn

from gan_lib import data, models, recipes, training
from gan_lib.pictures import FAKE, REAL, THEORY
from gan_lib.studies import augmentation
from tools import make_augmentation as tool
from tools import make_digit_net


@pytest.fixture(scope="module")
def digits():
    """2,000 of the test digits."""
    return data.Digits(*(each[:2000] for each in data.load(train=False)))


class Marked(nn.Module):
    """A generator whose images say what it was given: the label in the first pixel, z in the second."""

    classes = 10

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, z, labels):
        images = -torch.ones(len(z), 1, 28, 28)
        images[:, 0, 0, 0] = labels / 10
        images[:, 0, 0, 1] = z[:, 0].clamp(-1, 1)
        return images


def flat(value, n=40, label=0):
    """n digits of one shade and one label."""
    return data.Digits(torch.full((n, 28, 28), value, dtype=torch.uint8), torch.full((n,), label))


# Digits to learn from


def test_a_subset_has_as_many_of_each_class_and_each_digit_once(digits):
    images, labels = data.subset(digits, 30, seed=3)
    assert labels.bincount().tolist() == [30] * 10
    known = {image.numpy().tobytes(): label.item() for image, label in zip(*digits, strict=True)}
    assert [known[image.numpy().tobytes()] for image in images] == labels.tolist()
    assert len(images.flatten(1).unique(dim=0)) == 300


def test_a_subset_follows_from_its_seed_and_a_larger_one_holds_the_smaller(digits):
    first, again, other = (data.subset(digits, 5, seed).images for seed in (0, 0, 1))
    assert first.equal(again)
    assert not first.equal(other)
    larger = {image.numpy().tobytes() for image in data.subset(digits, 9, 0).images}
    assert {image.numpy().tobytes() for image in first} < larger


def test_of_a_class_that_has_no_more_a_subset_takes_all(digits):
    assert data.subset(digits, 6000).labels.bincount().equal(digits.labels.bincount())
    assert len(data.subset(digits, 0).images) == 0


def test_generated_digits_have_the_labels_that_were_asked_for():
    images, labels = augmentation.synthetic(models.Sampler(Marked(), 4), 23, seed=5)
    assert labels.tolist() == [i % 10 for i in range(23)]
    assert images[:, 0, 0].equal((127.5 * (labels / 10 + 1)).round().byte())
    again, other = (augmentation.synthetic(models.Sampler(Marked(), 4), 23, seed).images for seed in (5, 6))
    assert images.equal(again)
    assert not images.equal(other)


def test_generated_digits_vary_as_much_as_in_training(new_game):
    game = new_game("mlp", classes=10, truncation=0.9)
    sampler = game.sampler()
    images, labels = augmentation.synthetic(sampler, 300, seed=5)
    with torch.no_grad():  # an MLP has no BatchNorm: what differs in training is the length of z
        trained = game.average.train()(sampler.noise(300, 5, truncation=1.0), labels)
    assert (data.to_range(images) - trained).abs().max() < 0.5 / 127.5 + 1e-4
    assert (sampler.sample(300, 5) - trained).abs().max() > 2 / 127.5


def test_a_batch_has_an_equal_share_of_each_source_with_its_labels():
    real, fake = flat(255, label=3), flat(0, label=7)
    images, labels = next(augmentation.mixed(real, fake, batch_size=16))
    assert images.flatten(1).mean(1).tolist() == [1] * 8 + [-1] * 8
    assert labels.tolist() == [3] * 8 + [7] * 8
    images, labels = next(augmentation.mixed(real, batch_size=16))
    assert (images.mean(), labels.tolist()) == (1, [3] * 16)


def test_batches_go_on_after_the_shorter_source_ends_and_follow_from_the_seed(digits):
    few = data.subset(digits, 1)
    streams = [augmentation.mixed(few, digits, batch_size=10, seed=seed) for seed in (0, 0, 1)]
    first, again, other = ([next(stream) for _ in range(4)] for stream in streams)
    assert all(a[0].equal(b[0]) for a, b in zip(first, again, strict=True))
    assert not first[3][0].equal(other[3][0])


# Jitter


def test_jitter_keeps_the_range_and_the_shape_and_leaves_black_black(digits):
    images = data.to_range(digits.images[:50])
    moved = augmentation.jitter(images)
    assert moved.shape == images.shape
    assert moved.min() >= -1
    assert moved.max() <= 1 + 1e-6
    assert augmentation.jitter(torch.full((3, 1, 28, 28), -1.0)).equal(torch.full((3, 1, 28, 28), -1.0))


def test_jitter_moves_each_image_on_its_own_and_no_farther_than_it_says():
    dot = torch.full((400, 1, 28, 28), -1.0)
    dot[:, :, 13:15, 13:15] = 1  # in the middle, where neither turns nor stretches move it
    ink = augmentation.jitter(dot)[:, 0] + 1
    along = torch.arange(28) - 13.5
    across, down = ((ink.sum(axis) * along).sum(1) / ink.sum((1, 2)) for axis in (1, 2))
    farthest = max(across.abs().max(), down.abs().max())
    assert 2 < farthest < 2.6  # shifts of 2 pixels, of an image that is up to a tenth smaller, and sheared
    assert across.std() > 0.8
    assert down.std() > 0.8
    square = torch.full((400, 1, 28, 28), -1.0)
    square[:, :, 8:20, 8:20] = 1
    areas = (augmentation.jitter(square) + 1).sum((1, 2, 3)) / (2 * 144)
    assert 0.05 < areas.std() < 0.11  # two stretches of up to a tenth, each of deviation 0.058, make 0.082


def test_the_digit_net_is_trained_with_this_jitter():
    assert make_digit_net.jitter is augmentation.jitter


# Classifiers


@pytest.mark.parametrize("jittered", [False, True])
def test_a_classifier_learns_what_it_is_shown(jittered, digits):
    few = data.subset(data.load(), 20)
    net = augmentation.classifier(few, jittered=jittered, steps=60)
    assert not net.training
    assert augmentation.accuracy(net, digits) > 0.7


def test_of_shuffled_labels_it_learns_nothing(digits):
    images, labels = data.subset(data.load(), 20)
    order = torch.randperm(200, generator=torch.Generator().manual_seed(0))
    net = augmentation.classifier(data.Digits(images, labels[order]), steps=60)
    assert 0.02 < augmentation.accuracy(net, digits) < 0.25


def test_only_a_jittered_classifier_sees_moved_digits(monkeypatch):
    seen = []
    monkeypatch.setattr(augmentation, "jitter", lambda images: seen.append(len(images)) or images)
    augmentation.classifier(flat(0, 80), steps=2)
    assert seen == []
    augmentation.classifier(flat(0, 80), flat(255, 80), jittered=True, steps=2)
    assert seen == [64, 64]


def test_a_classifier_follows_from_its_seed_and_leaves_the_random_state_alone(digits):
    few, found = data.subset(digits, 7), []
    for seed in (0, 0, 1):
        torch.rand(1)  # wherever the state stands
        state = torch.get_rng_state()
        found.append(augmentation.classifier(few, jittered=True, steps=2, seed=seed)[-1].weight)
        assert torch.get_rng_state().equal(state)
    assert found[0].equal(found[1])
    assert not torch.allclose(found[0], found[2])


def test_accuracy_is_the_share_that_is_read_as_labelled():
    net = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
    nn.init.zeros_(net[1].weight)
    net[1].bias.data = torch.eye(10)[4]  # it reads a 4 everywhere
    images = torch.zeros(8, 28, 28, dtype=torch.uint8)
    assert augmentation.accuracy(net, data.Digits(images, torch.tensor([4, 4, 4, 1, 2, 3, 5, 6]))) == 3 / 8


def test_copies_are_not_new_and_other_digits_are(digits):
    train = data.load()
    few = data.subset(train, 50)
    assert augmentation.novelty(data.to_range(few.images), few) == 0
    assert augmentation.novelty(data.to_range(digits.images), few) == 1  # these are what it compares with
    assert 0.9 < augmentation.novelty(data.to_range(train.images[:1000]), few) < 1.1


# The tool


@pytest.fixture
def house(tmp_path, monkeypatch, digits):
    """The tool with a short plan, few digits, two steps for each net, and its file in a temporary folder.

    It returns the numbers of digits that each classifier was shown, of each source, in the order of the classifiers.
    """
    monkeypatch.setattr(
        data, "load", lambda train, device: data.Digits(*(each[: 900 if train else 50] for each in digits))
    )
    monkeypatch.setattr(tool, "RESULTS", tmp_path / "augmentation.json")
    monkeypatch.setattr(tool, "PLAN", [("real", 10), ("own", 10), ("all", 10), ("synthetic", 0)])
    monkeypatch.setattr(tool, "GENERATED", 300)
    monkeypatch.setattr(tool, "quality", lambda generated, digits: {"novelty": len(digits.images)})
    monkeypatch.setattr(recipes, "pretrained", lambda name, device: models.Sampler(Marked(), 4))
    train, classifier = training.train, augmentation.classifier
    monkeypatch.setattr(training, "train", lambda game, digits, steps: train(game, digits, 2))
    shown = []

    def short(*sources, **how):
        shown.append([len(source.images) for source in sources])
        return classifier(*sources, steps=2, **how)

    monkeypatch.setattr(augmentation, "classifier", short)
    return shown


def run_tool(monkeypatch, *seeds):
    monkeypatch.setattr("sys.argv", ["augment.py", "--seeds", *map(str, seeds)])
    tool.main()
    return json.loads(tool.RESULTS.read_text())


def test_the_tool_measures_each_arm_once_and_goes_on_where_it_was(house, monkeypatch):
    noises, synthetic = [], augmentation.synthetic
    monkeypatch.setattr(augmentation, "synthetic", lambda g, n, seed: noises.append(seed) or synthetic(g, n, seed))
    rows = run_tool(monkeypatch, 0, 1)
    assert noises == 3 * [tool.NOISE] + 3 * [tool.NOISE + 1]
    assert [(row["arm"], row["per_class"], row["seed"]) for row in rows] == [
        (*arm, seed) for seed in (0, 1) for arm in tool.PLAN
    ]
    assert house == 2 * (2 * [[100]] + 4 * [[100, 300]] + 2 * [[300]])
    assert [row.get("novelty") for row in rows[:4]] == [None, 100, None, 900]
    assert all(0 <= row[how] <= 1 for row in rows for how in ("plain", "jitter"))

    tool.RESULTS.write_text(json.dumps(rows[:5]))
    del house[:]
    again = run_tool(monkeypatch, 0, 1)
    assert len(house) == 6
    assert again == rows


def test_the_whole_plan_has_every_arm_but_those_that_are_another():
    assert len(tool.PLAN) == len(set(tool.PLAN)) == 15
    assert {arm for arm, _ in tool.PLAN} == set(augmentation.ARMS)
    for arm in ("real", "all"):
        assert [n for name, n in tool.PLAN if name == arm] == [10, 50, 100, 500, 6000]
    assert [n for name, n in tool.PLAN if name == "own"] == [10, 50, 100, 500]  # of all digits, it is "all"


def test_the_own_generator_sees_its_own_digits_only(digits, monkeypatch):
    seen = []
    monkeypatch.setattr(training, "train", lambda game, digits, steps: seen.append((digits, steps)) or [])
    few = data.subset(digits, 10)
    sampler = tool.trained_on(few, seed=1)
    assert seen == [(few, augmentation.OWN.steps)]
    assert sampler.classes == 10


def test_copies_are_as_asked_not_new_and_near_the_real_digits():
    few = data.subset(data.load(), 100)
    copies = tool.quality(few, few)
    assert copies["novelty"] == 0
    assert copies["as_asked"] > 0.98
    others = data.Digits(255 - few.images, (few.labels + 1) % 10)
    wrong = tool.quality(others, few)
    assert wrong["as_asked"] < 0.3
    assert wrong["novelty"] > 1
    assert wrong["frechet"] > 10 * copies["frechet"]


def test_the_figure_of_errors_has_means_and_deviations_without_and_with_augmentation(monkeypatch):
    errors = {"real": {10: [8, 12], 100: [4, 4]}, "own": {10: [6, 6]}, "all": {10: [5, 5], 100: [2, 3]}}
    errors["synthetic"] = {0: [7, 9]}
    factors = {"plain": 1, "jitter": 0.5}
    scaled = lambda how, arm: {n: [factors[how] * value for value in values] for n, values in errors[arm].items()}
    monkeypatch.setattr(augmentation, "errors", scaled)
    axes = augmentation.plot_errors()
    assert [ax.get_title() for ax in axes] == ["without jitter", "with jitter"]
    for ax, factor in zip(axes, factors.values(), strict=True):
        real, own, everything = ax.containers
        assert real[0].get_xydata().tolist() == [[10, 10 * factor], [100, 4 * factor]]
        (low, high), _ = (bar[:, 1] for bar in real[2][0].get_segments())
        assert high - low == pytest.approx(2 * factor * 8**0.5)  # to either side, √8, the deviation of 8 and 12
        assert own[0].get_xydata().tolist() == [[10, 6 * factor]]
        assert [line.get_color() for line in (real[0], own[0], everything[0])] == [REAL, FAKE, FAKE]
        assert [line.get_ydata()[0] for line in ax.lines if line.get_color() == THEORY] == [8 * factor]
        assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    texts = [text.get_text() for text in axes[1].get_legend().get_texts()]
    assert sorted(texts) == sorted(augmentation.ARMS.values())
