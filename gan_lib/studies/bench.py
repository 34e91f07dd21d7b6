"""How fast is this machine, and how much faster than the usual loop? `python -m gan_lib bench`. Introduced in lesson 11.

Loops that are compared take turns, so that a busy moment hurts both; so do the two imports.
"""

import dataclasses
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
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from tqdm import tqdm

import gan_lib
from gan_lib import data, evaluation, hardware, pictures, plotting, recipes, reference, tables, training
from gan_lib.files import write_atomically

CLASSIC = "mlp"  # what people know: 200 epochs of this recipe, by the usual loop
QUICK = "mlp-quick"  # what comes to the same quality soonest
MOMENTS = (1000, 2000, 3000, 4000, 5000)  # steps of QUICK at which its distance is measured
TRAIN = (
    "from gan_lib import data, recipes, training; list(training.train(recipes.get({name!r}).game(), data.load(), 30))"
)

PEAK = """
import pathlib, resource
status = pathlib.Path("/proc/self/status")  # Linux; what getrusage says there may be the parent's
if status.exists():
    print(1024 * int(status.read_text().split("VmHWM:")[1].split()[0]))
else:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)  # macOS, in bytes
"""


def usual_loop(recipe, device="cpu", tidy=False):
    """Play `recipe`'s nets, with its batch size and rates, as classic tutorials do; each `next` is one pair of steps. Endless.

    A DataLoader over torchvision's data set with ToTensor and Normalize, probabilities and BCELoss, Adam as it comes. Fakes
    are made for each player, and not detached; `tidy`, as others write it: one pile of them for both, and detached for D.
    """
    from torchvision import datasets, transforms

    data.unpack(data.cache_folder() / "MNIST" / "raw")
    to_range = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.5,), (0.5,))])
    dataset = datasets.MNIST(data.cache_folder(), transform=to_range)
    loader = torch.utils.data.DataLoader(dataset, recipe.batch_size, shuffle=True, drop_last=True)
    game = recipe.game(device=device)
    generator, discriminator = game.generator, nn.Sequential(game.discriminator, nn.Sigmoid())
    g_optimizer = torch.optim.Adam(generator.parameters(), recipe.g_lr, recipe.betas)
    d_optimizer = torch.optim.Adam(discriminator.parameters(), recipe.d_lr, recipe.betas)
    loss = nn.BCELoss()
    ones, zeros = (torch.full([recipe.batch_size], label, device=device) for label in (1.0, 0.0))
    for real, _ in itertools.chain.from_iterable(itertools.repeat(loader)):
        fake = generator(torch.randn(recipe.batch_size, recipe.latent_dim, device=device))
        d_loss = loss(discriminator(real.to(device)), ones)
        d_loss = d_loss + loss(discriminator(fake.detach() if tidy else fake), zeros)
        d_optimizer.zero_grad()
        d_loss.backward()
        d_optimizer.step()

        if not tidy:
            fake = generator(torch.randn(recipe.batch_size, recipe.latent_dim, device=device))
        g_loss = loss(discriminator(fake), ones)
        g_optimizer.zero_grad()
        g_loss.backward()
        g_optimizer.step()
        yield d_loss.detach(), g_loss.detach()


def race(recipe, steps, rounds=5, device="cpu"):
    """Seconds for an epoch by the usual loop, plain and tidy, and by ours, in float32 and in the machine's fast dtype:
    {player: [one a round]}.

    Each round is `steps` steps of each. With them "rates", the billions of multiplications a second in a large matrix product at
    the same moments, by dtype, and "a_step", the billions of multiplications in a pair of steps.
    """
    images, players = data.load(device=device).images, {}
    for key, tidy in (("usual", False), ("tidy", True)):
        loop = usual_loop(recipe, device, tidy)
        players[key] = lambda n, loop=loop: list(itertools.islice(loop, n))[-1][0].item()  # waits for the device
    both = torch.float32, hardware.fast_dtype(torch.device(device))
    dtypes = {str(dtype).removeprefix("torch."): dtype for dtype in both}
    for key, dtype in dtypes.items():
        game = recipe.game(device=device)
        game.dtype = dtype
        players[key] = lambda n, game=game: list(training.train(game, images, n))
    seconds, rates = {key: [] for key in players}, {key: [] for key in dtypes}
    for _ in range(rounds + 1):
        for key, play in players.items():
            start = time.perf_counter()
            play(steps)
            seconds[key].append((time.perf_counter() - start) * per_epoch(recipe) / steps)
        for key, dtype in dtypes.items():
            rates[key].append(products_a_second(dtype, device) / 1e9)
    warm = {key: found[1:] for key, found in seconds.items()}  # the first round warms up
    return warm | {
        "rates": {key: found[1:] for key, found in rates.items()},
        "a_step": products_a_step(recipe) / 1e9,
    }


