"""The command line: `python -m gan_lib COMMAND`; `--help` lists the commands, and after any of them says more."""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from gan_lib import data, evaluation, handwriting, latent, plotting, recipes, report, runs, training
from gan_lib.files import write_atomically
from gan_lib.page import write as write_page

TRAIN = """\
Train a recipe on MNIST and write what it made into a folder:

  real_images.png                  what the generator should learn to make
  samples/epoch_N.png              100 samples after epoch N, always of the same z (N = 0: untrained)
  visualization_across_epochs.png  a row of samples for up to ten moments of training
  progress.gif, progress.mp4       the samples as they change
  records.csv                      step, images, seconds, losses, D(x), D(G(z)): means since the row before
  curves.png                       the same, drawn
  checkpoints/step_N.safetensors   everything needed to go on; up to ten along the way, and the last

Learning rates that fall do so over the whole length of the run, whatever --epochs or --steps says.
Ctrl-C stops, writes all of these, and says how to go on. Several GPUs, or CPU processes, share one run that is started by
`accelerate launch --multi_gpu --num_processes 2 -m gan_lib train dcgan`.
"""

TRUNCATION = (
    "draw z from N(0, ψ²): below 1, higher precision and lower recall (default: the recipe's, 0.9 for cgan, else 1)"
)
SOURCE = "The name of a pretrained recipe goes before a folder of that name: dcgan is the recipe, ./dcgan the folder."


def train(arguments):
    recipe, out = recipes.get(arguments.recipe), arguments.out or f"runs/{arguments.recipe}"
    run = runs.train(
        recipe, out, dataset=arguments.data, device=arguments.device, seed=arguments.seed, epochs=arguments.epochs,
        steps=arguments.steps, resume=arguments.resume, quiet=arguments.quiet,
    )  # fmt: skip
    game = run.game
    if game.team.first:
        print(f"{recipe.name}: {game.step} steps in {game.seconds:.0f} s of training; everything is in {out}")
        if run.remark:
            print(f"The run shows a fault. {run.remark}")


def sample(arguments):
    out = Path(arguments.out)
    if arguments.n is None:
        arguments.n = 1 if arguments.text else 100
    if not 1 <= arguments.n <= 100_000:
        raise ValueError(f"--n must lie between 1 and 100000, not be {arguments.n}.")
    if out.suffix not in (".png", ".npy", ""):
        raise ValueError(
            f"--out must end in .png (a grid) or .npy (uint8 [N, 28, 28]), or be a folder, not {out.name}."
        )
    sampler = recipes.sampler(arguments.source, data.pick_device(arguments.device))
    sampler.truncation = arguments.truncation or sampler.truncation
    samples, columns = asked(sampler, arguments)
    images = data.to_uint8(samples).cpu()
    if out.suffix == ".png" and arguments.text:
        lines = [handwriting.line(digits) for digits in samples.split(columns)]
        plotting.save_picture(handwriting.stack(lines).repeat(4, 0).repeat(4, 1), out)
    elif out.suffix == ".png":
        plotting.save_picture(plotting.tile(images, columns, scale=2), out)
    elif out.suffix == ".npy":
        out.parent.mkdir(parents=True, exist_ok=True)
        np.save(out, images.numpy())
    else:
        for i, image in enumerate(images.numpy()):
            plotting.save_picture(image, out / f"{i:05d}.png")
    print(f"{len(images)} samples of {arguments.source} are in {out}")


