"""The command line: `python -m gan_lib COMMAND`. `--help` lists the commands, and after a command its options."""

import argparse
import contextlib
import json
import shlex
import signal
import sys
import tokenize
from pathlib import Path

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C during the imports below: no traceback

import numpy as np
import torch

from gan_lib import UserError, checkpoint, data, evaluation, files, hardware, latent, pictures, recipes, runs, tables
from gan_lib.playground import write as write_page
from gan_lib.playground import write_trainer
from gan_lib.studies import class_scores, effects, handwriting
from gan_lib.training import Diverged

TRAIN = """\
Train a recipe, on MNIST or --data, and write into a folder:

  real_images.png                  a hundred of the training images
  samples/epoch_N.png              100 samples after epoch N, always of the same z (N = 0: untrained)
  visualization_across_epochs.png  a row of samples for up to ten moments of training
  progress.gif, progress.mp4       the samples as they change
  records.csv                      step, images, seconds, losses, D(x), D(G(z)): means since the row before
  curves.png                       the losses, D(x) and D(G(z)) over the steps
  checkpoints/step_N.safetensors   the full state of the run; up to ten along the way, and the last

Learning rates that decay do so over the whole length of the run, whatever --epochs or --steps says.
Ctrl-C stops the run, writes all of these files and prints the command that continues it. Several GPUs, or CPU processes,
share one run that `python -m gan_lib.processes 2 -m gan_lib train dcgan` starts.
"""
DATA = "a folder of pictures, whose sub-folders are classes, or one of"
SOURCE = "a pretrained recipe, a checkpoint file, or the folder of a run"
PRECEDENCE = "Where both exist, dcgan is the pretrained recipe and ./dcgan the folder of a run."
TRUNCATION = "draw z from N(0, ψ²); below 1: more precision, less recall (default: the recipe's, 0.9 for cgan, else 1)"


def train(options):
    """Train a recipe."""
    recipe, out = recipes.get(options.recipe), options.out or f"runs/{options.recipe}"
    chosen = {name: getattr(options, name) for name in ("device", "seed", "epochs", "steps", "resume", "quiet")}
    run = runs.train(recipe, out, dataset=options.data, **chosen)
    game, team = run.game, run.game.team
    if team.first and game.step >= run.steps:
        fault = f"\nThe run shows a fault. {run.remark}" if run.remark else ""
        print(f"{recipe.name}: {game.step} steps in {game.seconds:.0f} s of training; everything is in {out}{fault}")
    elif team.first:
        python = "python" + f" -m gan_lib.processes {team.size}" * (team.size > 1)
        command = f"{python} -m gan_lib train {recipe.name} --steps {run.steps} --data {shlex.quote(options.data)}"
        command += f" --out {shlex.quote(str(out))} --device {game.device.type} --resume"
        end = f"Stopped after step {game.step} of {run.steps}; everything is in {out}. To continue:\n  {command}"
        print(end, file=sys.stderr)
        sys.exit(130)


def load_sampler(options):
    """The generator that the command names, with its truncation."""
    sampler = checkpoint.sampler(options.source, hardware.pick_device(options.device))
    sampler.truncation = options.truncation or sampler.truncation
    return sampler


def sample(options):
    """Write samples of a generator as a picture, an array or a folder."""
    out = Path(options.out)
    if out.suffix not in (".png", ".npy", ""):
        raise UserError(f"--out must end in .png (a grid) or .npy (uint8 [N, 28, 28]), or be a folder, not {out.name}.")
    samples, columns = draw(load_sampler(options), options)
    images = data.to_uint8(samples).cpu()
    if out.suffix == ".png":
        picture = pictures.tile(images, columns, scale=2)
        if options.text:
            picture = handwriting.stack([handwriting.line(row) for row in samples.split(columns)])
            picture = picture.repeat(4, 0).repeat(4, 1)
        pictures.save_picture(picture, out)
    elif out.suffix == ".npy":
        with files.replacing(out) as temporary:
            np.save(temporary, images.numpy())
    else:
        for i, image in enumerate(images.numpy()):
            pictures.save_picture(image, out / f"{i:05d}.png")
    print(f"{len(images)} samples of {options.source} are in {out}")


