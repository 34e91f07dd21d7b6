"""The command line: `python -m gan_lib train | sample | export`. `--help` after any of them says more."""

import argparse
import contextlib
import hashlib
import json
import os
import shlex
import signal
import sys
from pathlib import Path

import numpy as np
import safetensors.torch
from tqdm import tqdm

from gan_lib import checkpoint, data, models, plotting, recipes, training
from gan_lib.files import write_atomically

TRAIN = """\
Train a recipe on MNIST and write what it made into a folder:

  real_images.png                  what the generator should learn to make
  samples/epoch_N.png              100 samples after epoch N, always of the same z (N = 0: untrained)
  visualization_across_epochs.png  a row of samples for up to ten moments of training
  progress.gif, progress.mp4       the samples as they change
  records.csv                      step, images, seconds, d_loss, g_loss, d_real, d_fake, means since the row before
  curves.png                       the same, drawn
  checkpoints/step_N.safetensors   everything needed to go on; up to ten along the way, and the last

Ctrl-C stops, writes all of these, and says how to go on.
"""


class Run:
    """A folder with what a training run makes."""

    def __init__(self, folder, game, recipe, about):
        self.folder, self.game, self.recipe, self.about = Path(folder), game, recipe, about
        self.z = game.sampler().noise(100)
        self.saved = checkpoint.latest(self.folder / "checkpoints")
        self.records = [r for r in checkpoint.load_records(self.folder / "records.csv") if r.step <= game.step]

    def save(self, epoch, keep):
        """Samples, records and a checkpoint; the checkpoint before goes, unless it was to be kept."""
        pixels = plotting.pixels(self.game.sampler()(self.z))
        plotting.save_picture(plotting.tile(pixels), self.folder / "samples" / f"epoch_{epoch}.png")
        checkpoint.save_records(self.records, self.folder / "records.csv")
        path = self.folder / "checkpoints" / f"step_{self.game.step:07d}.safetensors"
        recipes.save(self.game, self.recipe, path, keep=keep, **self.about)
        if self.saved and self.saved != path and not checkpoint.header(self.saved)["notes"].get("keep", True):
            self.saved.unlink()
        self.saved = path

    def draw(self):
        """The pictures of the whole run, from the samples of its epochs."""
        paths = sorted(self.folder.glob("samples/epoch_*.png"), key=epoch_of)
        frames = [plotting.untile(plotting.load_picture(path)) for path in paths]
        few = sorted({round(i) for i in np.linspace(0, len(paths) - 1, 10)})
        ax = plotting.rows([frames[i] for i in few], [f"epoch {epoch_of(paths[i])}" for i in few])
        plotting.save_figure(ax, self.folder / "visualization_across_epochs.png")
        plotting.save_figure(plotting.curves(self.records)[0], self.folder / "curves.png")
        some = sorted({round(i) for i in np.linspace(0, len(paths) - 1, 60)})
        labels = [f"epoch {epoch_of(paths[i])}" for i in some]
        for name in ("progress.gif", "progress.mp4"):
            plotting.save_animation([frames[i] for i in some], self.folder / name, labels=labels)


def epoch_of(path):
    return int(path.stem.split("_")[1])


