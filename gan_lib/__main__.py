"""The command line: `python -m gan_lib COMMAND`. `--help` lists the commands, and after any of them says more."""

import argparse
import json
import shlex
import sys
from pathlib import Path

import numpy as np
import torch

from gan_lib import (
    UserError,
    checkpoint,
    data,
    evaluation,
    hardware,
    latent,
    pictures,
    playground,
    recipes,
    runs,
    tables,
    training,
)  # fmt: skip
from gan_lib.studies import handwriting

TRAIN = """\
Train a recipe on MNIST and write what it made into a folder:

  real_images.png                  what the generator should learn to make
  samples/epoch_N.png              100 samples after epoch N, always of the same z (N = 0: untrained)
  visualization_across_epochs.png  a row of samples for up to ten moments of training
  progress.gif, progress.mp4       the samples as they change
  records.csv                      step, images, seconds, losses, D(x), D(G(z)): means since the row before
  curves.png                       the same, drawn
  checkpoints/step_N.safetensors   everything needed to go on; up to ten along the way, and the last

Learning rates that decay do so over the whole length of the run, whatever --epochs or --steps says.
Ctrl-C stops, writes all of these, and says how to go on. Several GPUs, or CPU processes, share one run that is started by
`accelerate launch --multi_gpu --num_processes 2 -m gan_lib train dcgan`.
"""
SOURCE = "The name of a pretrained recipe goes before a folder of that name: dcgan is the recipe, ./dcgan the folder."


def train(options):
    """`runs.train`, and how it ended. Returns the exit status: 130 if Ctrl-C stopped the run."""
    recipe, out = recipes.get(options.recipe), options.out or f"runs/{options.recipe}"
    run = runs.train(
        recipe, out, dataset=options.data, device=options.device, seed=options.seed, epochs=options.epochs,
        steps=options.steps, resume=options.resume, quiet=options.quiet,
    )  # fmt: skip
    game = run.game
    if game.team.first and run.finished:
        print(f"{recipe.name}: {game.step} steps in {game.seconds:.0f} s of training; everything is in {out}")
        if run.remark:
            print(f"The run shows a fault. {run.remark}")
    elif game.team.first:
        launch = ["accelerate", "launch", "--multi_gpu", "--num_processes", str(game.team.size)]
        again = [*(launch if game.team.size > 1 else ["python"]), "-m", "gan_lib", "train", recipe.name]
        again += ["--steps", str(run.steps), "--data", options.data, "--out", str(out), "--device", game.device.type]
        print(f"Stopped after step {game.step} of {run.steps}; everything is in {out}. To go on:", file=sys.stderr)
        print(f"  {shlex.join([*again, '--resume'])}", file=sys.stderr)
    return 0 if run.finished or not game.team.first else 130


def load_sampler(options):
    """The generator that the command names, with its truncation."""
    sampler = checkpoint.sampler(options.source, hardware.pick_device(options.device))
    sampler.truncation = options.truncation or sampler.truncation
    return sampler


