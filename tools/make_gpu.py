"""Check and time this machine's GPU in under eight minutes: the tests that need one, the recipes, and the lessons.

    python -m tools.make_gpu                 # writes benchmarks/results/gpu.json
    python -m tools.make_gpu --minutes 20    # with time for every lesson

Lessons run with their own defaults, one after another, until the time is used up. A later call with the same GPU and the same
commit goes on with those that are missing. `python tools/make_reference.py` then renews the table in docs/results.md.
"""

import argparse
import itertools
import json
import subprocess
import sys
import time
from pathlib import Path

import torch

from gan_lib import data, evaluation, hardware, recipes, training
from gan_lib.files import write_atomically
from tools import lessons, make_bench

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "benchmarks" / "results" / "gpu.json"
FIRST = ("02", "03", "15", "11", "04")  # lessons that train most come first
LEAST = 60  # seconds that are left when the last lesson begins


def find_fault():
    """Why this machine's GPU can't be used, in a sentence; None if it can."""
    version = torch.__version__
    if not torch.cuda.is_available():
        return f"This machine has no GPU that PyTorch {version} can use; on Colab choose Runtime > Change runtime type > GPU."
    if not hardware.works("cuda"):
        name, (major, minor) = torch.cuda.get_device_name(), torch.cuda.get_device_capability()
        advice = "take another GPU, or an older PyTorch"
        return f"PyTorch {version} can't compute on {name}, a GPU of compute capability {major}.{minor}: {advice}."
    return None


def explain(error):
    """What went wrong on the GPU, in a sentence."""
    first = str(error).partition("\n")[0]
    if isinstance(error, torch.OutOfMemoryError):
        return f"The GPU has too little free memory: close other programs and notebooks that use it, and try again. ({first})"
    return f"The GPU failed, or is gone: restart the runtime, and try again. ({first})"


def test():
    """How the tests that need a GPU end, in the words of pytest. Raises `SystemExit` where one fails."""
    paths = "tests/test_capture.py", "tests/notebooks/test_smoke.py"  # lessons run on the GPU, since there is one
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *paths]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{done.stdout}\nTests fail on this GPU: nothing was measured.")
    return done.stdout.strip().splitlines()[-1]


def one_by_one(iteration, game, batches):
    """As `capture.Graphs`, without graphs."""
    return sum(iteration(game, *batch) for batch in batches)


def race(name, steps, device="cuda", rounds=5):
    """Milliseconds of an iteration: {"graphs", "operations" (one by one), "usual" (loop): [one for each round]}."""
    recipe, images = recipes.get(name), data.load(device=device).images
    games, usual = [recipe.game(device=device) for _ in range(2)], make_bench.usual_loop(recipe, device)
    games[1].repeat = one_by_one
    ours = [lambda n, game=game: list(training.train(game, images, n, record_every=n)) for game in games]
    plays = {
        "graphs": (ours[0], steps),
        "operations": (ours[1], steps // 2),
        "usual": (lambda n: list(itertools.islice(usual, n))[-1][0].item(), steps // 10),
    }
    found = {key: [] for key in plays}
    for _ in range(rounds + 1):
        for key, (play, n) in plays.items():
            found[key].append(1000 * make_bench.measure_seconds(lambda play=play, n=n: play(n)) / n)
    return {key: times[1:] for key, times in found.items()}  # the first round warms up


def score(device="cuda", times=3):
    """Seconds to draw and score 10,000 samples of the recipe dcgan."""
    sampler = recipes.pretrained("dcgan", device)
    seconds = [make_bench.measure_seconds(lambda: evaluation.score(sampler.sample(10_000))) for _ in range(times + 1)]
    return seconds[1:]


def time_lessons(known, end):
    """Yield {number: seconds} of `known` and one more lesson each time, until `time.monotonic()` comes near `end`."""
    paths = lessons.find(ROOT, ["all"])
    for path in sorted(paths, key=lambda path: (path.name[:2] not in FIRST, path.name)):
        left = end - time.monotonic()
        if path.name[:2] in known or left < LEAST:
            continue
        result = lessons.execute(path, ROOT, timeout=left)
        if result.errors and time.monotonic() < end:
            sys.exit(f"{path.name}: {result.errors[0]}")
        if not result.errors:
            known = known | {path.name[:2]: round(result.seconds, 1)}
            yield known


def measure(minutes):
    """Yield everything that is known so far, after each part."""
    end, machine = time.monotonic() + 60 * minutes, make_bench.describe_machine("cuda")
    old = json.loads(OUT.read_text()) if OUT.exists() else {}
    old = old if old.get("machine") == machine else {}
    found = {"machine": machine, "tests": test()}
    for name, steps in (("mlp", 1000), ("dcgan", 500)):
        torch.cuda.reset_peak_memory_stats()
        found[name] = race(name, steps)
        found[name]["megabytes"] = torch.cuda.max_memory_allocated() / 1e6
        yield found
    found["score"] = score()
    yield found
    for found["lessons"] in time_lessons(old.get("lessons", {}), end):
        yield found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=7.5, help="the time for all of it (default: 7.5)")
    options = parser.parse_args()
    if fault := find_fault():
        sys.exit(fault)
    try:
        for found in measure(options.minutes):
            write_atomically(OUT, (json.dumps(found, indent=1) + "\n").encode())
            print(f"measured: {', '.join(found)}; lessons {' '.join(found.get('lessons', ['none']))}", flush=True)
    except RuntimeError as error:
        sys.exit(explain(error))
    print(f"All figures: {OUT}")


if __name__ == "__main__":
    main()
