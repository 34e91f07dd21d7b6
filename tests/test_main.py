"""The command line from end to end: what it writes can be read, what it is told wrong it says in a sentence."""

import ast
import csv
import errno
import inspect
import io
import json
import os
import pickle
import re
import shlex
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import safetensors.torch
import torch
from PIL import Image

from gan_lib import __main__ as command_line
from gan_lib import checkpoint, data, evaluation, files, hardware, latent, pictures, recipes, runs, tables
from gan_lib.attributes import ATTRIBUTES
from gan_lib.recipes import RECIPES
from gan_lib.studies import diagnosis, handwriting

ROOT = Path(files.__file__).parents[1]
AS_HERE = os.environ | {"OMP_NUM_THREADS": "1", "MPLBACKEND": "Agg", "PYTHONPATH": str(ROOT)}


@pytest.fixture
def gan(capsys):
    """`gan(words...)` is `python -m gan_lib words...`: exit status, output, messages."""

    def call(*words):
        try:
            command_line.main([str(word) for word in words])
            status = 0
        except SystemExit as end:
            status = end.code
        except KeyboardInterrupt:  # which would end pytest itself
            status = "a traceback"
        return status, *capsys.readouterr()

    return call


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


def no_network(*_, **__):
    raise urllib.error.URLError("Name or service not known")


@pytest.fixture
def fashion(tmp_path, monkeypatch, write_idx, images):
    """A Fashion-MNIST of 210 images on disk, of which a batch of 100 makes epochs of two steps; and no network."""
    monkeypatch.setattr(urllib.request, "urlopen", no_network)
    monkeypatch.setenv("GAN_LIB_DATA", str(tmp_path / "cache"))
    many = images.repeat(5, 1, 1)[:210]
    for part in ("train", "t10k"):
        write_idx(tmp_path / "cache" / "FashionMNIST" / "raw" / f"{part}-images-idx3-ubyte", many)
        write_idx(tmp_path / "cache" / "FashionMNIST" / "raw" / f"{part}-labels-idx1-ubyte", many[:, 0, 0] % 10)
    return many


TINY = "--data", "fashion-mnist", "--quiet"


def steps_in(run):
    return sorted(checkpoint.header(path)["step"] for path in (run / "checkpoints").iterdir())


def rows_of(run):
    with open(run / "records.csv", newline="") as file:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]


def tensors_of(run):
    return safetensors.torch.load_file(checkpoint.latest(run))


# train


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_trains_on_mnist_and_writes_what_its_help_lists(name, gan, tmp_path):
    status, out, err = gan("train", name, "--steps", 3, "--out", "run", "--device", "cpu")
    assert status == 0
    assert re.fullmatch(f"{name}: 3 steps in \\d+ s of training; everything is in run\n", out)
    for shown in ("3/3", "epoch 1/1", "d_loss", "g_loss", "D(x)", "D(G(z))", "steps/s"):
        assert shown in err
    run = tmp_path / "here" / "run"
    written = {path.relative_to(run).as_posix() for path in run.rglob("*") if path.is_file()}
    pictures = {"real_images.png", "samples/epoch_0.png", "samples/epoch_1.png"}
    pictures |= {"visualization_across_epochs.png", "curves.png"}
    others = {"progress.gif", "progress.mp4", "records.csv"}
    assert written == {".lock"} | pictures | others | {f"checkpoints/step_000000{i}.safetensors" for i in (0, 3)}
    for line in command_line.TRAIN.split("\n\n")[1].splitlines():
        for file in line[:33].replace("_N", "_1").replace("_1.safe", "_0000003.safe").split(","):
            assert file.strip() in written

    assert pictures.untile(pictures.load_picture(run / "real_images.png")).equal(data.load().images[:100])
    sampler = checkpoint.resume(run / "checkpoints" / "step_0000003.safetensors").sampler()
    samples = pictures.untile(pictures.load_picture(run / "samples" / "epoch_1.png"))
    assert samples.equal(data.to_uint8(sampler.turns(sampler.noise(100))))
    assert not samples.equal(pictures.untile(pictures.load_picture(run / "samples" / "epoch_0.png")))
    for picture in pictures:
        assert pictures.load_picture(run / picture).std() > 1
    with Image.open(run / "progress.gif") as gif:
        assert gif.n_frames == 2
    assert (run / "progress.mp4").read_bytes()[4:8] == b"ftyp"
    (row,) = rows_of(run)
    assert (row["step"], row["images"]) == ("3", str(3 * RECIPES[name].batch_size))
    assert list(row) == ["step", "images", "d_loss", "g_loss", "d_real", "d_fake"]
    assert 0 < float(row["d_real"]) < 1


