"""The scores of each class of a conditional GAN, against `evaluation` and on real digits."""

import pytest
import torch

from gan_lib import UserError, data, evaluation
from gan_lib.studies import augmentation, class_scores


def test_each_class_is_measured_within_itself():
    digits = data.load(train=False)
    images, labels = data.to_range(digits.images[:600]), digits.labels[:600]
    features, _ = evaluation.features_and_logits(images)
    real = evaluation.real_digits(images.device).features[digits.labels == 4]
    expected = evaluation.precision_recall_density_coverage(real, features[labels == 4])
    assert class_scores.score(images, labels)[4][1:] == pytest.approx(expected)


def test_threes_labelled_as_fives_change_the_score_of_the_fives_alone():
    images, labels = augmentation.subset(data.load(), 100)
    images = data.to_range(images)
    before = class_scores.score(images, labels)
    images[labels == 5] = images[labels == 3]
    after = class_scores.score(images, labels)
    assert [before[digit] for digit in range(10) if digit != 5] == [after[digit] for digit in range(10) if digit != 5]
    assert after[5].right < 0.05 < 0.95 < before[5].right
    assert after[5].density < before[5].density / 4
    assert after[5].coverage < before[5].coverage / 4


def test_class_scores_refuse_labels_outside_0_to_9_too_few_or_of_another_shape():
    images, y = data.to_range(data.load(train=False).images[:80]), torch.arange(80) % 10
    five_nines = torch.cat([torch.arange(75) % 9, torch.full((5,), 9)])
    for labels in (y - 1, y + 1, y % 9, five_nines, y[:79], y + 0.5, y.view(80, 1)):
        with pytest.raises(UserError, match="a label from 0 to 9 for each image, and at least six images of each"):
            class_scores.score(images, labels)


def test_the_class_floor_has_equally_many_digits_of_each_class(monkeypatch):
    monkeypatch.setattr(class_scores, "score", lambda images, labels: (images, labels))
    images, labels = class_scores.floor(200, seed=1)
    assert labels.bincount().tolist() == [20] * 10
    assert not images.equal(class_scores.floor(200, seed=2)[0])
    assert evaluation.nearest(images, data.load().images)[0].eq(0).all()