def draw(sampler, options):
    """The samples that the command describes, float [N, 1, 28, 28] in [-1, 1], and how many stand in a row."""
    text, n = options.text or options.digits, options.n or 100
    if text:
        n, columns = len(text) * (options.n or 1) if options.text else n, len(text)
        z = sampler.noise(-(-n // columns), options.seed)  # one for each row
        return handwriting.write(sampler, text, z).flatten(0, 1)[:n], columns
    sampler = sampler if options.digit is None else sampler.of(options.digit)
    return sampler.sample(n, options.seed), 10 if sampler.classes == 10 else round(n**0.5)


def page(options):
    """Write generators with sliders, or a GAN that trains, into one HTML file, which needs nothing else."""
    out = options.out or ("train.html" if options.train else "playground.html")
    if Path(out).suffix != ".html":
        raise UserError(f"--out must end in .html, not be {Path(out).name}.")
    size = write_trainer(out) if options.train else write_page(out, options.sources)
    print(f"The page is in {out} ({size / 1e6:.1f} MB): open it in a browser.")


def measure(options):
    """Measure how good the samples of a generator are, or the images of a .npy."""
    n, seeds, device = options.n, range(options.seeds), hardware.pick_device(options.device)
    if options.source.endswith(".npy"):
        if options.truncation:
            raise UserError("--truncation is for a generator: the images in a .npy have no z to truncate.")
        conditional, sets = False, [load_images(options.source).to(device)]
        n = len(sets[0])
        title = f"{n} images of {options.source}"
    else:
        sampler, paths = load_sampler(options), checkpoint.files_of(options.source)
        known = (checkpoint.read(paths[-1]).notes["data"] if paths else "") or "mnist"
        if known != "mnist":
            raise UserError(f"{options.source} was trained on {known}, and these scores are for MNIST: see lesson 16.")
        conditional, sets = sampler.classes == 10, (sampler.sample(n, seed) for seed in seeds)
        title = f"{n} samples of {options.source}" + f", truncation ψ = {sampler.truncation}" * (sampler.truncation < 1)
    found = {"scores": [], "floor": [evaluation.floor(min(n, 60_000), seed, device) for seed in seeds]}
    if conditional:
        found |= {"by_class": [], "floor_by_class": [class_scores.floor(n, seed, device) for seed in seeds]}
    for images in sets:
        found["scores"].append(evaluation.score(images))
        if conditional:
            found["by_class"].append(class_scores.score(images, torch.arange(n) % 10))
    if options.json:
        print(json.dumps({"source": options.source, "n": n} | tables.plain(found)))
        return
    times = f", {len(found['scores'])} times: mean ± standard deviation" if len(found["scores"]) > 1 else ""
    print(f"{title} against the 10000 test digits{times}\n{tables.scores(found['scores'], found['floor'])}")
    if conditional:
        print(tables.class_scores(found["by_class"], found["floor_by_class"]))


def load_images(path):
    """The images of a .npy file, uint8 [N, 28, 28], as float [N, 1, 28, 28] in [-1, 1]. Never unpickles; raises `UserError`."""
    try:
        images = np.lib.format.open_memmap(path, mode="r")  # refuses objects and truncated files
    except (ValueError, OverflowError, SyntaxError, tokenize.TokenError) as error:
        raise UserError(f"{path} is not a .npy file of numbers: it is damaged, or another kind of file.") from error
    if images.dtype != np.uint8 or images.ndim != 3 or images.shape[1:] != (28, 28):
        raise UserError(f"{path} must hold uint8 [N, 28, 28], not {images.dtype} {list(images.shape)}.")
    return data.to_range(torch.from_numpy(np.array(images)))


def directions(options):
    """Find the directions of slant, thickness, ..., and measure what they do."""
    sampler = checkpoint.sampler(options.source, hardware.pick_device(options.device))
    found = effects.measure(sampler, latent.find_directions(sampler))
    title = f"{options.source}: each attribute's direction, and what one step along it does, in standard deviations\n"
    print(json.dumps(tables.plain(found)) if options.json else title + tables.effects(found))


def build_parser():
    """The parser of all commands and their options."""
    parser = argparse.ArgumentParser("python -m gan_lib", description="Train GANs on digits, and sample from them.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    shared = {
        "source": {"help": SOURCE},
        "--device": {"default": "auto", "help": "auto, cpu, cuda or mps (default: auto, which is cuda or cpu)"},
        "--truncation": {"type": number(1e-6, 1, float), "metavar": "ψ", "help": TRUNCATION},
        "--json": {"action": "store_true", "help": "print every number as JSON"},
    }

    def add(do, *names, **more):
        command = commands.add_parser(do.__name__, help=do.__doc__.rstrip("."), **more)
        command.set_defaults(do=do)
        for name in names:
            command.add_argument(name, **shared[name])
        return command

    known = recipes.RECIPES.values()
    rows = [f"  {r.name:12} {r.nets} nets, z of {r.latent_dim}, batch {r.batch_size}, {r.epochs} epochs" for r in known]
    epilog, layout = "\n".join(["recipes:", *rows]), argparse.RawDescriptionHelpFormatter
    command = add(train, "--device", description=TRAIN, epilog=epilog, formatter_class=layout)
    command.add_argument("recipe", help="one of: " + ", ".join(recipes.RECIPES))
    length = command.add_mutually_exclusive_group()
    length.add_argument("--epochs", type=number(1), help="passes over the data (default: the recipe's, or as planned)")
    length.add_argument("--steps", type=number(1), help="iterations, instead of epochs")
    command.add_argument("--data", default="mnist", help=f"{DATA}: {', '.join(data.SETS)} (default: mnist)")
    command.add_argument("--out", help="folder for the files of the run (default: runs/RECIPE)")
    command.add_argument("--seed", type=number(0), help="seed of every random number (default: 0)")
    command.add_argument("--resume", action="store_true", help="continue the run in --out exactly where it stopped")
    command.add_argument("--quiet", action="store_true", help="no progress bar")

    command = add(sample, "source", "--device", "--truncation", epilog=PRECEDENCE)
    command.add_argument("--n", type=number(1, 100_000), help="how many (default: 100, or 1 of --text)")
    what = command.add_mutually_exclusive_group()
    what.add_argument("--digit", type=number(0), help="only this digit, of a conditional generator such as cgan")
    what.add_argument("--digits", metavar="0123", help="rows of these digits, each row in one handwriting")
    what.add_argument("--text", metavar="2026", help="this number, as one picture, in one handwriting")
    command.add_argument("--seed", type=number(0), default=0, help="seed of z (default: 0)")
    command.add_argument("--out", required=True, help="FILE.png: one grid; FILE.npy: uint8 [N, 28, 28]; else a folder")

    command = add(page, epilog=PRECEDENCE)
    what = command.add_mutually_exclusive_group()
    what.add_argument("sources", nargs="*", default=[], help=f"{SOURCE}, which shows its training (none: all recipes)")
    what.add_argument("--train", action="store_true", help="instead, a page that trains a GAN before your eyes")
    command.add_argument("--out", help="the file (default: playground.html, or train.html)")

    command = add(measure, "--device", "--truncation", "--json", epilog=PRECEDENCE)
    command.add_argument("source", help=f"{SOURCE}; or a .npy of images")
    command.add_argument("--n", type=number(1000, 60_000), default=10_000, help="samples for a score (default: 10000)")
    command.add_argument("--seeds", type=number(1), default=1, help="how many scores, each of other z (default: 1)")

    add(directions, "source", "--device", "--json", epilog=PRECEDENCE)
    return parser


def number(low, high=2**32 - 1, kind=int):
    """argparse type: a number from `low` to `high`, an integer by default."""

    def parse(text):
        with contextlib.suppress(ValueError):
            if low <= kind(text) <= high:
                return kind(text)
        raise argparse.ArgumentTypeError(f"{text} is not a {'whole ' * (kind is int)}number from {low} to {high}")

    return parse


def main(words=None):
    """Run a command. A user's mistake is printed as one sentence, with exit status 1; a bug keeps its traceback."""
    parser = build_parser()
    options = parser.parse_args(words)
    for source in getattr(options, "sources", [getattr(options, "source", "")]):
        if source in recipes.pretrained_names() and Path(source).exists():
            sys.stderr.write(f"gan_lib: {source} is the pretrained generator here; for the folder, write ./{source}\n")
    try:
        options.do(options)
    except (UserError, OSError, Diverged, torch.OutOfMemoryError) as error:
        parser.exit(1, f"gan_lib: {runs.FULL if isinstance(error, torch.OutOfMemoryError) else error}\n")
    except KeyboardInterrupt:
        parser.exit(130, "gan_lib: stopped.\n")


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.stdout and sys.stdout.reconfigure(errors="replace")  # a terminal that knows no ψ shows ? instead
    main()