def products_a_second(dtype, device="cpu", n=1024, times=8):
    """Multiplications a second in a matrix product of [n, n] by [n, n]: what this machine can do."""
    a, b = torch.randn(2, n, n, device=device).to(dtype)
    (a @ b)[0, 0].item()  # waits for the device
    start = time.perf_counter()
    for _ in range(times):
        c = a @ b
    c[0, 0].item()
    return times * n**3 / (time.perf_counter() - start)


def products_a_step(recipe):
    """How many multiplications the matrix products and convolutions of one pair of steps take, without penalties."""
    game = dataclasses.replace(recipe, gamma=0.0).game()
    real = data.to_range(torch.zeros(recipe.batch_size, 28, 28, dtype=torch.uint8))
    with FlopCounterMode(display=False) as counter:
        fake = game.generate(game.noise(recipe.batch_size))
        training.discriminator_step(game, real, fake)
        training.generator_step(game, real, fake)
    return counter.get_total_flops() // 2  # it counts additions as well


def course_of(seed, recipe, moments, device="cpu"):
    """Train with a seed, and yield (step, seconds of training, Fréchet distance of 10,000 samples) at each of `moments`."""
    game, images = recipe.game(seed, device), data.load(device=device).images
    for step in moments:
        list(training.train(game, images, step - game.step))
        yield step, game.seconds, evaluation.frechet(game.sampler().sample(10_000, 1000 + seed))


def p_lower(distances, others):
    """p of Welch's one-sided t-test that the logarithms of `distances` are, on average, below those of `others`."""
    from scipy import stats

    logs = [[math.log(distance) for distance in pile] for pile in (distances, others)]
    return stats.ttest_ind(*logs, equal_var=False, alternative="less").pvalue


def memory_of(program):
    """The most memory, in bytes, that a Python program given as text held, in a process of its own."""
    told = subprocess.run([sys.executable, "-c", program + PEAK], capture_output=True, text=True, check=True)
    return int(told.stdout.split()[-1])


