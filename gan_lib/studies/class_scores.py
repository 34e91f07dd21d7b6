"""How good is a conditional GAN, class by class? Precision, recall, density and coverage within each class. Lesson 11."""

from typing import NamedTuple

from gan_lib import UserError, data
from gan_lib.evaluation import features_and_logits, precision_recall_density_coverage, real_digits
from gan_lib.studies import augmentation


class ClassScore(NamedTuple):
    """How good the images of one class are, measured against the test digits of that class."""

    right: float  # share of the images that the digit net assigns to the class
    precision: float  # this and the following as in `evaluation.Score`, within the class
    recall: float
    density: float
    coverage: float


def score(images, labels):
    """The `ClassScore` of each digit, from images [N, 1, 28, 28] in [-1, 1] and their labels [N], 0 to 9; six or more of each."""
    real, labels = real_digits(images.device), labels.to(images.device)
    valid = labels.shape == images.shape[:1] and labels.eq(labels.long().clamp(0, 9)).all()
    if not valid or labels.long().bincount(minlength=10).min() < 6:
        raise UserError("There must be a label from 0 to 9 for each image, and at least six images of each digit.")
    features, logits = features_and_logits(images)
    scores = []
    for digit in range(10):
        fakes = labels == digit
        right = (logits[fakes].argmax(1) == digit).float().mean().item()
        shares = precision_recall_density_coverage(real.features[real.labels == digit], features[fakes])
        scores.append(ClassScore(right, *shares))
    return scores


def floor(n=10_000, seed=0, device="cpu"):
    """The reference value of `score`: that of n training digits, equally many of each class, drawn with `seed`."""
    images, labels = augmentation.subset(data.load(device=device), n // 10, seed)
    return score(data.to_range(images), labels)
