"""Train the recipes of gan_lib/studies/stacked_mnist.py, count the modes that each generator covers, and write
gan_lib/reference/stacked.json.

    python tools/make_stacked.py --steps 6000 --seeds 1       # six runs: half an hour on one CPU core
    python tools/make_reference.py                            # then the table in docs/results.md

A run lies in runs/stacked/RECIPE-SEED. Its modes are counted after a sixth, a half and all of its steps. Rows that the file
already holds are not counted again, and an interrupted run continues from the last of these moments.
"""

import argparse
import json
from pathlib import Path

import torch

from gan_lib import checkpoint, hardware, reference, training
from gan_lib.files import write_atomically
from gan_lib.studies import stacked_mnist

RUNS = Path(__file__).resolve().parents[1] / "runs" / "stacked"
SAMPLES = 26_000  # as in Lin et al. 2017
SEED = 1000  # of z: far from the seeds of the runs
RESULTS = reference.FOLDER / "stacked.json"


def moments(steps):
    return [steps // 6, steps // 2, steps]


def train_until(step, recipe, seed, world):
    """The game of this recipe and seed at `step`: from the folder of the run, or trained from its last checkpoint."""
    folder = RUNS / f"{recipe.name}-{seed}"
    path = folder / f"step_{step:07d}.safetensors"
    if path.exists():
        return checkpoint.resume(path, world.images.device)
    before = [other for other in folder.glob("step_*.safetensors") if other < path]  # step numbers have seven digits
    game = checkpoint.resume(max(before), world.images.device) if before else recipe.game(seed, world.images.device)
    for _ in training.train(game, world, step - game.step):
        pass
    checkpoint.save(game, path, recipe)
    return game


def count_modes(codes, modes):
    """The mode coverage of codes [N], with `modes` possible ones: how many were found, and the KL divergence in nats.

    KL = sum of p log(p · modes), where p is a code's share: from the uniform distribution. 0 is best, log(modes) one mode.
    """
    shares = codes.bincount() / len(codes)
    return {"found": (shares > 0).sum().item(), "kl": torch.xlogy(shares, shares * modes).sum().item()}


def floor(seed=SEED):
    """The modes that as many stacks of real test digits cover."""
    world = stacked_mnist.StackedDigits(train=False)
    return count_modes(world.codes(world.sample(SAMPLES, torch.Generator().manual_seed(seed))), world.modes)


def count(recipe, seed, step, world):
    """The row of one run at one step."""
    game = train_until(step, recipe, seed, world)
    modes = count_modes(world.codes(game.sampler().sample(SAMPLES, SEED)), world.modes)
    about = {"seconds": round(game.seconds), "threads": torch.get_num_threads()}
    return {"recipe": recipe.name, "seed": seed, "step": step} | about | modes


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument(
        "--recipes", nargs="+", default=list(stacked_mnist.RECIPES), choices=list(stacked_mnist.RECIPES)
    )
    arguments = parser.parse_args()
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"floor": floor(), "runs": []}
    world = stacked_mnist.StackedDigits(device=hardware.pick_device())
    place = lambda row: (list(stacked_mnist.RECIPES).index(row["recipe"]), row["seed"], row["step"])
    for seed in arguments.seeds:
        for step in moments(arguments.steps):  # so that an unfinished table compares like with like
            for name in arguments.recipes:
                if place({"recipe": name, "seed": seed, "step": step}) in map(place, results["runs"]):
                    continue
                row = count(stacked_mnist.RECIPES[name], seed, step, world)
                results["runs"] = sorted([*results["runs"], row], key=place)
                write_atomically(RESULTS, (json.dumps(results, indent=1) + "\n").encode())
                print(*row.values(), flush=True)


if __name__ == "__main__":
    main()