def asked(sampler, arguments):
    """The samples that the command asks for, and how many of them make a row."""
    n, seed = arguments.n, arguments.seed
    if text := arguments.text or arguments.digits:
        rows = sampler.noise(n if arguments.text else -(-n // len(text)), seed)
        images = torch.cat([handwriting.write(sampler, text, z).flatten(0, 1) for z in rows.split(100)])
        return images[: n * len(text) if arguments.text else n], len(text)
    if arguments.digit is not None:
        sampler = sampler.of(arguments.digit)
    return sampler.sample(n, seed), 10 if sampler.classes == 10 else round(n**0.5)


def page(arguments):
    if Path(arguments.out).suffix != ".html":
        raise ValueError(f"--out must end in .html, not be {Path(arguments.out).name}.")
    size = write_page(arguments.out, arguments.sources)
    print(f"The playground is in {arguments.out} ({size / 1e6:.1f} MB): open it in a browser.")


def measure(arguments):
    n, seeds, device, labelled = arguments.n, range(arguments.seeds), data.pick_device(arguments.device), False
    if not 1000 <= n <= 60_000:
        raise ValueError(f"--n must lie between 1000 and 60000, not be {n}.")
    if arguments.source.endswith(".npy") and arguments.truncation:
        raise ValueError("--truncation is for a generator: the images in a .npy are what they are.")
    if arguments.source.endswith(".npy"):
        piles, n = [images := load_images(arguments.source).to(device)], len(images)
        what = f"{n} images of {arguments.source}"
    else:
        sampler = recipes.sampler(arguments.source, device)
        sampler.truncation = arguments.truncation or sampler.truncation
        labelled = sampler.classes == 10
        piles = (sampler.sample(n, seed) for seed in seeds)
        what = f"{n} samples of {arguments.source}"
        what += f", truncation ψ = {sampler.truncation}" * (sampler.truncation < 1)
    found = {"scores": [], "floor": [evaluation.floor(min(n, 60_000), seed, device) for seed in seeds]}
    if labelled:
        found |= {"by_class": [], "floor_by_class": [evaluation.class_floor(n, seed, device) for seed in seeds]}
    for images in piles:
        found["scores"].append(evaluation.score(images))
        if labelled:
            found["by_class"].append(evaluation.class_scores(images, torch.arange(n) % 10))
    if arguments.json:
        print(json.dumps({"source": arguments.source, "n": n} | plain(found)))
        return
    times = f", {len(found['scores'])} times: mean ± standard deviation" if len(found["scores"]) > 1 else ""
    print(f"{what} against the 10000 test digits{times}")
    print(report.measured(found["scores"], found["floor"]))
    if labelled:
        print(report.by_class(found["by_class"], found["floor_by_class"]))


def plain(found):
    """Scores, however deep in lists and dicts, as JSON takes them."""
    if isinstance(found, dict):
        return {key: plain(value) for key, value in found.items()}
    return found._asdict() if hasattr(found, "_asdict") else [plain(each) for each in found]


def directions(arguments):
    sampler = recipes.sampler(arguments.source, data.pick_device(arguments.device))
    found = latent.effects(sampler, latent.find_directions(sampler))
    if arguments.json:
        print(json.dumps(plain(found)))
        return
    print(f"{arguments.source}: each attribute's direction, and what one step along it does, in standard deviations")
    print(report.steered(found))


def load_images(path):
    """The images of a .npy, uint8 [N, 28, 28], brought to [-1, 1]. Nothing in the file is unpickled."""
    try:
        images = np.lib.format.open_memmap(path, mode="r")  # refuses objects, and more images than the file holds
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{path} is not a .npy file of numbers: it is damaged, or another kind of file.") from error
    if images.dtype != np.uint8 or images.ndim != 3 or images.shape[1:] != (28, 28):
        raise ValueError(f"{path} must hold uint8 [N, 28, 28], not {images.dtype} {list(images.shape)}.")
    return data.to_range(torch.from_numpy(np.array(images)))


def bench(arguments):
    from gan_lib import bench as benchmark  # here, because no other command has need of it

    device, out = data.pick_device(arguments.device), Path(arguments.out)
    found, total = {}, 5 + len(recipes.RECIPES) + arguments.seeds
    for name, value in (bar := tqdm(benchmark.figures(device, arguments.seeds), total=total)):
        found[name] = value
        write_atomically(out / "bench.json", (json.dumps(found, indent=1) + "\n").encode())
        bar.set_description(f"measured {name}")
    usual, ours = benchmark.courses(found)
    ax = plotting.race({"the usual loop": (usual, plotting.THEORY), benchmark.QUICK: (ours, plotting.FAKE)})
    plotting.save_figure(ax, out / "bench.png", close=True)
    print(benchmark.table(found))
    print(f"Every figure is in {out / 'bench.json'}, and the distances over time are drawn in {out / 'bench.png'}")


def main(words=None):
    parser = argparse.ArgumentParser(
        "python -m gan_lib", description="Train GANs on handwritten digits, and sample from them."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    device = argparse.ArgumentParser(add_help=False)  # an option that five commands share
    device.add_argument("--device", default="auto", help="auto, cpu or cuda (default: auto)")

    as_written = {"formatter_class": argparse.RawDescriptionHelpFormatter}
    lines = [
        f"  {r.name:12} {r.nets} nets, z of {r.latent_dim}, batch {r.batch_size}, {r.epochs} epochs"
        for r in recipes.RECIPES.values()
    ]
    command = commands.add_parser(
        "train", help="train a recipe", description=TRAIN, epilog="recipes:\n" + "\n".join(lines), parents=[device],
        **as_written,
    )  # fmt: skip
    command.set_defaults(do=train)
    command.add_argument("recipe", help="one of: " + ", ".join(recipes.RECIPES))
    length = command.add_mutually_exclusive_group()
    length.add_argument("--epochs", type=whole(1), help="passes over the data (default: the recipe's, or as planned)")
    length.add_argument("--steps", type=whole(1), help="iterations, in place of epochs")
    command.add_argument("--data", default="mnist", help="one of: " + ", ".join(data.SETS) + " (default: mnist)")
    command.add_argument("--out", help="folder for what the run makes (default: runs/RECIPE)")
    command.add_argument("--seed", type=whole(0), help="where every random number comes from (default: 0)")
    command.add_argument(
        "--resume",
        action="store_true",
        help="go on exactly where the run in --out stopped, to the end that was planned or to another one",
    )
    command.add_argument("--quiet", action="store_true", help="no progress bar")

    command = commands.add_parser("sample", help="sample from a generator", epilog=SOURCE, parents=[device])
    command.set_defaults(do=sample)
    command.add_argument("source", help="a pretrained recipe, a checkpoint file, or the folder of a run")
    command.add_argument("--n", type=int, help="how many (default: 100); of --text, in how many handwritings (1)")
    wish = command.add_mutually_exclusive_group()
    wish.add_argument(
        "--digit", type=whole(0), help="this digit only, of a generator that is told labels, such as cgan"
    )
    wish.add_argument("--digits", metavar="0123", help="these, time and again: each row has one handwriting")
    wish.add_argument("--text", metavar="2026", help="this number, as one picture, in one handwriting")
    command.add_argument("--seed", type=whole(0), default=0, help="another seed, other digits (default: 0)")
    command.add_argument("--truncation", type=share, metavar="ψ", help=TRUNCATION)
    command.add_argument(
        "--out", required=True, help="FILE.png: one grid; FILE.npy: uint8 [N, 28, 28]; else a folder of PNGs"
    )

    command = commands.add_parser(
        "page", help="write generators with sliders into one HTML file, which needs nothing else", epilog=SOURCE
    )
    command.set_defaults(do=page)
    command.add_argument(
        "sources",
        nargs="*",
        help="as sample takes them (default: every pretrained recipe); a run's folder shows its training",
    )
    command.add_argument("--out", default="playground.html", help="the file (default: playground.html)")

    command = commands.add_parser(
        "measure", help="say how good a generator is, in numbers", epilog=SOURCE, parents=[device]
    )
    command.set_defaults(do=measure)
    command.add_argument("source", help="a pretrained recipe, a checkpoint, a run's folder, or a .npy of images")
    command.add_argument("--n", type=int, default=10_000, help="samples for each score (default: 10000)")
    command.add_argument("--seeds", type=whole(1), default=1, help="how often, with other noise (default: 1)")
    command.add_argument("--truncation", type=share, metavar="ψ", help=TRUNCATION)
    command.add_argument("--json", action="store_true", help="print every score as JSON")

    command = commands.add_parser(
        "directions",
        help="find the directions of slant, thickness, ..., and what they do",
        epilog=SOURCE,
        parents=[device],
    )
    command.set_defaults(do=directions)
    command.add_argument("source", help="a pretrained recipe, a checkpoint, or a run's folder")
    command.add_argument("--json", action="store_true", help="print them as JSON")

    command = commands.add_parser(
        "bench", help="time this machine against the usual loop, in about ten minutes", parents=[device]
    )
    command.set_defaults(do=bench)
    command.add_argument("--seeds", type=whole(2), default=10, help="runs for the time to quality (default: 10)")
    command.add_argument(
        "--out", default="runs/bench", help="folder for bench.json and bench.png (default: runs/bench)"
    )

    arguments = parser.parse_args(words)
    for source in [*vars(arguments).get("sources", []), vars(arguments).get("source", "")]:
        if source in recipes.pretrained_names() and Path(source).exists():
            print(
                f"gan_lib: {source} is the pretrained generator here; for the folder, write ./{source}", file=sys.stderr
            )
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


def share(text):
    """argparse type: a number above 0 and at most 1."""
    try:
        value = float(text)
    except ValueError:
        value = 0
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not a number above 0 and at most 1")
    return value


if __name__ == "__main__":
    main()