def test_train_hands_on_what_it_was_told(gan, monkeypatch):
    told = []
    ended = SimpleNamespace(game=SimpleNamespace(step=7, seconds=2.4, team=hardware.Team()), remark=None)
    monkeypatch.setattr(runs, "train", lambda *words, **more: told.append((words, more)) or ended)
    words = "--data", "kmnist", "--epochs", 4, "--seed", 5, "--out", "run", "--device", "cpu", "--resume", "--quiet"
    assert gan("train", "mlp")[:2] == (0, "mlp: 7 steps in 2 s of training; everything is in runs/mlp\n")
    assert gan("train", "dcgan", *words)[0] == 0
    assert gan("train", "dcgan", "--steps", 9)[0] == 0
    plain = {"dataset": "mnist", "device": "auto", "seed": None, "epochs": None, "steps": None}
    plain |= {"resume": False, "quiet": False}
    all_said = {"dataset": "kmnist", "device": "cpu", "seed": 5, "epochs": 4, "steps": None}
    all_said |= {"resume": True, "quiet": True}
    assert told == [
        ((RECIPES["mlp"], "runs/mlp"), plain),
        ((RECIPES["dcgan"], "run"), all_said),
        ((RECIPES["dcgan"], "runs/dcgan"), plain | {"steps": 9}),
    ]


def test_a_fault_is_named_at_the_end_of_a_run(gan, monkeypatch):
    remark = diagnosis.Remark("noise", "the z of two batches are equal", "draw new z")
    ended = SimpleNamespace(game=SimpleNamespace(step=100, seconds=1.0, team=hardware.Team()), remark=remark)
    monkeypatch.setattr(runs, "train", lambda *_, **__: ended)
    status, out, _ = gan("train", "mlp")
    assert status == 0
    assert out.splitlines()[1:] == [f"The run shows a fault. {remark}"]


def test_a_finished_run_is_resumed_to_nothing(gan, fashion, tmp_path):
    gan("train", "mlp", "--steps", 2, "--out", "run", *TINY)
    before = tensors_of(tmp_path / "here" / "run")
    status, out, _ = gan("train", "mlp", "--steps", 2, "--out", "run", *TINY, "--resume")
    assert (status, out.startswith("mlp: 2 steps")) == (0, True)
    assert all(value.equal(before[key]) for key, value in tensors_of(tmp_path / "here" / "run").items())


def test_cgan_trains_on_other_things_than_digits(gan, fashion, tmp_path, write_idx):
    letters = tmp_path / "cache" / "EMNIST" / "raw" / "emnist-letters-train-images-idx3-ubyte"
    write_idx(letters, fashion)
    write_idx(letters.with_name("emnist-letters-train-labels-idx1-ubyte"), 1 + fashion[:, 0, 0] % 26)
    told = gan("train", "cgan", "--steps", 2, "--data", "emnist-letters", "--quiet")
    assert (told[0], "This game needs labels from 0 to 9" in told[2]) == (1, True)
    assert gan("train", "cgan", "--steps", 2, "--out", "run", *TINY)[0] == 0
    sampler = checkpoint.resume(checkpoint.latest(tmp_path / "here" / "run")).sampler()
    assert (sampler.classes, sampler.sample(10).shape) == (10, (10, 1, 28, 28))


def test_cgan_trains_on_fashion(gan, tmp_path, monkeypatch):
    """Runs where Debian's package dataset-fashion-mnist is installed; nothing is downloaded."""
    monkeypatch.setattr(urllib.request, "urlopen", no_network)
    try:
        things = data.load("fashion-mnist")
    except FileNotFoundError as error:
        pytest.skip(str(error))
    assert things.images.shape == (60_000, 28, 28)
    assert things.labels.bincount().tolist() == [6000] * 10
    trousers, shirts = (things.images[things.labels == kind].float().mean((1, 2)) for kind in (1, 6))
    assert trousers.mean() < shirts.mean()  # there is less of them
    assert gan("train", "cgan", "--steps", 2, "--out", "run", *TINY)[0] == 0
    assert checkpoint.resume(checkpoint.latest(tmp_path / "here" / "run")).classes == 10


def test_a_quiet_run_says_nothing_but_its_end(gan, fashion):
    status, out, err = gan("train", "mlp", "--steps", 1, *TINY)
    assert (status, len(out.splitlines()), err) == (0, 1, "")


# Ctrl-C


