"""Measure how fast this machine trains, beside the loop of most tutorials, in about ten minutes.

    python tools/make_bench.py                    # into runs/bench
    python tools/make_bench.py --out benchmarks/results

What is compared is measured in turns, so that a busy moment slows both. Lesson 15 explains each part.
"""

import argparse
import itertools
import json
import math
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch
from scipy import stats
from torch import nn
from tqdm import tqdm

import gan_lib
from gan_lib import data, evaluation, hardware, pictures, plotting, recipes, reference, tables, training
from gan_lib.files import write_atomically
from gan_lib.studies.bench import count_macs, draw_race, measure_macs

CLASSIC = "mlp"  # the setting of most tutorials: 200 epochs of this recipe
QUICK = "mlp-quick"  # the recipe that reaches the same quality first
MOMENTS = (1000, 2000, 3000, 4000, 5000)  # iterations of QUICK at which its Fréchet distance is measured
PEAK = """
import pathlib, resource
status = pathlib.Path("/proc/self/status")  # Linux, where getrusage may give the parent's peak; macOS has bytes there
peak = status.exists() and 1024 * int(status.read_text().split("VmHWM:")[1].split()[0])
print(peak or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def measure_seconds(action):
    """The seconds that `action()` takes."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def usual_loop(recipe, device="cpu", tidy=False):
    """Train `recipe`'s nets as most tutorials do; each `next` is one iteration and returns (d_loss, g_loss). Endless.

    It uses a DataLoader, ToTensor and Normalize, probabilities, BCELoss and Adam's defaults. It generates fakes for each player
    and doesn't detach them. `tidy`, as in better tutorials: one batch of fakes for both, detached in D's step.
    """
    from torchvision import datasets, transforms

    data.unpack(data.cache_folder() / "MNIST" / "raw")
    to_range = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.5,), (0.5,))])
    dataset = datasets.MNIST(data.cache_folder(), transform=to_range)
    loader = torch.utils.data.DataLoader(dataset, recipe.batch_size, shuffle=True, drop_last=True)
    game, n = recipe.game(device=device), recipe.batch_size
    generator, discriminator = game.generator, nn.Sequential(game.discriminator, nn.Sigmoid())
    g_optimizer = torch.optim.Adam(generator.parameters(), recipe.g_lr, recipe.betas)
    d_optimizer = torch.optim.Adam(discriminator.parameters(), recipe.d_lr, recipe.betas)
    loss, ones, zeros = nn.BCELoss(), torch.ones(n, device=device), torch.zeros(n, device=device)
    for real, _ in itertools.chain.from_iterable(itertools.repeat(loader)):
        fake = generator(torch.randn(n, recipe.latent_dim, device=device))
        d_loss = loss(discriminator(real.to(device)), ones)
        d_loss = d_loss + loss(discriminator(fake.detach() if tidy else fake), zeros)
        d_optimizer.zero_grad()
        d_loss.backward()
        d_optimizer.step()

        if not tidy:
            fake = generator(torch.randn(n, recipe.latent_dim, device=device))
        g_loss = loss(discriminator(fake), ones)
        g_optimizer.zero_grad()
        g_loss.backward()
        g_optimizer.step()
        yield d_loss.detach(), g_loss.detach()


