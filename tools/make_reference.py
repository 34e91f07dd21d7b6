"""Make the reference runs: train recipes over several seeds, measure them, write gan_lib/reference/.

    python tools/make_reference.py mlp-quick dcgan-quick     # seeds 1 to 5 each: about ten minutes on two cores
    python tools/make_reference.py best --seeds 0 1 2        # more than an hour
    python tools/make_reference.py                           # nothing but the tables

A run lies in runs/reference/RECIPE-SEED. A finished run is not repeated, and an interrupted one continues. The runs of the
lessons have seed 0, so that they are compared with runs of other seeds.
"""

import argparse
import csv
import io
import json
import math
import re
import time
from pathlib import Path
from statistics import fmean, median

import torch

from gan_lib import checkpoint, data, evaluation, hardware, latent, models, recipes, reference, runs, tables, training
from gan_lib.files import manifest, write_atomically
from gan_lib.studies import augmentation, class_scores, effects

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "gan_lib" / "reference"
RUNS = ROOT / "runs" / "reference"
SAMPLES = 10_000  # for each score
SEED = 1000  # of the noise for the scores: far from the seeds of the runs
BENCH = ROOT / "benchmarks" / "results" / "bench.md"
GPU = BENCH.with_name("gpu.json")
COLUMNS = ("seed", "step", "d_loss", "g_loss", "d_real", "d_fake", "frechet", "classes")
PAGES = ROOT / "README.md", ROOT / "docs" / "results.md"
PUBLISHED = (  # on stacked digits: who, modes of 1,000, KL in nats, where that stands
    ("DCGAN", "99", "3.40", "Srivastava et al. 2017"),
    ("DCGAN, run again", "78.9", "4.50", "Lin et al. 2017"),
    ("VEEGAN", "150", "2.95", "Srivastava et al. 2017"),
    ("PacDCGAN2", "1000", "0.06", "Lin et al. 2017"),
    ("StyleGAN2", "940", "0.42", "Huang et al. 2025"),
    ("vanilla loss, R1 + R2", "693", "0.93", "Huang et al. 2025"),
    ("relativistic loss, R1 + R2", "1000", "0.078", "Huang et al. 2025"),
    ("R3GAN", "1000", "0.029", "Huang et al. 2025"),
)


def finish_run(recipe, seed):
    """The folder of the run, after its training has been finished."""
    folder = RUNS / f"{recipe.name}-{seed}"
    last = checkpoint.latest(folder)
    if last is None or checkpoint.read(last).header["step"] < recipe.steps:
        runs.train(recipe, folder, seed=seed, resume=last is not None)
    return folder


def classic(seeds):
    """The distances of the generators of `mlp` without EMA, as in the usual loop: [[step, [distance …]] …]."""
    by_step = {}
    for seed in seeds:
        for path in (RUNS / f"mlp-{seed}" / "checkpoints").glob("*.safetensors"):
            game = checkpoint.resume(path, hardware.pick_device())
            if game.step > 0:
                sampler = models.Sampler(game.generator, game.latent_dim)
                by_step.setdefault(game.step, []).append(round(evaluation.frechet(sampler.sample(SAMPLES, SEED)), 3))
    return sorted(map(list, by_step.items()))