def test_ctrl_c_saves_and_the_command_it_prints_gives_the_bits_of_an_uninterrupted_run(gan, tmp_path, differences):
    words = [
        sys.executable,
        "-m",
        "gan_lib",
        "train",
        "mlp-sigmoid",
        "--steps",
        "500",
        "--out",
        "my run",
        "--device",
        "cpu",
    ]
    run, once = tmp_path / "here" / "my run", tmp_path / "here" / "once"
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=AS_HERE)
    said = b""
    while b"d_loss" not in said:  # the first record
        said += os.read(process.stderr.fileno(), 1000) or pytest.fail(said.decode())
    process.send_signal(signal.SIGINT)
    out, rest = process.communicate(timeout=600)
    said = (said + rest).decode()
    assert (process.returncode, out) == (130, b"")
    assert "Traceback" not in said
    *_, told, command = said.strip().splitlines()
    step = steps_in(run)[-1]
    assert 100 <= step < 500
    assert told == f"Stopped after step {step} of 500; everything is in my run. To go on:"
    for name in (
        "samples/epoch_1.png",
        "curves.png",
        "visualization_across_epochs.png",
        "progress.gif",
        "progress.mp4",
    ):
        assert (run / name).stat().st_size > 100
    assert len(rows_of(run)) == step // 100

    again = shlex.split(command)
    assert again[:3] == ["python", "-m", "gan_lib"]
    assert gan(*again[3:], "--quiet")[0] == 0
    assert steps_in(run) == [0, 500]  # that of the interruption is gone
    assert gan("train", "mlp-sigmoid", "--steps", 500, "--out", once, "--device", "cpu", "--quiet")[0] == 0
    assert differences(tensors_of(run), tensors_of(once)) == []
    assert rows_of(run) == rows_of(once)


def test_ctrl_c_before_anything_is_made_is_no_traceback_either(gan, monkeypatch):
    monkeypatch.setattr(data, "load", lambda *_, **__: signal.raise_signal(signal.SIGINT))
    assert gan("train", "mlp", "--steps", 1) == (130, "", "gan_lib: stopped.\n")


# sample


@pytest.fixture
def small_run(tmp_path, new_game):
    """The folder of a run with two checkpoints, made without the command line."""
    recipe = recipes.Recipe("small", "mlp", latent_dim=5, width=6)
    game = recipe.game(seed=3)
    run = tmp_path / "here" / "small"
    for game.step in (2, 10):
        checkpoint.save(game, run / "checkpoints" / f"step_{game.step}.safetensors", recipe)
        torch.nn.init.normal_(game.average[0].weight)
    return run


@pytest.mark.parametrize("source", ["small", "small/checkpoints/step_10.safetensors"])
def test_samples_are_those_of_the_latest_average(source, gan, small_run):
    assert gan("sample", source, "--n", 12, "--seed", 4, "--out", "new/x.npy") == (
        0,
        f"12 samples of {source} are in new/x.npy\n",
        "",
    )
    images = np.load("new/x.npy")
    assert (images.shape, images.dtype) == ((12, 28, 28), np.uint8)
    sampler = checkpoint.resume(small_run / "checkpoints" / "step_10.safetensors").sampler()
    assert (images == data.to_uint8(sampler.sample(12, seed=4)).numpy()).all()


def test_grid_array_and_folder_hold_the_same_images(gan, small_run, tmp_path):
    for out in ("new/x.npy", "new/x.png", "new/folder"):
        assert gan("sample", "small", "--n", 9, "--out", out)[0] == 0
    images = np.load("new/x.npy")
    assert (pictures.untile(pictures.load_picture("new/x.png"), scale=2).numpy() == images).all()
    names = sorted(path.name for path in (tmp_path / "here" / "new" / "folder").iterdir())
    assert names == [f"{i:05d}.png" for i in range(9)]
    assert (np.stack([pictures.load_picture(f"new/folder/{name}") for name in names]) == images).all()


def test_another_seed_gives_other_samples(gan, small_run):
    for seed in (0, 1):
        gan("sample", "small", "--n", 2, "--seed", seed, "--out", f"{seed}.npy")
    assert not (np.load("0.npy") == np.load("1.npy")).all()


@pytest.fixture
def told_run(tmp_path, new_game):
    """The folder of a run whose players are told labels."""
    recipe = recipes.Recipe("told", "mlp", latent_dim=5, width=6, classes=10)
    game = recipe.game(seed=3)
    for layer in (game.average.embedding, game.average.rest[3]):
        torch.nn.init.normal_(layer.weight)
    checkpoint.save(game, tmp_path / "here" / "told" / "checkpoints" / "step_1.safetensors", recipe)
    return game.sampler()


def test_a_digit_is_asked_for(gan, told_run):
    assert gan("sample", "told", "--digit", 7, "--n", 12, "--seed", 4, "--out", "x.npy")[0] == 0
    assert (np.load("x.npy") == data.to_uint8(told_run.of(7).sample(12, seed=4)).numpy()).all()


