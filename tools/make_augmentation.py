"""Train classifiers on real digits, on generated ones and on both, and write gan_lib/reference/augmentation.json.

    python tools/make_augmentation.py --seeds 0 1 2 3 4            # an hour on one CPU core
    python tools/make_reference.py                            # then the table in docs/results.md

The seed of a run decides its real digits, the generator that is trained on those alone (the arm "own"), the generated
digits and the classifiers. The generator of all 60,000 digits is the bundled one in every run. Rows that the file already
holds are not measured again; all runs of a seed come before those of the next.
"""

import argparse
import itertools
import json

from gan_lib import data, evaluation, hardware, recipes, reference, training
from gan_lib.files import write_atomically
from gan_lib.studies import augmentation

RESULTS = reference.FOLDER / "augmentation.json"
FEW, ALL = (10, 50, 100, 500), 6000  # real digits a class; with all of them "own" and "all" are the same
PLAN = (
    [("real", n) for n in (*FEW, ALL)]
    + [("own", n) for n in FEW]
    + [("all", n) for n in (*FEW, ALL)]
    + [("synthetic", 0)]
)
GENERATED = 20_000
NOISE = 1000  # added to the seed of the noise: far from the seeds of the runs


def trained_on(digits, seed):
    """A generator of these digits alone."""
    game = augmentation.OWN.game(seed, digits.images.device)
    for _ in training.train(game, digits, augmentation.OWN.steps):
        pass
    return game.sampler()


def quality(generated, digits):
    """How good the generated digits are: Fréchet distance, novelty, and the share that the digit net reads as its label."""
    images = data.to_range(generated.images[:10_000])
    return {
        "frechet": round(evaluation.frechet(images), 3),
        "novelty": round(augmentation.novelty(images, digits), 3),
        "as_asked": round(augmentation.accuracy(evaluation.digit_net(images.device), generated), 4),
    }


def measure(arm, per_class, seed, train, test):
    """The row of one arm: the share of `test` that its classifiers read correctly, without and with data augmentation."""
    row = {"arm": arm, "per_class": per_class, "seed": seed}
    real = augmentation.subset(train, per_class, seed)
    sources = [real] if per_class else []
    if arm != "real":
        sampler = trained_on(real, seed) if arm == "own" else recipes.pretrained("cgan", train.images.device)
        sources.append(augmentation.generate(sampler, GENERATED, NOISE + seed))
        if arm != "all":
            row |= quality(sources[-1], real if arm == "own" else train)
    for name, augmented in (("plain", False), ("augmented", True)):
        row[name] = augmentation.accuracy(augmentation.classifier(*sources, augmented=augmented, seed=seed), test)
    return row


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    arguments = parser.parse_args()
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    train, test = (data.load(train=train, device=hardware.pick_device()) for train in (True, False))
    for seed, (arm, per_class) in itertools.product(arguments.seeds, PLAN):
        if (arm, per_class, seed) in [(row["arm"], row["per_class"], row["seed"]) for row in results]:
            continue
        results.append(measure(arm, per_class, seed, train, test))
        write_atomically(RESULTS, (json.dumps(results, indent=1) + "\n").encode())
        print(*results[-1].values(), flush=True)


if __name__ == "__main__":
    main()
