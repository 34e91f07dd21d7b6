"""The command line: `python -m gan_lib COMMAND`; `--help` lists the commands, and after any of them says more."""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from gan_lib import checkpoint, clinic, data, evaluation, latent, plotting, recipes, runs, training
from gan_lib.files import save_bundled_weights, write_atomically
from gan_lib.page import write as write_page

TRAIN = """\
Train a recipe on MNIST and write what it made into a folder:

  real_images.png                  what the generator should learn to make
  samples/epoch_N.png              100 samples after epoch N, always of the same z (N = 0: untrained)
  visualization_across_epochs.png  a row of samples for up to ten moments of training
  progress.gif, progress.mp4       the samples as they change
  records.csv                      step, images, seconds, losses, D(x), D(G(z)): means since the row before; and more
  curves.png                       the same, drawn
  checkpoints/step_N.safetensors   everything needed to go on; up to ten along the way, and the last

Ctrl-C stops, writes all of these, and says how to go on. Several GPUs, or CPU processes, share one run that is started by
`accelerate launch --multi_gpu --num_processes 2 -m gan_lib train dcgan`.
"""


def train(arguments):
    recipe, out = recipes.get(arguments.recipe), arguments.out or f"runs/{arguments.recipe}"
    run = runs.train(
        recipe, out, dataset=arguments.data, device=arguments.device, seed=arguments.seed, epochs=arguments.epochs,
        steps=arguments.steps, resume=arguments.resume, quiet=arguments.quiet,
    )  # fmt: skip
    game = run.game
    if game.team.first:
        print(f"{recipe.name}: {game.step} steps in {game.seconds:.0f} s of training; everything is in {out}")
        if remark := clinic.diagnose(run.records):
            print(f"The records show a fault. {remark}")


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


def page(arguments):
    if Path(arguments.out).suffix != ".html":
        raise ValueError(f"--out must end in .html, not be {Path(arguments.out).name}.")
    size = write_page(arguments.out, arguments.sources)
    print(f"The playground is in {arguments.out} ({size / 1e6:.1f} MB): open it in a browser.")


def measure(arguments):
    n, seeds, device = arguments.n, range(arguments.seeds), data.pick_device(arguments.device)
    if not 1000 <= n <= 60_000:
        raise ValueError(f"--n must lie between 1000 and 60000, not be {n}.")
    if arguments.source.endswith(".npy"):
        piles = [load_images(arguments.source).to(device)]
        n = len(piles[0])
        what = f"{n} images of {arguments.source}"
    else:
        sampler = sampler_of(arguments.source, device)
        piles = (sampler.sample(n, seed) for seed in seeds)
        what = f"{n} samples of {arguments.source}"
    scores = [evaluation.score(images) for images in piles]
    floor = [evaluation.floor(min(n, 60_000), seed, device) for seed in seeds]
    if arguments.json:
        every = {"source": arguments.source, "n": n, "scores": scores, "floor": floor}
        print(json.dumps(every | {key: [score._asdict() for score in every[key]] for key in ("scores", "floor")}))
        return
    times = f", {len(scores)} times: mean ± standard deviation" if len(scores) > 1 else ""
    print(f"{what} against the 10000 test digits{times}")
    print(f"{'':12}{'samples':>20}{'training digits':>20}")
    for field, meaning in MEANINGS.items():
        columns = [mean_and_spread([getattr(score, field) for score in pile]) for pile in (scores, floor)]
        print(f"{field:12}{columns[0]:>20}{columns[1]:>20}   {meaning}")


MEANINGS = {
    "frechet": "Fréchet distance of the features; training digits give the floor",
    "kernel": "kernel distance of the features; unbiased around 0",
    "precision": "share of samples that lie among real digits",
    "recall": "share of real digits that lie among samples",
    "density": "how deep among real digits the samples lie",
    "coverage": "share of real digits with a sample beside them",
    "classes": "of ten, those that are not missing",
    "kl": "divergence of the shares of the classes, in nats",
    "imbalance": "largest gap of a class's share, as a part of it",
    "confidence": "how sure the digit net is, on average",
    "novelty": "distance to the nearest training digit; test digits: 1, copies: 0",
}