def test_digits_take_turns_and_each_row_has_one_handwriting(gan, told_run):
    assert gan("sample", "told", "--digits", "907", "--n", 8, "--out", "x.npy")[1] == "8 samples of told are in x.npy\n"
    z = told_run.noise(3)
    expected = [told_run(z[i // 3].unsqueeze(0), torch.tensor([int("907"[i % 3])])) for i in range(8)]
    assert abs(np.load("x.npy").astype(int) - data.to_uint8(torch.cat(expected)).numpy()).max() <= 1
    gan("sample", "told", "--digits", "907", "--n", 8, "--out", "x.png")
    rows = pictures.untile(pictures.load_picture("x.png"), scale=2)
    assert (rows[:8].numpy() == np.load("x.npy")).all() and rows.shape[0] == 9  # three columns


def test_a_number_is_written_as_one_picture(gan, told_run):
    told = gan("sample", "told", "--text", "20261", "--out", "x.png")
    assert told == (0, "5 samples of told are in x.png\n", "")
    images = handwriting.write(told_run, "20261", told_run.noise(1))[0]
    assert (pictures.load_picture("x.png")[::4, ::4] == handwriting.line(images)).all()
    gan("sample", "told", "--text", "20261", "--n", 3, "--out", "three.png")
    lines = [handwriting.line(images) for images in handwriting.write(told_run, "20261", told_run.noise(3))]
    assert abs(pictures.load_picture("three.png")[::4, ::4].astype(int) - handwriting.stack(lines)).max() <= 1


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("told --digit 11", "Labels are whole numbers from 0 to 9, not 11."),
        ("told --text 2o26", "What is to be written must be digits from 0 to 9, not '2o26'."),
        ("told --digits -", "What is to be written must be digits from 0 to 9, not '-'."),
        ("small --digit 7", "This generator was never told a label, and can't be asked for one."),
        ("small --text 7", "This generator was never told a label, and can't be asked for one."),
    ],
)
def test_what_can_not_be_asked_for_is_refused(words, sentence, gan, told_run, small_run):
    assert gan("sample", *words.split(), "--out", "x.png") == (1, "", f"gan_lib: {sentence}\n")
    assert not Path("x.png").exists()


def test_every_pretrained_recipe_can_be_sampled(gan):
    for name, about in files.manifest().items():
        if "recipe" in about:
            assert gan("sample", name, "--n", 4, "--out", f"{name}.npy")[0] == 0
            expected = data.to_uint8(recipes.pretrained(name).sample(4))
            assert (np.load(f"{name}.npy") == expected.numpy()).all()


# page


def test_page_writes_one_file_from_what_sample_takes(gan, small_run, monkeypatch):
    status, out, err = gan("page", "small", "mlp", "--out", "new/x.html")
    page = Path("new/x.html")
    size = page.stat().st_size
    assert (status, out, err) == (
        0,
        f"The playground is in new/x.html ({size / 1e6:.1f} MB): open it in a browser.\n",
        "",
    )
    assert page.read_text().startswith("<!doctype html>")
    assert '"small":' in page.read_text()
    assert '"mlp":' in page.read_text()


def test_page_hands_on_what_it_was_told(gan, monkeypatch):
    told = []
    monkeypatch.setattr(command_line, "write_page", lambda *words: told.append(words) or 1_234_567)
    assert gan("page")[1] == "The playground is in playground.html (1.2 MB): open it in a browser.\n"
    assert gan("page", "mlp", "runs/x", "--out", "y.html")[0] == 0
    assert told == [("playground.html", []), ("y.html", ["mlp", "runs/x"])]


# measure


def cheap_score(images):
    """Numbers that depend on the images alone, and take no time."""
    return evaluation.Score(
        images.mean().item(), images.std().item(), *[0.25] * 4, 10, 0.5, 0.1, 0.75, images[0].sum().item()
    )


@pytest.fixture
def quick_scores(monkeypatch):
    monkeypatch.setattr(evaluation, "score", cheap_score)


def test_measure_explains_every_number_of_a_score():
    assert tuple(tables.MEANINGS) == evaluation.Score._fields
    assert all(tables.MEANINGS.values())


def test_measure_prints_a_row_for_each_number(gan, small_run, quick_scores):
    status, out, err = gan("measure", "small", "--n", 1000)
    assert (status, err) == (0, "")
    first, header, *rows = out.splitlines()
    assert first == "1000 samples of small against the 10000 test digits"
    assert header.split() == ["samples", "training", "digits"]
    assert [row.split()[0] for row in rows] == list(evaluation.Score._fields)
    sampler = checkpoint.resume(small_run / "checkpoints" / "step_10.safetensors").sampler()
    scores = cheap_score(sampler.sample(1000)), evaluation.floor(1000)
    for row, (field, meaning), *values in zip(rows, tables.MEANINGS.items(), *scores, strict=True):
        assert row.split(maxsplit=3) == [field, *(f"{value:.3g}" for value in values), meaning]
    assert len({row.index(meaning) for row, meaning in zip(rows, tables.MEANINGS.values(), strict=True)}) == 1


def test_of_several_seeds_the_table_holds_mean_and_standard_deviation(gan, small_run, quick_scores):
    out = gan("measure", "small", "--n", 1000, "--seeds", 3)[1].splitlines()
    assert out[0] == "1000 samples of small against the 10000 test digits, 3 times: mean ± standard deviation"
    each = [evaluation.floor(1000, seed).frechet for seed in range(3)]
    assert re.findall(r"\S+ ± \S+", out[2])[1] == f"{np.mean(each):.3g} ± {np.std(each, ddof=1):.2g}"
    assert "±" not in out[2 + evaluation.Score._fields.index("classes")]  # where all agree


def test_json_holds_every_score_and_each_seed_has_its_own(gan, small_run, quick_scores):
    status, out, err = gan("measure", "small", "--n", 1000, "--seeds", 3, "--json")
    assert (status, err) == (0, "")
    told = json.loads(out)
    assert (set(told), told["source"], told["n"]) == ({"source", "n", "scores", "floor"}, "small", 1000)
    sampler = checkpoint.resume(small_run / "checkpoints" / "step_10.safetensors").sampler()
    assert told["scores"] == [cheap_score(sampler.sample(1000, seed))._asdict() for seed in range(3)]
    assert told["floor"] == [evaluation.floor(1000, seed)._asdict() for seed in range(3)]
    for key in ("scores", "floor"):
        assert len({score["frechet"] for score in told[key]}) == 3


def test_directions_are_told_one_for_each_attribute(gan, small_run, monkeypatch):
    two = {name: ATTRIBUTES[name] for name in ("slant", "ink")}
    find, judge = partial(latent.find_directions, attributes=two, n=500), partial(latent.effects, attributes=two, n=3)
    monkeypatch.setattr(latent, "find_directions", find)
    monkeypatch.setattr(latent, "effects", judge)
    status, out, err = gan("directions", "small")
    assert (status, err) == (0, "")
    sampler = checkpoint.resume(small_run / "checkpoints" / "step_10.safetensors").sampler()
    effects = judge(sampler, find(sampler))
    heads, *rows = out.splitlines()[1:4]
    assert heads.split() == ["explained", "own", "leak", "random"]
    assert [row.split() for row in rows] == [
        [e.name, f"{e.explained:.0%}", *(f"{v:.2f}" for v in e[2:])] for e in effects
    ]
    assert json.loads(gan("directions", "small", "--json")[1]) == [effect._asdict() for effect in effects]


def test_what_is_told_labels_is_measured_digit_by_digit(gan, told_run, quick_scores):
    status, out, err = gan("measure", "told", "--n", 1000, "--seeds", 2)
    assert (status, err) == (0, "")
    heads, *rows = out.splitlines()[2 + len(evaluation.Score._fields) :]
    assert heads.split() == ["asked", "for", "read", "as", "it", "precision", "recall", "density", "coverage"]
    piles = [evaluation.class_scores(told_run.sample(1000, seed), torch.arange(1000) % 10) for seed in range(2)]
    floors = [evaluation.class_floor(1000, seed) for seed in range(2)]
    for digit in range(10):
        got, best = np.mean([pile[digit] for pile in piles], 0), np.mean([pile[digit] for pile in floors], 0)
        expected = [f"{a:.2f} ({b:.2f})" for a, b in zip(got[1:], best[1:], strict=True)]
        assert rows[digit].split()[:2] == [str(digit), f"{got[0]:.1%}"]
        assert re.findall(r"\S+ \(\S+\)", rows[digit]) == expected
    told = json.loads(gan("measure", "told", "--n", 1000, "--json")[1])
    assert told["by_class"] == [[score._asdict() for score in piles[0]]]
    assert told["floor_by_class"] == [[score._asdict() for score in floors[0]]]


def test_by_default_ten_thousand_samples_are_measured(gan, small_run, quick_scores):
    told = json.loads(gan("measure", "small", "--json")[1])
    sampler = checkpoint.resume(small_run / "checkpoints" / "step_10.safetensors").sampler()
    assert told["n"] == 10_000
    assert told["scores"] == [cheap_score(sampler.sample(10_000))._asdict()]
    assert told["floor"] == [evaluation.floor(10_000)._asdict()]


def test_an_array_of_images_gets_the_score_of_those_images(gan):
    """And the training digits beside it are as many. This one goes the whole way; the others have quick scores."""
    images = data.load(train=False).images[:1000]
    np.save("digits.npy", images.numpy())
    told = json.loads(gan("measure", "digits.npy", "--json")[1])
    assert (told["source"], told["n"]) == ("digits.npy", 1000)
    assert told["scores"] == [pytest.approx(evaluation.score(data.to_range(images))._asdict(), rel=1e-6)]
    (floor,) = told["floor"]
    assert set(floor) == set(evaluation.Score._fields)
    assert floor["novelty"] == 0 < told["scores"][0]["novelty"]  # training digits, and test digits


def test_samples_written_to_an_array_score_as_they_do_without_it(gan, small_run, quick_scores):
    gan("sample", "small", "--n", 1000, "--out", "x.npy")
    from_array, directly = (
        json.loads(gan("measure", source, "--n", 1000, "--json")[1]) for source in ("x.npy", "small")
    )
    assert from_array["scores"][0] == pytest.approx(directly["scores"][0], abs=0.5)  # pixels rounded to 256 steps
    assert from_array["floor"] == directly["floor"]


def without_room(path):
    """A header that promises more images than any memory holds."""
    with open(path, "wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": (10**12, 28, 28)})