def race(recipe, steps, rounds=5, device="cpu"):
    """Seconds for an epoch by the usual loop, plain and tidy, and by ours, in float32 and in the machine's fast dtype.

    Returns {loop: [one for each round]}; in a round each loop takes `steps` iterations. "rates" are the machine's 10⁹ MAC/s
    (multiply-accumulates per second) in the same rounds, by dtype, and "a_step" is the 10⁹ MACs of an iteration.
    """
    images, loops, dtypes = data.load(device=device).images, {}, {}
    for key, tidy in (("usual", False), ("tidy", True)):
        usual = usual_loop(recipe, device, tidy)
        loops[key] = lambda usual=usual: list(itertools.islice(usual, steps))[-1][0].item()  # waits for the device
    for dtype in (torch.float32, hardware.fast_dtype(torch.device(device))):
        game, key = recipe.game(device=device), str(dtype).removeprefix("torch.")
        game.dtype = dtypes[key] = dtype
        loops[key] = lambda game=game: list(training.train(game, images, steps))
    seconds, rates = {key: [] for key in loops}, {key: [] for key in dtypes}
    for _ in range(rounds + 1):
        for key, loop in loops.items():
            seconds[key].append(measure_seconds(loop) * recipe.steps / recipe.epochs / steps)
        for key, dtype in dtypes.items():
            rates[key].append(measure_macs(dtype, device) / 1e9)
    for times in (*seconds.values(), *rates.values()):
        del times[0]  # it warms up
    return seconds | {"rates": rates, "a_step": count_macs(recipe) / 1e9}


def measure_course(seed, recipe, moments, device="cpu"):
    """Train with a seed, and yield (step, seconds of training, Fréchet distance of 10,000 samples) at each of `moments`."""
    game, images = recipe.game(seed, device), data.load(device=device).images
    for step in moments:
        list(training.train(game, images, step - game.step))
        yield step, game.seconds, evaluation.frechet(game.sampler().sample(10_000, 1000 + seed))


def run_program(text):
    """Run a Python program in a process of its own. Returns its peak memory in bytes."""
    printed = subprocess.run([sys.executable, "-c", text + PEAK], capture_output=True, text=True, check=True).stdout
    return int(printed.split()[-1])


def measure_all(device="cpu", seeds=10, rounds=5):
    """Yield (name, value) of everything that the benchmark measures: under ten minutes on two cores."""
    yield "machine", describe_machine(device)
    yield CLASSIC, race(recipes.get(CLASSIC), 500, rounds, device)
    yield "dcgan", race(recipes.get("dcgan"), 100, rounds, device)
    for seed in range(seeds):
        yield f"course of seed {seed}", list(measure_course(seed, recipes.get(QUICK), MOMENTS, device))
    yield "memory of torch", run_program("import torch; torch.ones(9) @ torch.ones(9)")
    start = "from gan_lib import data, recipes, training; list(training.train(recipes.get"
    for name in recipes.RECIPES:
        yield f"memory of {name}", run_program(f"{start}({name!r}).game(), data.load(), 30))")
    program = lambda module: measure_seconds(lambda: run_program(f"import {module}"))
    yield "imports", [-program("torch") + program("gan_lib.recipes") for _ in range(rounds)]


def run(device, seeds, out):
    """Measure everything; write bench.json, bench.png and bench.md, the table, into the folder `out`. Returns the table."""
    found, total = {}, 5 + len(recipes.RECIPES) + seeds
    for name, value in (bar := tqdm(measure_all(device, seeds), total=total)):
        found[name] = value
        write_atomically(out / "bench.json", (json.dumps(found, indent=1) + "\n").encode())
        bar.set_description(f"measured {name}")
    usual, ours = collect_courses(found)
    ax = draw_race({"the usual loop": (usual, pictures.THEORY), QUICK: (ours, pictures.FAKE)})
    plotting.save_figure(ax, out / "bench.png", close=True)
    write_atomically(out / "bench.md", f"{table(found)}\n".encode())
    return table(found)


def describe_machine(device="cpu"):
    """The device, the system and the versions that are measured."""
    cpu = getattr(torch.cpu, "get_capabilities", dict)().get("cpu_name") or platform.machine()
    git = ["git", "-C", gan_lib.__path__[0], "describe", "--always", "--dirty"]
    return {
        "device": torch.cuda.get_device_name(device) if torch.device(device).type == "cuda" else cpu,
        "threads": torch.get_num_threads(),
        "system": platform.system(),
        "commit": subprocess.run(git, capture_output=True, text=True).stdout.strip(),  # empty outside a checkout
        "python": platform.python_version(),
        "torch": torch.__version__,
        "gan_lib": gan_lib.__version__,
    }


