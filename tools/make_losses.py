"""Train the same two nets with each loss and penalty of lesson 09, five seeds each, and write gan_lib/reference/losses.json.

    python tools/make_losses.py       # 60 runs of 200 iterations: ten minutes on one thread of an idle CPU

Lesson 09 trains some of `SETTINGS` as well, in the same way. Only the loss, the penalty or the constraint of D changes.
"""

import json
from dataclasses import replace

from gan_lib import data, evaluation, losses, recipes, reference, training
from gan_lib.files import write_atomically

STEPS, SAMPLES, SEEDS = 200, 1000, range(5)
# D without BatchNorm, both rates 0.002
PAIR = replace(recipes.get("dcgan-quick"), nets="dcgan-plain", d_lr=2e-3, batch_size=16)
SETTINGS = {
    "minimax": {"loss": "minimax"},
    "non-saturating": {},
    "non-saturating + R1 + R2": {"gamma": 1.0, "penalty_every": 2},
    "least squares": {"loss": "least squares"},
    "hinge": {"loss": "hinge"},
    "hinge + spectral normalisation": {"loss": "hinge", "nets": "dcgan-spectral"},
    "Wasserstein": {"loss": "Wasserstein"},
    "Wasserstein, clipped to 0.1": {"loss": "Wasserstein"},
    "Wasserstein, clipped to 0.01": {"loss": "Wasserstein"},
    "Wasserstein + gradient penalty": {"loss": "Wasserstein", "penalty": "WGAN-GP", "gamma": 20.0},
    "relativistic": {"loss": "relativistic"},
    "relativistic + R1 + R2": {"loss": "relativistic", "gamma": 1.0, "penalty_every": 2},
}
CLIP = {"Wasserstein, clipped to 0.1": 0.1, "Wasserstein, clipped to 0.01": 0.01}


def clip_weights(game, limit):
    """Clamp all of D's weights to [-limit, limit] after each step of its optimiser."""

    def clip(*_):
        for weight in game.discriminator.parameters():
            weight.data.clamp_(-limit, limit)

    game.d_optimizer.register_step_post_hook(clip)


def play(name, seed, images):
    """[Fréchet distance, mean norm of D's input gradients at real images] after one run."""
    game = replace(PAIR, **SETTINGS[name]).game(seed)
    if name in CLIP:
        clip_weights(game, CLIP[name])
    list(training.train(game, images, STEPS))
    norms = losses.input_gradients(game.discriminator, data.to_range(images[:200])).norm(dim=1)
    found = [evaluation.frechet(game.sampler().sample(SAMPLES, seed)), norms.mean().item()]
    print(name, seed, *found, flush=True)
    return [float(f"{value:.4g}") for value in found]


if __name__ == "__main__":
    images = data.load().images
    runs = {name: [play(name, seed, images) for seed in SEEDS] for name in SETTINGS}
    text = json.dumps({"steps": STEPS, "samples": SAMPLES, "runs": runs}, indent=1)
    write_atomically(reference.FOLDER / "losses.json", (text + "\n").encode())