def seconds_of(program):
    """How long a Python program given as text takes, in a process of its own."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", program], check=True)
    return time.perf_counter() - start


def figures(device="cpu", seeds=10, rounds=5):
    """Yield (what it was, what it gave), for all that the bench measures: under ten minutes on two cores."""
    yield "machine", machine(device)
    yield CLASSIC, race(recipes.get(CLASSIC), 500, rounds, device)
    yield "dcgan", race(recipes.get("dcgan"), 100, rounds, device)
    for seed in range(seeds):
        yield f"course of seed {seed}", list(course_of(seed, recipes.get(QUICK), MOMENTS, device))
    yield "memory of torch", memory_of("import torch; torch.ones(9) @ torch.ones(9)")
    for recipe in recipes.RECIPES:
        yield f"memory of {recipe}", memory_of(TRAIN.format(name=recipe))
    pairs = [(seconds_of("import torch"), seconds_of("import gan_lib.recipes")) for _ in range(rounds)]
    yield "imports", [ours - torchs for torchs, ours in pairs]


def run(device, seeds, out):
    """Measure everything; write bench.json and bench.png into the folder `out`. Returns the table, and where the figures are."""
    found, total = {}, 5 + len(recipes.RECIPES) + seeds
    for name, value in (bar := tqdm(figures(device, seeds), total=total)):
        found[name] = value
        write_atomically(out / "bench.json", (json.dumps(found, indent=1) + "\n").encode())
        bar.set_description(f"measured {name}")
    usual, ours = courses(found)
    ax = plotting.race({"the usual loop": (usual, pictures.THEORY), QUICK: (ours, pictures.FAKE)})
    plotting.save_figure(ax, out / "bench.png", close=True)
    where = f"Every figure is in {out / 'bench.json'}, and the distances over time are drawn in {out / 'bench.png'}"
    return f"{table(found)}\n{where}"


def machine(device="cpu"):
    """What is measured, and with what."""
    known = getattr(torch.cpu, "get_capabilities", dict)()
    chip = torch.cuda.get_device_name(device) if torch.device(device).type == "cuda" else known.get("cpu_name", "")
    about = {"device": chip or platform.machine(), "threads": torch.get_num_threads(), "system": platform.system()}
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], capture_output=True, text=True, cwd=Path(__file__).parent
    )
    about["commit"] = commit.stdout.strip()  # empty where this is no checkout
    return about | {"python": platform.python_version(), "torch": torch.__version__, "gan_lib": gan_lib.__version__}


def time_to_quality(found):
    """When the runs of `found` are as good as the classic setting (p < 0.01): (step, [seconds of each], seconds of the usual
    loop until the classic setting's end). None where they never are.
    """
    last, goal = reference.results()["classic"][-1]
    usual = last / per_epoch(recipes.get(CLASSIC)) * statistics.median(found[CLASSIC]["usual"])
    for moment in zip(*(course for key, course in found.items() if key.startswith("course")), strict=True):
        steps, seconds, distances = zip(*moment, strict=True)
        if p_lower(distances, goal) < 0.01:
            return steps[0], seconds, usual
    return None


def courses(found):
    """What `plotting.race` draws: distances over seconds of the usual loop (classic) and of `QUICK` (ours)."""
    usual_step = statistics.median(found[CLASSIC]["usual"]) / per_epoch(recipes.get(CLASSIC))
    points = [(step * usual_step, distances) for step, distances in reference.results()["classic"]]
    usual = [[(seconds, distances[k]) for seconds, distances in points] for k in range(len(points[0][1]))]
    ours = [[point[1:] for point in course] for key, course in found.items() if key.startswith("course")]
    return usual, ours


def per_epoch(recipe):
    """Pairs of steps in an epoch of a recipe."""
    return 60_000 // recipe.batch_size


def table(found):
    """What `figures` gave, as lines of Markdown: medians, with the least and the most."""
    rows = []
    for recipe in (CLASSIC, "dcgan"):
        times, products = found[recipe], found[recipe]["a_step"] * per_epoch(recipes.get(recipe))
        rows.append((f"`{recipe}`, an epoch by the usual loop", times["usual"], "s"))
        rows.append(("— by a tidy one, with one batch of fakes, detached", times["tidy"], "s"))
        for dtype, rates in times["rates"].items():
            ratios = {key: [a / b for a, b in zip(times[key], times[dtype], strict=True)] for key in ("usual", "tidy")}
            shares = [100 * products / ours / rate for ours, rate in zip(times[dtype], rates, strict=True)]
            rows += [
                (f"`{recipe}`, an epoch by ours, in {dtype}", times[dtype], "s"),
                ("— faster than the usual loop", ratios["usual"], "×"),
                ("— faster than the tidy one", ratios["tidy"], "×"),
                (f"— of this machine's multiply-accumulates per second in {dtype}", shares, "%"),
            ]
    if reached := time_to_quality(found):
        step, seconds, usual = reached
        rows += [
            (f"`{QUICK}`, to the Fréchet distance of `{CLASSIC}` after 200 epochs: iteration {step}", seconds, "s"),
            (f"— faster than the usual loop's {usual:,.0f} s", [usual / mine for mine in seconds], "×"),
        ]
    memory = {key: value for key, value in found.items() if key.startswith("memory of")}
    floor = memory.pop("memory of torch")
    imports = [max(0.0, seconds) for seconds in found["imports"]]  # a difference of two noisy times
    rows += [
        ("memory above PyTorch's, each recipe", [(value - floor) / 1e6 for value in memory.values()], "MB"),
        ("`import gan_lib.recipes`, above `import torch`", imports, "s"),
    ]
    cells = [
        [work, f"{statistics.median(values):.3g} {unit}", f"{min(values):.3g} to {max(values):.3g}"]
        for work, values, unit in rows
    ]
    return tables.markdown("lrr", ["work", "median", "least to most"], cells)