def collect_courses(found):
    """What `draw_race` draws: runs of (seconds, distance), of the classic setting in the usual loop and of `QUICK`."""
    recipe, rows = recipes.get(CLASSIC), reference.results()["classic"]
    iteration = statistics.median(found[CLASSIC]["usual"]) * recipe.epochs / recipe.steps
    seconds = [step * iteration for step, _ in rows]
    usual = [list(zip(seconds, run, strict=True)) for run in zip(*(distances for _, distances in rows), strict=True)]
    quick = [[point[1:] for point in course] for name, course in found.items() if name.startswith("course")]
    return usual, quick


def time_to_quality(found):
    """When `QUICK` is better than the classic setting at its end, or None if it never is.

    Better: p < 0.01 in Welch's one-sided t-test of the logarithms of their Fréchet distances.
    Returns (step, [seconds of each seed], seconds of the usual loop until the end of the classic setting).
    """
    usual, quick = collect_courses(found)
    (end, *_), goal = zip(*(run[-1] for run in usual), strict=True)
    for step, moment in zip(MOMENTS, zip(*quick, strict=True), strict=False):
        seconds, distances = zip(*moment, strict=True)
        logs = [[math.log(distance) for distance in sample] for sample in (distances, goal)]
        if stats.ttest_ind(*logs, equal_var=False, alternative="less").pvalue < 0.01:
            return step, seconds, end


def table(found):
    """What `measure_all` gave, as a table in Markdown: the median, the least and the greatest."""
    rows = []

    def add(work, values, unit):
        rows.append([work, f"{statistics.median(values):.3g} {unit}", f"{min(values):.3g} to {max(values):.3g}"])

    for name in (CLASSIC, "dcgan"):
        times, recipe = found[name], recipes.get(name)
        macs = times["a_step"] * recipe.steps / recipe.epochs
        add(f"`{name}`, an epoch by the usual loop", times["usual"], "s")
        add("— by a tidy one, with one batch of fakes, detached", times["tidy"], "s")
        for dtype, rates in times["rates"].items():
            rounds = list(zip(times["usual"], times["tidy"], times[dtype], rates, strict=True))
            add(f"`{name}`, an epoch by ours, in {dtype}", times[dtype], "s")
            add("— faster than the usual loop", [usual / ours for usual, _, ours, _ in rounds], "×")
            add("— faster than the tidy one", [tidy / ours for _, tidy, ours, _ in rounds], "×")
            shares = [100 * macs / ours / rate for *_, ours, rate in rounds]
            add(f"— of this machine's multiply-accumulates per second in {dtype}", shares, "%")
    if reached := time_to_quality(found):
        step, seconds, usual = reached
        add(f"`{QUICK}`, to the Fréchet distance of `{CLASSIC}` after 200 epochs: iteration {step}", seconds, "s")
        add(f"— faster than the usual loop's {usual:,.0f} s", [usual / ours for ours in seconds], "×")
    torchs, *memory = (value for name, value in found.items() if name.startswith("memory of"))
    add("memory above PyTorch's, each recipe", [(value - torchs) / 1e6 for value in memory], "MB")
    add("`import gan_lib.recipes`, above `import torch`", [max(0.0, seconds) for seconds in found["imports"]], "s")
    return tables.markdown("lrr", ["work", "median", "least to most"], rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda (default: auto)")
    parser.add_argument("--seeds", type=int, default=10, help="runs for the time to quality, at least 2 (default: 10)")
    parser.add_argument(
        "--out", type=Path, default=Path("runs/bench"), help="folder for the files (default: runs/bench)"
    )
    options = parser.parse_args()
    print(run(hardware.pick_device(options.device), options.seeds, options.out))
    print(f"All figures: {options.out / 'bench.json'}. Their picture: {options.out / 'bench.png'}")


if __name__ == "__main__":
    main()