def several(path):
    """A .npz by a wrong name."""
    with open(path, "wb") as file:
        np.savez(file, np.zeros((1000, 28, 28), np.uint8))


WHAT = "is not a .npy file of numbers: it is damaged, or another kind of file."


@pytest.mark.parametrize(
    ("write", "sentence"),
    [
        (lambda path: None, "No such file or directory: 'x.npy'"),
        (lambda path: path.mkdir(), "Is a directory: 'x.npy'"),
        (lambda path: np.save(path, np.zeros((1000, 1, 28, 28), np.uint8)), "not uint8 [1000, 1, 28, 28]."),
        (lambda path: np.save(path, np.zeros((1000, 784), np.uint8)), "not uint8 [1000, 784]."),
        (lambda path: np.save(path, np.zeros((1000, 28, 28), np.float32)), "not float32 [1000, 28, 28]."),
        (lambda path: np.save(path, np.array([{}, "x"], dtype=object)), WHAT),
        (lambda path: path.write_text("a poem, which is longer than eight letters"), WHAT),
        (lambda path: path.write_bytes(b""), WHAT),
        (lambda path: path.write_bytes(b"PK\x03\x04 begins a zip, and this is none"), WHAT),
        (several, WHAT),
        (without_room, WHAT),
        (lambda path: np.save(path, np.zeros((999, 28, 28), np.uint8)), "A score needs at least 1,000 images"),
    ],
)  # fmt: skip
def test_an_array_that_is_none_of_images_is_refused_in_one_sentence(write, sentence, gan, tmp_path):
    write(tmp_path / "here" / "x.npy")
    status, out, err = gan("measure", "x.npy")
    assert (status, out) == (1, "")
    assert err.startswith("gan_lib: ")
    assert sentence in err
    assert len(err.splitlines()) == 1