def sample(options):
    """Write samples as a grid, a text, an array or a folder."""
    out, n = Path(options.out), options.n or (1 if options.text else 100)
    if out.suffix not in (".png", ".npy", ""):
        raise UserError(f"--out must end in .png (a grid) or .npy (uint8 [N, 28, 28]), or be a folder, not {out.name}.")
    sampler = load_sampler(options)
    columns = len(options.text or options.digits or "") or (10 if sampler.classes == 10 else round(n**0.5))
    if options.text or options.digits:
        z = sampler.noise(n if options.text else -(-n // columns), options.seed)
        samples = [
            handwriting.write(sampler, options.text or options.digits, part).flatten(0, 1) for part in z.split(100)
        ]
        samples = torch.cat(samples)[: n * columns if options.text else n]
    elif options.digit is not None:
        samples, columns = sampler.of(options.digit).sample(n, options.seed), round(n**0.5)
    else:
        samples = sampler.sample(n, options.seed)
    images = data.to_uint8(samples).cpu()
    if out.suffix == ".png" and options.text:
        lines = [handwriting.line(digits) for digits in samples.split(columns)]
        pictures.save_picture(handwriting.stack(lines).repeat(4, 0).repeat(4, 1), out)
    elif out.suffix == ".png":
        pictures.save_picture(pictures.tile(images, columns, scale=2), out)
    elif out.suffix == ".npy":
        out.parent.mkdir(parents=True, exist_ok=True)
        np.save(out, images.numpy())
    else:
        for i, image in enumerate(images.numpy()):
            pictures.save_picture(image, out / f"{i:05d}.png")
    print(f"{len(images)} samples of {options.source} are in {out}")


def page(options):
    """Write the playground."""
    if Path(options.out).suffix != ".html":
        raise UserError(f"--out must end in .html, not be {Path(options.out).name}.")
    size = playground.write(options.out, options.sources)
    print(f"The playground is in {options.out} ({size / 1e6:.1f} MB): open it in a browser.")


def measure(options):
    """Score samples, or the images of a .npy, beside training digits."""
    n, seeds, device = options.n, range(options.seeds), hardware.pick_device(options.device)
    labelled, y = False, torch.arange(n) % 10
    if options.source.endswith(".npy"):
        if options.truncation:
            raise UserError("--truncation is for a generator: the images in a .npy are what they are.")
        batches, n = [images := pictures.load_images(options.source).to(device)], len(images)
        what = f"{n} images of {options.source}"
    else:
        sampler = load_sampler(options)
        labelled, batches = sampler.classes == 10, (sampler.sample(n, seed) for seed in seeds)
        what = f"{n} samples of {options.source}"
        what += f", truncation ψ = {sampler.truncation}" * (sampler.truncation < 1)
    found = {"scores": [], "floor": [evaluation.floor(min(n, 60_000), seed, device) for seed in seeds]}
    if labelled:
        found |= {"by_class": [], "floor_by_class": [evaluation.class_floor(n, seed, device) for seed in seeds]}
    for images in batches:
        found["scores"].append(evaluation.score(images))
        if labelled:
            found["by_class"].append(evaluation.class_scores(images, y))
    if options.json:
        print(json.dumps({"source": options.source, "n": n} | tables.plain(found)))
        return
    times = f", {len(found['scores'])} times: mean ± standard deviation" if len(found["scores"]) > 1 else ""
    print(f"{what} against the 10000 test digits{times}")
    print(tables.scores(found["scores"], found["floor"]))
    if labelled:
        print(tables.class_scores(found["by_class"], found["floor_by_class"]))


def directions(options):
    """Find the directions of the attributes, and measure their effects."""
    sampler = checkpoint.sampler(options.source, hardware.pick_device(options.device))
    found = latent.effects(sampler, latent.find_directions(sampler))
    if options.json:
        print(json.dumps(tables.plain(found)))
        return
    print(f"{options.source}: each attribute's direction, and what one step along it does, in standard deviations")
    print(tables.effects(found))


def bench(options):
    """Time this machine."""
    from gan_lib.studies import bench as study  # here, because no other command needs it

    print(study.run(hardware.pick_device(options.device), options.seeds, Path(options.out)))


def build_parser():
    """Commands and their options."""
    parser = argparse.ArgumentParser(
        "python -m gan_lib", description="Train GANs on handwritten digits, and sample from them."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    add = lambda words, default=None, **options: (words, {"default": default, **options})
    device = add("--device", "auto", help="auto, cpu or cuda (default: auto)")
    json_ = add("--json", False, action="store_true", help="print every number as JSON")
    truncation = add("--truncation", type=share, metavar="ψ", help="draw z from N(0, ψ²): below 1, higher precision "
                     "and lower recall (default: the recipe's, 0.9 for cgan, else 1)")  # fmt: skip
    out = lambda default, words: add("--out", default, help=f"{words} (default: {default or 'runs/RECIPE'})")
    source = "a pretrained recipe, a checkpoint file, or the folder of a run"

    def command(do, words, *options, positional=None, **more):
        one = commands.add_parser(do.__name__, help=words, **more)
        one.set_defaults(do=do)
        if positional:
            one.add_argument(positional[0], **positional[1])
        for name, each in options:
            one.add_argument(name, **each)
        return one

    lines = [f"  {r.name:12} {r.nets} nets, z of {r.latent_dim}, batch {r.batch_size}, {r.epochs} epochs"
             for r in recipes.RECIPES.values()]  # fmt: skip
    one = command(
        train, "train a recipe", device, out(None, "folder for what the run makes"),
        add("--data", "mnist", help="one of: " + ", ".join(data.SETS) + " (default: mnist)"),
        add("--seed", type=whole(0), help="where every random number comes from (default: 0)"),
        add("--resume", False, action="store_true",
            help="go on exactly where the run in --out stopped, to its planned end or to another one"),
        add("--quiet", False, action="store_true", help="no progress bar"),
        positional=("recipe", {"help": "one of: " + ", ".join(recipes.RECIPES)}),
        description=TRAIN, epilog="recipes:\n" + "\n".join(lines),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    length = one.add_mutually_exclusive_group()
    length.add_argument("--epochs", type=whole(1), help="passes over the data (default: the recipe's, or as planned)")
    length.add_argument("--steps", type=whole(1), help="iterations, in place of epochs")
    one = command(
        sample, "sample from a generator", device, truncation,
        add("--n", type=whole(1, 100_000), help="how many (default: 100); of --text, in how many handwritings (1)"),
        add("--seed", 0, type=whole(0), help="another seed, other digits (default: 0)"),
        add("--out", required=True, help="FILE.png: one grid; FILE.npy: uint8 [N, 28, 28]; else a folder of PNGs"),
        positional=("source", {"help": source}), epilog=SOURCE,
    )  # fmt: skip
    what = one.add_mutually_exclusive_group()
    what.add_argument("--digit", type=whole(0), help="only this digit, of a conditional generator such as cgan")
    what.add_argument("--digits", metavar="0123", help="these, again and again: each row has one handwriting")
    what.add_argument("--text", metavar="2026", help="this number, as one picture, in one handwriting")
    command(
        page, "write generators with sliders into one HTML file, which needs nothing else",
        out("playground.html", "the file"),
        positional=("sources", {"nargs": "*", "help": f"each {source}, which shows its training (default: all recipes)"}),
        epilog=SOURCE,
    )  # fmt: skip
    command(
        measure, "say how good a generator is, in numbers", device, truncation, json_,
        add("--n", 10_000, type=whole(1000, 60_000), help="samples for each score (default: 10000)"),
        add("--seeds", 1, type=whole(1), help="how often, with other noise (default: 1)"),
        positional=("source", {"help": f"{source}, or a .npy of images"}), epilog=SOURCE,
    )  # fmt: skip
    command(directions, "find the directions of slant, thickness, ..., and what they do", device, json_,
            positional=("source", {"help": source}), epilog=SOURCE)  # fmt: skip
    command(
        bench, "time this machine against the usual loop, in about ten minutes", device,
        add("--seeds", 10, type=whole(2), help="runs for the time to quality (default: 10)"),
        out("runs/bench", "folder for bench.json and bench.png"),
    )  # fmt: skip
    return parser


def whole(low, high=2**32 - 1):
    """argparse type: an integer from `low` to `high`."""

    def parse(text):
        if not text.isdecimal() or not low <= int(text) <= high:
            raise argparse.ArgumentTypeError(f"{text} is not a whole number from {low} to {high}")
        return int(text)

    return parse


def share(text):
    """argparse type: a number above 0 and at most 1."""
    try:
        value = float(text)
    except ValueError:
        value = 0
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not a number above 0 and at most 1")
    return value


def main(words=None):
    """Run a command; what the user got wrong is printed as one sentence, and ends with exit status 1."""
    parser = build_parser()
    options = parser.parse_args(words)
    for source in [*vars(options).get("sources", []), vars(options).get("source", "")]:
        if source in recipes.pretrained_names() and Path(source).exists():
            print(
                f"gan_lib: {source} is the pretrained generator here; for the folder, write ./{source}", file=sys.stderr
            )
    try:
        if status := options.do(options):
            parser.exit(status)
    except (UserError, OSError, training.Diverged) as error:
        parser.exit(1, f"gan_lib: {error}\n")
    except KeyboardInterrupt:
        parser.exit(130, "gan_lib: stopped.\n")


if __name__ == "__main__":
    main()
