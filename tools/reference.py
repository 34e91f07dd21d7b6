"""Make the reference runs: train recipes over several seeds, measure them, write gan_lib/reference/.

    python tools/reference.py mlp-quick dcgan-quick     # seeds 1 to 5 each: about ten minutes on two cores
    python tools/reference.py best --seeds 0 1 2        # more than an hour
    python tools/reference.py                           # nothing but the tables in README.md

A run lies in runs/reference/RECIPE-SEED; one that is finished is not run again, and one that was interrupted goes on.
The lessons' own runs have seed 0: they are held against runs of other seeds.
"""

import argparse
import csv
import io
import json
import time
from pathlib import Path

import torch

from gan_lib import bench, checkpoint, data, evaluation, latent, models, recipes, reference, runs, training
from gan_lib.files import manifest, write_atomically

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "gan_lib" / "reference"
RUNS = ROOT / "runs" / "reference"
SAMPLES = 10_000  # for each score
SEED = 1000  # of the noise for the scores: far from the seeds of the runs
BENCH = ROOT / "benchmarks" / "results" / "bench.json"
COLUMNS = ("seed", "step", "d_loss", "g_loss", "d_real", "d_fake", "frechet", "classes")


def finished_run(recipe, seed):
    """The folder of the run, trained if need be."""
    folder = RUNS / f"{recipe.name}-{seed}"
    last = checkpoint.latest(folder / "checkpoints")
    if last is None or checkpoint.header(last)["step"] < recipe.steps:
        runs.train(recipe, folder, seed=seed, resume=last is not None)
    return folder


def samples_of(path):
    return recipes.resume(path, data.pick_device()).sampler().sample(SAMPLES, SEED)


def classic(seeds):
    """The distances of mlp's generators as the usual loop would leave them, without an average: [[step, [distance …]] …]."""
    by_step = {}
    for seed in seeds:
        for path in (RUNS / f"mlp-{seed}" / "checkpoints").glob("*.safetensors"):
            game = recipes.resume(path, data.pick_device())
            if game.step > 0:
                sampler = models.Sampler(game.generator, game.latent_dim)
                by_step.setdefault(game.step, []).append(round(evaluation.frechet(sampler.sample(SAMPLES, SEED)), 3))
    return sorted(map(list, by_step.items()))


