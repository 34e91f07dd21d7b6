"""Put the generators of finished runs into gan_lib/weights/, with their entries in its manifest.json.

    python tools/make_weights.py runs/reference/dcgan-0

It is the EMA of the generator in the last checkpoint of the run.
"""

import argparse
import hashlib
import json
from pathlib import Path

import safetensors.torch

from gan_lib import checkpoint, files

FOLDER = Path(__file__).resolve().parents[1] / "gan_lib" / "weights"


def save(name, tensors, folder=FOLDER, **about):
    """Write `name`.safetensors from a dict of tensors, and note `about` and its SHA-256 in manifest.json.

    Returns the size in bytes.
    """
    content = safetensors.torch.save({key: tensor.contiguous() for key, tensor in tensors.items()})
    entries = json.loads((folder / "manifest.json").read_text())
    entries[name] = about | {"sha256": hashlib.sha256(content).hexdigest()}
    files.write_atomically(folder / f"{name}.safetensors", content)
    files.write_atomically(folder / "manifest.json", (json.dumps(entries, indent=2) + "\n").encode())
    return len(content)


def export(run, folder=FOLDER):
    """Write the averaged generator of the last checkpoint of `run`, the folder of a training run. Raises `ValueError`."""
    path = checkpoint.latest(Path(run))
    if path is None:
        raise ValueError(f"{run} holds no checkpoint.")
    saved = checkpoint.read(path)
    game, recipe = saved.game(), saved.notes["recipe"]
    size = save(
        recipe["name"], game.average.state_dict(), folder,
        command=f"python -m gan_lib train {recipe['name']} --steps {game.step} --seed {game.seed}",
        recipe=recipe, seed=game.seed, steps=game.step, seconds=round(game.seconds),
    )  # fmt: skip
    print(f"{recipe['name']}: {size / 1e6:.1f} MB written into gan_lib/weights")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", help="folders of finished training runs")
    for run in parser.parse_args().runs:
        export(run)


if __name__ == "__main__":
    main()
