"""Do generated digits help a classifier? Train it on few real digits, on generated ones, or on both. Lesson 12."""

import dataclasses
import itertools
import json

import torch
from torch.nn import functional as F

from gan_lib import UserError, data, evaluation, hardware, models, recipes, reference

STEPS = 500  # of every classifier: on all digits, with data augmentation, it reads more than 99 % of the test digits
OWN = dataclasses.replace(recipes.RECIPES["cgan"], width=16, d_width=24, epochs=1)  # less than a minute on one thread
ARMS = {  # the training data of the classifiers in tools/make_augmentation.py
    "real": "real digits",
    "own": "+ a generator trained on these",
    "all": "+ cgan, trained on all 60,000",
    "synthetic": "generated digits only",
}


def subset(digits, per_class, seed=0):
    """`data.Digits` with `per_class` (at least 0) images of each class, drawn with `seed`: all of a class that has fewer."""
    if per_class < 0:
        raise UserError(f"per_class must be at least 0, not {per_class}.")
    order = torch.randperm(len(digits.labels), generator=torch.Generator().manual_seed(seed)).to(digits.labels.device)
    chosen = torch.cat([order[digits.labels[order] == label][:per_class] for label in digits.labels.unique()])
    return data.Digits(*(each[chosen] for each in digits))


def generate(sampler, n, seed=0):
    """n generated digits with their labels, as `data.Digits`: as many of each class, and for variety without truncation."""
    images = data.to_uint8(sampler.sample(n, seed, truncation=1.0))
    return data.Digits(images, torch.arange(n, device=sampler.device) % sampler.classes)


def augment(images):
    """Data augmentation: a random affine map of each image [N, 1, 28, 28], by ±12°, ±10 % in size, ±0.15 shear, ±2 pixels."""
    draw = lambda reach, *size: reach * (torch.rand(len(images), *size) * 2 - 1)
    angle, shear, scale, shift = draw(0.21), draw(0.15), 1 + draw(0.1, 2), draw(2 / 14, 2)
    maps = torch.stack([scale[:, 0] * angle.cos(), shear - angle.sin(), shift[:, 0],
                        angle.sin(), scale[:, 1] * angle.cos(), shift[:, 1]], 1).view(-1, 2, 3)  # fmt: skip
    grid = F.affine_grid(maps.to(images.device), images.shape, align_corners=False)
    return F.grid_sample(images + 1, grid, align_corners=False) - 1  # it pads with 0, so black must be 0 here


def mix(*sources, batch_size=64, seed=0):
    """Yield (images, labels) without end, with an equal share of each batch from each source, a `data.Digits`."""
    streams = [data.labelled_batches(source, batch_size // len(sources), seed=seed) for source in sources]
    for parts in zip(*streams, strict=True):
        yield tuple(torch.cat(part) for part in zip(*parts, strict=True))


def classifier(*sources, augmented=False, steps=STEPS, seed=0):
    """A `models.digit_classifier` in eval mode, trained for `steps` on batches of 64 from `mix`, which may be `augmented`."""
    device = sources[0].images.device
    dtype = hardware.fast_dtype(device)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        net = models.digit_classifier().to(device)
        optimizer = torch.optim.AdamW(net.parameters(), weight_decay=0.02, fused=True)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=steps)
        for images, labels in itertools.islice(mix(*sources, seed=seed), steps):
            with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
                logits = net(augment(images) if augmented else images).float()
            loss = F.cross_entropy(logits, labels, label_smoothing=0.05)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return net.eval()


def accuracy(net, digits):
    """The share of `digits` that the classifier reads as their labels."""
    logits = evaluation.features_and_logits(data.to_range(digits.images), net)[1]
    return (logits.argmax(1) == digits.labels).cpu().double().mean().item()


def novelty(images, digits):
    """The median distance of images [N, 1, 28, 28] to their nearest of `digits`, over that of test digits; copies have 0."""
    test = evaluation.real_digits(images.device).images
    ours, theirs = (evaluation.nearest(each[:1000], digits.images)[0].median() for each in (images, test))
    return (ours / theirs).item()


def read_results(field, *arms):
    """{real digits a class: [field, for each seed]} of these `ARMS`, by tools/make_augmentation.py.

    Fields: "plain" and "augmented", the accuracy without and with data augmentation. For "own" and "synthetic" also the
    generator's "frechet", "novelty" (see `novelty`) and "as_asked", the share of its digits that are read as their label.
    """
    rows = [row for row in json.loads((reference.FOLDER / "augmentation.json").read_text()) if row["arm"] in arms]
    counts = sorted({row["per_class"] for row in rows})
    return {count: [row[field] for row in rows if row["per_class"] == count] for count in counts}


def errors(how, *arms):
    """{real digits a class: [error rate on the test digits in %, for each seed]}; how is "plain" or "augmented"."""
    return {count: [100 - 100 * value for value in values] for count, values in read_results(how, *arms).items()}