class Trap:
    """What a malicious file would hold: whoever unpickles it has made a folder."""

    def __reduce__(self):
        return os.mkdir, ("trapped",)


def test_a_pickle_in_an_array_is_not_opened(gan, tmp_path):
    np.save("x.npy", np.array([Trap()], dtype=object))
    with open("plain.npy", "wb") as file:
        pickle.dump(Trap(), file)
    for source in ("x.npy", "plain.npy"):
        assert gan("measure", source) == (1, "", f"gan_lib: {source} {WHAT}\n")
    assert not (tmp_path / "here" / "trapped").exists()


# Errors: one sentence, exit status 1


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("train dcgna", "There is no recipe called 'dcgna'; choose one of: " + ", ".join(RECIPES) + "."),
        (
            "train mlp --data minst",
            "There is no data set called 'minst'; choose one of: mnist, fashion-mnist, kmnist, ",
        ),
        ("train mlp --device tpu", "This machine has no device 'tpu' that PyTorch"),
        (
            "train mlp --resume",
            "runs/mlp holds no checkpoint to go on from: leave out --resume, or give the run's folder",
        ),
        ("train mlp --data kmnist", "kmnist is not on this machine and could not be downloaded"),
        ("train mlp --out small", "small already holds a run: add --resume to go on with it, or choose another --out."),
        ("train mlp --out small --resume", "small holds a run of small on mnist: resume it as that."),
        (
            "train mlp --out bad --resume",
            "is not a whole checkpoint of gan_lib: it is truncated, or another kind of file.",
        ),
        ("train mlp --data fashion-mnist --out a_file", "a_file"),
        ("sample dcgna --out x.png", "There is no pretrained generator called 'dcgna'; choose one of: "),
        ("sample runs/dcgan --out x.png", "There is no checkpoint runs/dcgan."),
        ("sample nothing.safetensors --out x.png", "There is no checkpoint nothing.safetensors."),
        ("sample empty --out x.png", "empty holds no checkpoint."),
        (
            "sample a_file --out x.png",
            "a_file is not a whole checkpoint of gan_lib: it is truncated, or another kind of file.",
        ),
        ("sample bad --out x.png", "is not a whole checkpoint of gan_lib: it is truncated, or another kind of file."),
        ("sample no_recipe.safetensors --out x.png", "no_recipe.safetensors does not say its recipe"),
        ("sample small --n 0 --out x.png", "--n must lie between 1 and 100000, not be 0."),
        ("sample small --n 100001 --out x.png", "--n must lie between 1 and 100000, not be 100001."),
        (
            "sample small --out x.jpg",
            "--out must end in .png (a grid) or .npy (uint8 [N, 28, 28]), or be a folder, not x.jpg.",
        ),
        ("sample small --out a_file/x.png", "a_file"),
        ("sample small --device tpu --out x.png", "This machine has no device 'tpu' that PyTorch"),
        ("page dcgna --out x.html", "There is no pretrained generator called 'dcgna'; choose one of: "),
        ("page runs/dcgan --out x.html", "There is no checkpoint runs/dcgan."),
        ("page empty --out x.html", "empty holds no checkpoint."),
        ("page bad --out x.html", "is not a whole checkpoint of gan_lib: it is truncated, or another kind of file."),
        (
            "page a_file --out x.html",
            "a_file is not a whole checkpoint of gan_lib: it is truncated, or another kind of file.",
        ),
        ("page no_recipe.safetensors --out x.html", "no_recipe.safetensors does not say its recipe"),
        (
            "page small small --out x.html",
            "Two of the generators are called small: give one of them, or rename its folder.",
        ),
        ("page small --out x.png", "--out must end in .html, not be x.png."),
        ("page small --out a_file/x.html", "a_file"),
        ("measure dcgna", "There is no pretrained generator called 'dcgna'; choose one of: "),
        ("directions dcgna", "There is no pretrained generator called 'dcgna'; choose one of: "),
        ("directions small --device tpu", "This machine has no device 'tpu' that PyTorch"),
        ("measure empty", "empty holds no checkpoint."),
        ("measure small --n 999", "--n must lie between 1000 and 60000, not be 999."),
        ("measure small --n 60001", "--n must lie between 1000 and 60000, not be 60001."),
        ("measure small --device tpu", "This machine has no device 'tpu' that PyTorch"),
    ],
)
def test_what_is_told_wrong_is_said_in_one_sentence(words, sentence, gan, small_run, fashion, new_game, tmp_path):
    here = tmp_path / "here"
    (here / "a_file").write_text("a poem, which is longer than eight letters")
    (here / "empty").mkdir()
    shutil.copytree(small_run, here / "bad")
    newest = here / "bad" / "checkpoints" / "step_10.safetensors"
    newest.write_bytes(newest.read_bytes()[:5000])
    checkpoint.save(new_game(), here / "no_recipe.safetensors")
    before = {path: path.read_bytes() for path in here.rglob("*") if path.is_file()}
    status, out, err = gan(*words.split())
    assert (status, out) == (1, "")
    assert err.startswith("gan_lib: ")
    assert sentence in err
    assert len(err.splitlines()) == 1
    assert {path: path.read_bytes() for path in before} == before
    assert not (here / "x.png").exists()
    assert not (here / "x.html").exists()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("train mlp --steps 0", "0 is not a whole number from 1"),
        ("train mlp --epochs -1", "-1 is not a whole number from 1"),
        ("train mlp --steps 2.5", "2.5 is not a whole number from 1"),
        ("train mlp --seed 1e99", "1e99 is not a whole number from 0"),
        ("train mlp --seed 99999999999999999999", "99999999999999999999 is not a whole number from 0 to 4294967295"),
        ("train mlp --steps 1 --epochs 1", "not allowed with argument"),
        ("train", "required: recipe"),
        ("sample mlp", "required: --out"),
        ("measure", "required: source"),
        ("measure mlp --seeds 0", "0 is not a whole number from 1"),
        ("measure mlp --n many", "invalid int value: 'many'"),
        ("paint", "invalid choice: 'paint'"),
        ("", "required: COMMAND"),
    ],
)
def test_a_command_that_cannot_be_read_shows_its_usage(words, sentence, gan):
    status, out, err = gan(*words.split())
    assert (status, out) == (2, "")
    assert err.startswith("usage: python -m gan_lib")
    assert sentence in err.splitlines()[-1]