def course(folder, seed):
    """The rows of one run for RECIPE.csv; each checkpoint's distance stands in the row that covers its step."""
    records = checkpoint.load_records(folder / "records.csv")
    last = records[-1].step
    every = 100 * -(-last // 6000)  # at most 60 rows
    steps = [*range(every, last + 1, every)]
    rows = {step: {"seed": seed, "step": step} for step in steps}
    for field in reference.LABELS:
        for step, mean in zip(steps, reference.means_until(records, field, steps), strict=True):
            rows[step][field] = f"{mean:.4f}"
    for path in (folder / "checkpoints").glob("*.safetensors"):
        step = checkpoint.header(path)["step"]
        row = rows.get(-(-step // every) * every) or rows[steps[-1]]
        if step > 0:
            features, logits = evaluation.features_and_logits(samples_of(path))
            real = evaluation.real_digits(features.device)
            row["frechet"] = f"{evaluation.frechet_distance(evaluation.gaussian(features), real.gaussian):.3f}"
            row["classes"] = evaluation.classes(evaluation.class_shares(logits), real.shares)
    return list(rows.values())


def write_course(recipe, seeds):
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for seed in seeds:
        writer.writerows(course(RUNS / f"{recipe.name}-{seed}", seed))
    write_atomically(FOLDER / f"{recipe.name}.csv", text.getvalue().encode())


def ms_a_step(recipe, times=10, steps=40):
    """Milliseconds for one pair of steps on this machine: the least of ten short runs, for what else it does only adds."""
    game, digits, found = recipe.game(), data.load(), []
    for _ in range(times):
        start = time.perf_counter()
        list(training.train(game, digits, steps))
        found.append((time.perf_counter() - start) / steps)
    return round(1000 * min(found), 1)


def update(results, recipe, seeds, timed):
    """Train, measure and write what belongs to one recipe."""
    folders = [finished_run(recipe, seed) for seed in seeds]
    if len(seeds) > 2:  # fewer make no band
        write_course(recipe, seeds)
    entry = results["recipes"].setdefault(recipe.name, {})
    generator = recipe.game().generator
    entry["seeds"] = seeds
    entry["parameters"] = sum(parameter.numel() for parameter in generator.parameters())
    entry["steps"] = checkpoint.header(checkpoint.latest(folders[0] / "checkpoints"))["step"]
    if timed or "ms_a_step" not in entry:
        entry["ms_a_step"] = ms_a_step(recipe)
    finals = [checkpoint.latest(folder / "checkpoints") for folder in folders]
    entry["scores"] = [evaluation.score(samples_of(path))._asdict() for path in finals]
    if recipe.truncation < 1:
        measure_untruncated(entry, recipe, [recipes.resume(path, data.pick_device()).sampler() for path in finals])
    if recipe.classes:
        asked = torch.arange(SAMPLES) % recipe.classes
        entry["by_class"] = [plain(evaluation.class_scores(samples_of(path), asked)) for path in finals]
        results.setdefault("floor_by_class", [plain(evaluation.class_floor(SAMPLES, seed)) for seed in range(5)])
    if recipe.name in manifest():  # those whose sliders the reader meets
        entry["effects"] = [effects_of(path) for path in finals]


def measure_untruncated(entry, recipe, samplers):
    """Score the samplers of a recipe that samples with truncation at ψ = 1 too, to compare with other recipes."""
    entry["truncation"] = recipe.truncation
    scores = [evaluation.score(sampler.sample(SAMPLES, SEED, truncation=1.0)) for sampler in samplers]
    entry["untruncated"] = [score._asdict() for score in scores]


def plain(scores):
    """Scores as JSON takes them, four decimals each."""
    return [{key: round(value, 4) for key, value in score._asdict().items()} for score in scores]


def effects_of(path):
    """What the directions of a checkpoint's generator do, one for each attribute."""
    sampler = recipes.resume(path, data.pick_device()).sampler()
    found = latent.effects(sampler, latent.find_directions(sampler))
    return [{k: v if k == "name" else round(v, 4) for k, v in effect._asdict().items()} for effect in found]


def write_tables():
    """Put the tables of the results and of the bench between their marks in README.md."""
    text = (ROOT / "README.md").read_text()
    for name, table in tables().items():
        opening, closing = f"<!-- {name}: written by tools/reference.py -->", f"<!-- /{name} -->"
        before, rest = text.split(opening)
        text = f"{before}{opening}\n{table}\n{closing}{rest.split(closing)[1]}"
    write_atomically(ROOT / "README.md", text.encode())


def tables():
    """README's tables: {name: Markdown}."""
    return {"results": reference.table(), "classes": reference.class_table(), "directions": reference.directions_table(),
            "stacked": reference.stacked_table(), "augmentation": reference.augmentation_table(),
            "bench": bench.table(json.loads(BENCH.read_text()))}  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipes", nargs="*", help=f"of: {', '.join(recipes.RECIPES)}")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5])
    parser.add_argument("--train-only", action="store_true", help="leave gan_lib/reference/ as it is")
    parser.add_argument(
        "--untruncated", action="store_true", help="measure bundled generators at ψ = 1, and train nothing"
    )
    parser.add_argument("--time", action="store_true", help="time a step anew; the machine must be idle")
    arguments = parser.parse_args()
    chosen = [recipes.get(name) for name in arguments.recipes]
    if arguments.train_only:
        for recipe in chosen:
            for seed in arguments.seeds:
                finished_run(recipe, seed)
        return
    path = FOLDER / "results.json"
    results = json.loads(path.read_text()) if path.exists() else {"recipes": {}}
    results.setdefault("floor", [evaluation.floor(SAMPLES, seed)._asdict() for seed in range(5)])
    for recipe in chosen:
        if arguments.untruncated:
            measure_untruncated(results["recipes"][recipe.name], recipe, [recipes.pretrained(recipe.name)])
            continue
        update(results, recipe, arguments.seeds, arguments.time)
        if recipe.name == "mlp":
            results["classic"] = classic(arguments.seeds)
        results["recipes"] = {name: results["recipes"][name] for name in recipes.RECIPES if name in results["recipes"]}
        write_atomically(path, (json.dumps(results, indent=1) + "\n").encode())
        print(f"{recipe.name}: measured over {len(arguments.seeds)} runs")
    write_atomically(path, (json.dumps(results, indent=1) + "\n").encode())
    write_tables()


if __name__ == "__main__":
    main()