def directions(arguments):
    sampler = sampler_of(arguments.source, data.pick_device(arguments.device))
    found = latent.effects(sampler, latent.find_directions(sampler))
    if arguments.json:
        print(json.dumps([effect._asdict() for effect in found]))
        return
    print(f"{arguments.source}: each attribute's direction, and what one step along it does, in standard deviations")
    print(f"{'':12}{'explained':>10}{'own':>8}{'leak':>8}{'random':>8}")
    for effect in found:
        print(f"{effect.name:12}{effect.explained:10.0%}{effect.own:8.2f}{effect.leak:8.2f}{effect.random:8.2f}")
    print(EFFECTS)


EFFECTS = """\
explained: share of the attribute's variance that a straight line through z explains. own: what the step does to its
attribute. leak: to the others, root mean square. random: what a random direction of that length does to it."""


def load_images(path):
    """The images of a .npy, uint8 [N, 28, 28], brought to [-1, 1]. Nothing in the file is unpickled."""
    try:
        images = np.lib.format.open_memmap(path, mode="r")  # refuses objects, and more images than the file holds
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{path} is not a .npy file of numbers: it is damaged, or another kind of file.") from error
    if images.dtype != np.uint8 or images.ndim != 3 or images.shape[1:] != (28, 28):
        raise ValueError(f"{path} must hold uint8 [N, 28, 28], not {images.dtype} {list(images.shape)}.")
    return data.to_range(torch.from_numpy(np.array(images)))


def mean_and_spread(values):
    """As text: the mean, and the standard deviation where there are several values."""
    mean, spread = np.mean(values), np.std(values, ddof=1) if len(values) > 1 else 0
    return f"{mean:.3g}" + (f" ± {spread:.2g}" if spread else "")


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
    plotting.save_figure(ax, out / "bench.png")
    print(benchmark.table(found))
    print(f"Every figure is in {out / 'bench.json'}, and the distances over time are drawn in {out / 'bench.png'}")


def export(arguments):
    path = checkpoint.latest(Path(arguments.run) / "checkpoints")
    if path is None:
        raise ValueError(f"{arguments.run} holds no checkpoint.")
    game, recipe = recipes.resume(path), checkpoint.header(path)["notes"]["recipe"]
    size = save_bundled_weights(
        recipe["name"], game.average.state_dict(),
        command=f"python -m gan_lib train {recipe['name']} --steps {game.step} --seed {game.seed}",
        recipe=recipe, seed=game.seed, steps=game.step, seconds=round(game.seconds),
    )  # fmt: skip
    print(f"{recipe['name']}: {size / 1e6:.1f} MB written into gan_lib/weights")


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

    command = commands.add_parser(
        "page", help="write generators with sliders into one HTML file, which needs nothing else"
    )
    command.set_defaults(do=page)
    command.add_argument(
        "sources",
        nargs="*",
        help="as sample takes them (default: every pretrained recipe); a run's folder shows its training",
    )
    command.add_argument("--out", default="playground.html", help="the file (default: playground.html)")

    command = commands.add_parser("measure", help="say how good a generator is, in numbers")
    command.set_defaults(do=measure)
    command.add_argument("source", help="a pretrained recipe, a checkpoint, a run's folder, or a .npy of images")
    command.add_argument("--n", type=int, default=10_000, help="samples for each score (default: 10000)")
    command.add_argument("--seeds", type=whole(1), default=1, help="how often, with other noise (default: 1)")
    command.add_argument("--json", action="store_true", help="print every score as JSON")
    command.add_argument("--device", default="auto", help="auto, cpu or cuda (default: auto)")

    command = commands.add_parser("directions", help="find the directions of slant, thickness, ..., and what they do")
    command.set_defaults(do=directions)
    command.add_argument("source", help="a pretrained recipe, a checkpoint, or a run's folder")
    command.add_argument("--json", action="store_true", help="print them as JSON")
    command.add_argument("--device", default="auto", help="auto, cpu or cuda (default: auto)")

    command = commands.add_parser("bench", help="time this machine against the usual loop, in about ten minutes")
    command.set_defaults(do=bench)
    command.add_argument("--seeds", type=whole(2), default=10, help="runs for the time to quality (default: 10)")
    command.add_argument(
        "--out", default="runs/bench", help="folder for bench.json and bench.png (default: runs/bench)"
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