def test_a_run_that_diverges_names_the_step_and_the_last_good_checkpoint(gan, fashion, tmp_path, monkeypatch):
    gan("train", "mlp", "--steps", 4, "--out", "run", *TINY)
    path = checkpoint.latest(tmp_path / "here" / "run")
    game = checkpoint.resume(path)
    with torch.no_grad():
        game.discriminator[1].weight.fill_(3e38)  # finite still, and what it gives is not
    checkpoint.save(game, path, RECIPES["mlp"], data="fashion-mnist", keep=True)
    before = path.read_bytes()
    status, out, err = gan("train", "mlp", "--steps", 8, "--out", "run", *TINY, "--resume")
    assert (status, out) == (1, "")
    assert err.startswith("gan_lib: A loss stopped being a number before step 6: d_loss nan")
    assert "learning rate too high" in err
    assert err.endswith(f"The last good checkpoint is {path.relative_to(tmp_path / 'here')}.\n")
    assert path.read_bytes() == before


class FullDisk(io.FileIO):
    """A file on a disk that takes a thousand bytes."""

    def write(self, content):
        super().write(content[:1000])
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_is_one_sentence_and_the_run_can_go_on(gan, fashion, tmp_path, monkeypatch):
    gan("train", "mlp", "--steps", 2, "--out", "run", *TINY)
    with monkeypatch.context() as full:
        full.setattr(files, "open", FullDisk, raising=False)
        status, out, err = gan("train", "mlp", "--steps", 4, "--out", "run", *TINY, "--resume")
    assert (status, out, err) == (1, "", "gan_lib: [Errno 28] No space left on device\n")
    run = tmp_path / "here" / "run"
    assert steps_in(run) == [0, 2]
    assert [row["step"] for row in rows_of(run)] == ["2"]
    assert gan("train", "mlp", "--steps", 4, "--out", "run", *TINY, "--resume")[0] == 0
    assert [row["step"] for row in rows_of(run)] == ["2", "4"]