def train(arguments):
    recipe, out = recipes.get(arguments.recipe), Path(arguments.out or f"runs/{arguments.recipe}")
    device = data.pick_device(arguments.device)
    last = checkpoint.latest(out / "checkpoints")
    if last and not arguments.resume:
        raise ValueError(f"{out} already holds a run: add --resume to go on with it, or choose another --out.")
    if arguments.resume and not last:
        raise ValueError(
            f"{out} holds no checkpoint to go on from: leave out --resume, or give the run's folder with --out."
        )
    game = recipes.resume(last, device) if last else recipe.game(arguments.seed or 0, device)
    about = {"data": arguments.data}
    if last:
        notes = checkpoint.header(last)["notes"]
        was = notes["recipe"]["name"], notes.get("data", arguments.data)
        if was != (recipe.name, arguments.data):
            raise ValueError(f"{out} holds a run of {was[0]} on {was[1]}: resume it as that.")
        if arguments.seed not in (None, game.seed):
            raise ValueError(f"{out} holds a run of seed {game.seed}, not {arguments.seed}: leave out --seed.")
        recipe = recipes.from_json(notes["recipe"])  # as it was, should the one of that name have changed
    images = data.load(arguments.data, device=device).images
    per_epoch = len(images) // game.batch_size
    steps = arguments.steps or (arguments.epochs or recipe.epochs) * per_epoch
    epochs = -(-steps // per_epoch)

    run = Run(out, game, recipe, about)
    plotting.save_picture(plotting.tile(images[:100]), out / "real_images.png")
    if game.step == 0:
        run.save(0, keep=True)
    bar = tqdm(total=steps, initial=game.step, unit=" steps", disable=arguments.quiet)
    try:
        with bar, interrupts() as asked:
            while game.step < steps and not asked:
                epoch = game.step // per_epoch + 1
                end = min(epoch * per_epoch, steps)
                for record in training.train(game, images, end - game.step):
                    run.records.append(record)
                    bar.update(record.step - bar.n)
                    bar.set_postfix_str(
                        f"epoch {epoch}/{epochs}, d_loss {record.d_loss:.3f}, g_loss {record.g_loss:.3f}, "
                        f"D(x) {record.d_real:.2f}, D(G(z)) {record.d_fake:.2f}"
                    )
                    if asked:
                        break
                run.save(epoch, keep=game.step == end and epoch % -(-epochs // 10) == 0)
    except training.Diverged as error:
        raise training.Diverged(f"{error} The last good checkpoint is {run.saved}.") from error
    run.draw()
    if game.step < steps:
        again = ["python", "-m", "gan_lib", "train", recipe.name, "--steps", str(steps), "--data", arguments.data]
        again += ["--out", str(out), "--device", arguments.device, "--resume"]
        print(f"Stopped after step {game.step} of {steps}; everything is in {out}. To go on:", file=sys.stderr)
        print(f"  {shlex.join(again)}", file=sys.stderr)
        raise SystemExit(130)
    print(f"{recipe.name}: {game.step} steps in {game.seconds:.0f} s of training; everything is in {out}")


@contextlib.contextmanager
def interrupts():
    """A list that is empty until Ctrl-C: so the run stops at a record, with no step cut in two. A second one is final."""
    asked = []

    def ask(number, _):
        signal.signal(signal.SIGINT, before)
        os.write(2, b"\nStopping at the next record ...\n")  # print could be what was interrupted
        asked.append(number)

    before = signal.signal(signal.SIGINT, ask)
    try:
        yield asked
    finally:
        signal.signal(signal.SIGINT, before)


def sample(arguments):
    out = Path(arguments.out)
    if not 1 <= arguments.n <= 100_000:
        raise ValueError(f"--n must lie between 1 and 100000, not be {arguments.n}.")
    if out.suffix not in (".png", ".npy", ""):
        raise ValueError(
            f"--out must end in .png (a grid) or .npy (uint8 [N, 28, 28]), or be a folder, not {out.name}."
        )
    sampler = sampler_of(arguments.source, data.pick_device(arguments.device))
    images = data.to_uint8(sampler.sample(arguments.n, arguments.seed)).cpu()
    if out.suffix == ".png":
        plotting.save_picture(plotting.tile(images, columns=round(arguments.n**0.5), scale=2), out)
    elif out.suffix == ".npy":
        out.parent.mkdir(parents=True, exist_ok=True)
        np.save(out, images.numpy())
    else:
        for i, image in enumerate(images.numpy()):
            plotting.save_picture(image, out / f"{i:05d}.png")
    print(f"{arguments.n} samples of {arguments.source} are in {out}")


def sampler_of(source, device):
    """The frozen generator that `source` names: a pretrained recipe, a checkpoint file, or the folder of a run."""
    path = Path(source)
    if path.is_dir():
        path = checkpoint.latest(path / "checkpoints") or path / "checkpoints"
    if path.name == source and not path.suffix and not path.exists():
        return recipes.pretrained(source, device)
    return recipes.resume(path, device).sampler()


def export(arguments):
    path = checkpoint.latest(Path(arguments.run) / "checkpoints")
    if path is None:
        raise ValueError(f"{arguments.run} holds no checkpoint.")
    game, header = recipes.resume(path), checkpoint.header(path)
    recipe = header["notes"]["recipe"]
    content = safetensors.torch.save({k: v.contiguous() for k, v in game.average.state_dict().items()})
    folder = Path(models.__file__).parent / "weights"
    write_atomically(folder / f"{recipe['name']}.safetensors", content)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest[recipe["name"]] = {
        "command": f"python -m gan_lib train {recipe['name']} --steps {game.step} --seed {game.seed}",
        "recipe": recipe,
        "seed": game.seed,
        "steps": game.step,
        "seconds": round(game.seconds),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    write_atomically(folder / "manifest.json", (json.dumps(manifest, indent=2) + "\n").encode())
    print(f"{recipe['name']}: {len(content) / 1e6:.1f} MB written to {folder}")


def main(words=None):
    parser = argparse.ArgumentParser(
        "python -m gan_lib", description="Train GANs on handwritten digits, and sample from them."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    as_written = {"formatter_class": argparse.RawDescriptionHelpFormatter}
    lines = [
        f"  {r.name:12} {r.nets} nets, z of {r.latent_dim}, batch {r.batch_size}, {r.epochs} epochs"
        for r in recipes.RECIPES.values()
    ]
    command = commands.add_parser(
        "train", help="train a recipe", description=TRAIN, epilog="recipes:\n" + "\n".join(lines), **as_written
    )
    command.set_defaults(do=train)
    command.add_argument("recipe", help="one of: " + ", ".join(recipes.RECIPES))
    length = command.add_mutually_exclusive_group()
    length.add_argument("--epochs", type=whole(1), help="passes over the data (default: the recipe's)")
    length.add_argument("--steps", type=whole(1), help="pairs of steps, in place of epochs")
    command.add_argument("--data", default="mnist", help="one of: " + ", ".join(data.SETS) + " (default: mnist)")
    command.add_argument("--out", help="folder for what the run makes (default: runs/RECIPE)")
    command.add_argument("--seed", type=whole(0), help="where every random number comes from (default: 0)")
    command.add_argument("--device", default="auto", help="auto, cpu or cuda (default: auto)")
    command.add_argument("--resume", action="store_true", help="go on exactly where the run in --out stopped")
    command.add_argument("--quiet", action="store_true", help="no progress bar")

    command = commands.add_parser("sample", help="sample from a generator")
    command.set_defaults(do=sample)
    command.add_argument("source", help="a pretrained recipe, a checkpoint file, or the folder of a run")
    command.add_argument("--n", type=int, default=100, help="how many (default: 100)")
    command.add_argument("--seed", type=whole(0), default=0, help="another seed, other digits (default: 0)")
    command.add_argument(
        "--out", required=True, help="FILE.png: one grid; FILE.npy: uint8 [N, 28, 28]; else a folder of PNGs"
    )
    command.add_argument("--device", default="auto", help="auto, cpu or cuda (default: auto)")

    command = commands.add_parser("export", help="put a run's generator into gan_lib/weights (for maintainers)")
    command.set_defaults(do=export)
    command.add_argument("run", help="the folder of a run")

    arguments = parser.parse_args(words)
    try:
        arguments.do(arguments)
    except (ValueError, OSError, training.Diverged) as error:
        parser.exit(1, f"gan_lib: {error}\n")
    except KeyboardInterrupt:
        parser.exit(130, "gan_lib: stopped.\n")


def whole(low):
    """argparse type: an integer from `low`, and below 2³²."""

    def parse(text):
        if not text.isdecimal() or not low <= int(text) < 2**32:
            raise argparse.ArgumentTypeError(f"{text} is not a whole number from {low} to {2**32 - 1}")
        return int(text)

    return parse


if __name__ == "__main__":
    main()