def course(folder, seed):
    """The rows of one run for RECIPE.csv; the distance of a checkpoint is in the row that covers its step."""
    records = runs.load_records(folder / "records.csv")
    last = records[-1].step
    every = 100 * -(-last // 6000)  # at most 60 rows
    steps = [*range(every, last + 1, every)]
    rows = {step: {"seed": seed, "step": step} for step in steps}
    for field in reference.LABELS:
        for step, mean in zip(steps, reference.means_until(records, field, steps), strict=True):
            rows[step][field] = f"{mean:.4f}"
    for path in (folder / "checkpoints").glob("*.safetensors"):
        step = checkpoint.read(path).header["step"]
        row = rows.get(-(-step // every) * every) or rows[steps[-1]]
        if step > 0:
            sampler = checkpoint.sampler(path, hardware.pick_device())
            features, logits = evaluation.features_and_logits(sampler.sample(SAMPLES, SEED))
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
    """Milliseconds of an iteration on this machine: the least of ten short runs, because other work can only add time."""
    game, digits, found = recipe.game(), data.load(), []
    for _ in range(times):
        start = time.perf_counter()
        list(training.train(game, digits, steps))
        found.append((time.perf_counter() - start) / steps)
    return round(1000 * min(found), 1)


def update(results, recipe, seeds, timed):
    """Train, measure and write what belongs to one recipe."""
    folders = [finish_run(recipe, seed) for seed in seeds]
    samplers = [checkpoint.sampler(folder, hardware.pick_device()) for folder in folders]
    if len(seeds) > 2:  # fewer make no band
        write_course(recipe, seeds)
    entry = results["recipes"].setdefault(recipe.name, {})
    entry["seeds"] = seeds
    entry["parameters"] = sum(parameter.numel() for parameter in samplers[0].generator.parameters())
    entry["steps"] = checkpoint.read(checkpoint.latest(folders[0])).header["step"]
    if timed or "ms_a_step" not in entry:
        entry["ms_a_step"] = ms_a_step(recipe)
    entry["scores"] = [evaluation.score(sampler.sample(SAMPLES, SEED))._asdict() for sampler in samplers]
    if recipe.truncation < 1:
        measure_untruncated(entry, recipe, samplers)
    if recipe.classes:
        y = torch.arange(SAMPLES) % recipe.classes
        entry["by_class"] = [plain(class_scores.score(sampler.sample(SAMPLES, SEED), y)) for sampler in samplers]
        results.setdefault("floor_by_class", [plain(class_scores.floor(SAMPLES, seed)) for seed in range(5)])
    if recipe.name in manifest():  # the bundled generators, which the lessons steer
        found = [effects.measure(sampler, latent.find_directions(sampler)) for sampler in samplers]
        entry["effects"] = [plain(each) for each in found]


def measure_untruncated(entry, recipe, samplers):
    """Score the samplers of a recipe that samples with truncation at ψ = 1 too, to compare with other recipes."""
    entry["truncation"] = recipe.truncation
    scores = [evaluation.score(sampler.sample(SAMPLES, SEED, truncation=1.0)) for sampler in samplers]
    entry["untruncated"] = [score._asdict() for score in scores]


def plain(scores):
    """Scores or effects as JSON takes them, with four decimals."""
    rounded = lambda value: round(value, 4) if isinstance(value, float) else value
    return [{key: rounded(value) for key, value in score._asdict().items()} for score in scores]


def write_tables():
    """Write the tables between their marks in `PAGES`."""
    built = build_tables()
    for page in PAGES:
        text = page.read_text()
        for name, table in built.items():
            opening, closing = f"<!-- {name}: written by tools/make_reference.py -->", f"<!-- /{name} -->"
            text = re.sub(
                f"{opening}.*?{closing}", lambda _, new=f"{opening}\n{table}\n{closing}": new, text, flags=re.DOTALL
            )
        write_atomically(page, text.encode())


def build_tables():
    """The tables of `PAGES`: {name: Markdown}."""
    return {"results": results_table(), "summary": summary_table(), "classes": class_table(), "directions": directions_table(),
            "stacked": stacked_table(), "augmentation": augmentation_table(),
            "bench": BENCH.read_text().strip(), "gpu": gpu_table()}  # fmt: skip


def results_table():
    """The scores of each recipe, below those of real digits: means ± standard deviations over the runs."""
    fields = ("frechet", "precision", "recall", "density", "coverage", "classes")
    found = reference.results()
    rows = [["*real digits*", "", "", str(len(found["floor"])), *cells_of(found["floor"], fields)]]
    for name, about in found["recipes"].items():
        minutes = about["steps"] * about["ms_a_step"] / 60_000
        size, runs = f"{about['parameters']:,}", str(len(about["scores"]))
        each = {f"`{name}`": about["scores"]}
        if "untruncated" in about:
            each = {f"`{name}`, ψ = 1": about["untruncated"], f"`{name}`, ψ = {about['truncation']}": about["scores"]}
        rows += [[label, size, f"{minutes:.1f}", runs, *cells_of(scores, fields)] for label, scores in each.items()]
    heads = ["recipe", "parameters", "minutes", "runs", "Fréchet distance", *fields[1:]]
    return tables.markdown("l" + 9 * "r", heads, rows)


def summary_table():
    """README's table: the Fréchet distance, precision and recall of the bundled generators."""
    found, fields = reference.results(), ("frechet", "precision", "recall")
    scores = {"*real digits*": found["floor"]}
    scores |= {f"`{name}`": found["recipes"][name]["scores"] for name in ("mlp", "dcgan", "best", "cgan")}
    rows = [[label, *cells_of(each, fields)] for label, each in scores.items()]
    return tables.markdown("lrrr", ["generator", "Fréchet distance", *fields[1:]], rows)


def class_table(recipe="cgan"):
    """The scores of a conditional recipe, a row for each label: means over the runs, and in brackets those of training digits."""
    fields = ("precision", "recall", "density", "coverage")
    found, rows = reference.results(), []
    ours, floor = (
        zip(*scores, strict=True) for scores in (found["recipes"][recipe]["by_class"], found["floor_by_class"])
    )
    for digit, both in enumerate(zip(ours, floor, strict=True)):  # a score for each run, of this label
        means = [{field: fmean(score[field] for score in some) for field in ("right", *fields)} for some in both]
        cells = [f"{means[0][field]:.2f} ({means[1][field]:.2f})" for field in fields]
        rows.append([str(digit), f"{means[0]['right']:.1%}", *cells])
    return tables.markdown("lrrrrr", ["label", "read as it", *fields], rows)


def directions_table():
    """What the directions do, a row for each attribute of each recipe: means ± standard deviations over the runs."""
    rows = []
    for recipe, about in reference.results()["recipes"].items():
        for found in zip(*about.get("effects", []), strict=True):  # an effect for each run, of one attribute
            means = [f"{fmean(e['explained'] for e in found):.0%}", *cells_of(found, ("own", "leak", "random"))]
            rows.append([f"`{recipe}`", found[0]["name"], *means])
    return tables.markdown("llrrrr", ["recipe", "attribute", "R²", "own", "leak", "random"], rows)


def stacked_table():
    """The modes covered at the last step that all recipes reached, and `PUBLISHED`: means ± standard deviations."""
    floor, runs = json.loads((reference.FOLDER / "stacked.json").read_text()).values()  # by tools/make_stacked.py
    names = dict.fromkeys(run["recipe"] for run in runs)
    last = min(max(run["step"] for run in runs if run["recipe"] == name) for name in names)
    counted = lambda runs: [*cells_of(runs, ["found"], ".0f"), *cells_of(runs, ["kl"], ".3f")]
    rows = [["*real test digits*", "1", *counted([floor]), "ours"]]
    for name in names:
        ours = [run for run in runs if (run["recipe"], run["step"]) == (name, last)]
        rows.append([f"`{name}`", str(len(ours)), *counted(ours), f"ours, {last:,} steps"])
    rows += [[who, "", *figures] for who, *figures in PUBLISHED]
    return tables.markdown("lrrrl", ["network", "runs", "modes of 1,000", "KL, nats", "whose"], rows)


def augmentation_table():
    """Errors of classifiers, a row for each number of real digits, and how good the generators are."""
    arms = ["real"], ["own"], ["all", "synthetic"]
    columns = [augmentation.errors(how, *each) for how in ("plain", "augmented") for each in arms]
    columns += [augmentation.read_results(field, "own", "synthetic") for field in ("novelty", "as_asked")]
    labels = [label for arm, label in augmentation.ARMS.items() if arm != "synthetic"]
    heads = ["real digits a class", *labels, *(f"{label}, augmented" for label in labels), "novelty", "right label"]
    rows = []
    for count in sorted(columns[2], key=lambda count: count or math.inf):
        known = [each.get(count) for each in columns]
        cells = [tables.mean_and_deviation(values, ".2f", ".2f", zeros=True) if values else "" for values in known]
        rows.append([f"{count:,}" if count else "none", *cells])
    return tables.markdown(9 * "r", heads, rows)


def gpu_table():
    """What `make gpu` measured, with its heading: medians over the rounds. Nothing as long as there is no such file."""
    if not GPU.exists():
        return ""
    found, rows = json.loads(GPU.read_text()), []
    for name in ("mlp", "dcgan"):
        graphs, operations, usual = (median(found[name][key]) for key in ("graphs", "operations", "usual"))
        whole, memory = graphs * recipes.get(name).steps / 1000, found[name]["megabytes"]
        rows.append([f"`{name}`", f"{graphs:.2f} ms", f"{operations / graphs:.1f} ×", f"{usual / graphs:.1f} ×", f"{whole:.0f} s",
                     f"{memory:.0f} MB"])  # fmt: skip
    heads = ["recipe", "an iteration", "faster than without graphs", "than the usual loop", "all epochs", "memory"]
    machine = found["machine"]
    text = f"### On a GPU\n\nOn one {machine['device']}, with PyTorch {machine['torch']}."
    if "score" in found:
        text += f" Drawing and scoring 10,000 samples of `dcgan` takes {median(found['score']):.2g} s."
    if seconds := found.get("lessons"):
        each = (f"{number}: {seconds[number]:.0f}" for number in sorted(seconds))
        text += f" Seconds of the lessons: {', '.join(each)}."
    return f"{text}\n\n{tables.markdown('lrrrrr', heads, rows)}"


def cells_of(scores, fields, places=".2f"):
    """The cells of these fields: mean ± standard deviation over `scores`, a dict for each run."""
    for field in fields:
        values = [score[field] for score in scores]
        yield tables.mean_and_deviation(values, ".3g" if field == "classes" else places, places)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipes", nargs="*", help=f"of: {', '.join(recipes.RECIPES)}")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5])
    parser.add_argument("--train-only", action="store_true", help="leave gan_lib/reference/ as it is")
    parser.add_argument(
        "--untruncated", action="store_true", help="measure bundled generators at ψ = 1, and train nothing"
    )
    parser.add_argument("--time", action="store_true", help="time a step again; the machine must be idle")
    arguments = parser.parse_args()
    chosen = [recipes.get(name) for name in arguments.recipes]
    if arguments.train_only:
        for recipe in chosen:
            for seed in arguments.seeds:
                finish_run(recipe, seed)
        return
    path = FOLDER / "results.json"
    results = json.loads(path.read_text()) if path.exists() else {"recipes": {}}
    results.setdefault("floor", [evaluation.floor(SAMPLES, seed)._asdict() for seed in range(5)])
    for recipe in chosen:
        if arguments.untruncated:
            measure_untruncated(results["recipes"][recipe.name], recipe, [recipes.pretrained(recipe.name)])
        else:
            update(results, recipe, arguments.seeds, arguments.time)
            if recipe.name == "mlp":
                results["classic"] = classic(arguments.seeds)
        results["recipes"] = {name: results["recipes"][name] for name in recipes.RECIPES if name in results["recipes"]}
        write_atomically(path, (json.dumps(results, indent=1) + "\n").encode())
        print(f"{recipe.name}: measured{'' if arguments.untruncated else f' over {len(arguments.seeds)} runs'}")
    write_tables()


if __name__ == "__main__":
    main()