def test_as_a_program_it_ends_with_status_1_and_no_traceback():
    words = [sys.executable, "-m", "gan_lib", "train", "dcgna"]
    told = subprocess.run(words, capture_output=True, text=True, env=AS_HERE)
    assert (told.returncode, told.stdout) == (1, "")
    assert told.stderr == f"gan_lib: There is no recipe called 'dcgna'; choose one of: {', '.join(RECIPES)}.\n"


# Help


@pytest.mark.parametrize("command", ["train", "sample", "page", "measure"])
def test_every_command_has_a_help_page(command, gan):
    status, out, err = gan(command, "--help")
    assert (status, err) == (0, "")
    assert out.startswith(f"usage: python -m gan_lib {command}")


def test_every_argument_is_explained():
    arguments = [
        node
        for node in ast.walk(ast.parse(inspect.getsource(command_line)))
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("add_argument")
    ]
    assert len(arguments) >= 10
    assert [ast.unparse(node) for node in arguments if "help" not in {word.arg for word in node.keywords}] == []


def test_help_lists_commands_recipes_and_data(gan):
    assert all(f"    {command} " in gan("--help")[1] for command in ("train", "sample", "page", "measure"))
    out = gan("train", "--help")[1]
    assert [name for name in (*RECIPES, *data.SETS) if name not in out] == []
    assert "mlp          mlp nets, z of 64, batch 100, 200 epochs" in out
    assert "samples/epoch_N.png              100 samples" in out


def test_a_pretrained_name_means_the_generator_and_a_path_the_folder(gan, small_run, tmp_path):
    shutil.copytree(small_run, tmp_path / "here" / "dcgan")
    status, _, err = gan("sample", "dcgan", "--n", 3, "--out", "a.npy")
    assert (status, err) == (0, "gan_lib: dcgan is the pretrained generator here; for the folder, write ./dcgan\n")
    assert torch.from_numpy(np.load("a.npy")).equal(data.to_uint8(recipes.pretrained("dcgan").sample(3)))
    status, _, err = gan("sample", "./dcgan", "--n", 3, "--out", "b.npy")
    assert (status, err) == (0, "")
    assert torch.from_numpy(np.load("b.npy")).equal(data.to_uint8(checkpoint.sampler(small_run).sample(3)))


def test_truncation_is_chosen_on_the_command_line(gan):
    sampler = recipes.pretrained("cgan")
    for words, psi in (((), 0.9), (("--truncation", 1), 1.0), (("--truncation", 0.5), 0.5)):
        assert gan("sample", "cgan", "--n", 10, "--out", "a.npy", *words)[0] == 0
        assert torch.from_numpy(np.load("a.npy")).equal(data.to_uint8(sampler.sample(10, truncation=psi)))
    for psi in ("0", "1.1", "much", "nan"):
        status, _, err = gan("sample", "cgan", "--out", "a.npy", "--truncation", psi)
        assert status == 2
        assert err.endswith(f"argument --truncation: {psi} is not a number above 0 and at most 1\n")


def test_images_have_no_truncation_to_choose(gan):
    np.save("a.npy", np.zeros((1000, 28, 28), np.uint8))
    status, _, err = gan("measure", "a.npy", "--truncation", 0.5)
    assert (status, err) == (1, "gan_lib: --truncation is for a generator: the images in a .npy are what they are.\n")
