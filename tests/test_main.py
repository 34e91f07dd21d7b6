"""The command line from end to end: what it writes can be read, what it is told wrong it says in a sentence."""

import ast
import csv
import dataclasses
import errno
import inspect
import io
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from PIL import Image

from gan_lib import __main__ as command_line
from gan_lib import checkpoint, data, files, plotting, recipes
from gan_lib.recipes import RECIPES

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


@pytest.fixture
def fashion(tmp_path, monkeypatch, write_idx, images):
    """A Fashion-MNIST of 210 images on disk, of which a batch of 100 makes epochs of two steps; and no network."""

    def no_network(*_, **__):
        raise urllib.error.URLError("Name or service not known")

    monkeypatch.setattr(urllib.request, "urlopen", no_network)
    monkeypatch.setenv("GAN_LIB_DATA", str(tmp_path / "cache"))
    many = images.repeat(5, 1, 1)[:210]
    for part in ("train", "t10k"):
        write_idx(tmp_path / "cache" / "FashionMNIST" / "raw" / f"{part}-images-idx3-ubyte", many)
        write_idx(tmp_path / "cache" / "FashionMNIST" / "raw" / f"{part}-labels-idx1-ubyte", many[:, 0, 0])
    return many


TINY = "--data", "fashion-mnist", "--quiet"


def steps_in(run):
    return sorted(checkpoint.header(path)["step"] for path in (run / "checkpoints").iterdir())


def rows_of(run):
    with open(run / "records.csv", newline="") as file:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]


def tensors_of(run):
    return safetensors.torch.load_file(checkpoint.latest(run / "checkpoints"))


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
    assert written == pictures | others | {f"checkpoints/step_000000{i}.safetensors" for i in (0, 3)}
    for line in command_line.TRAIN.splitlines()[2:-2]:
        for file in line[:33].replace("_N", "_1").replace("_1.safe", "_0000003.safe").split(","):
            assert file.strip() in written

    assert plotting.untile(plotting.load_picture(run / "real_images.png")).equal(data.load().images[:100])
    sampler = recipes.resume(run / "checkpoints" / "step_0000003.safetensors").sampler()
    samples = plotting.untile(plotting.load_picture(run / "samples" / "epoch_1.png"))
    assert samples.equal(data.to_uint8(sampler(sampler.noise(100))))
    assert not samples.equal(plotting.untile(plotting.load_picture(run / "samples" / "epoch_0.png")))
    for picture in pictures:
        assert plotting.load_picture(run / picture).std() > 1
    with Image.open(run / "progress.gif") as gif:
        assert gif.n_frames == 2
    assert (run / "progress.mp4").read_bytes()[4:8] == b"ftyp"
    (row,) = rows_of(run)
    assert (row["step"], row["images"]) == ("3", str(3 * RECIPES[name].batch_size))
    assert list(row) == ["step", "images", "d_loss", "g_loss", "d_real", "d_fake"]
    assert 0 < float(row["d_real"]) < 1


def test_a_run_has_its_samples_each_epoch_and_up_to_ten_checkpoints_and_the_last(gan, fashion, tmp_path):
    assert gan("train", "mlp", "--epochs", 25, *TINY)[0] == 0
    run = tmp_path / "here" / "runs" / "mlp"
    assert {path.name for path in (run / "samples").iterdir()} == {f"epoch_{i}.png" for i in range(26)}
    assert steps_in(run) == [0, *range(6, 49, 6), 50]  # every third epoch of two steps
    assert [row["step"] for row in rows_of(run)] == [str(2 * i) for i in range(1, 26)]
    height = plotting.load_picture(run / "visualization_across_epochs.png").shape[0]
    assert height == pytest.approx(700, abs=20)  # ten rows of 70 pixels
    with Image.open(run / "progress.gif") as gif:
        assert gif.n_frames == 26


def test_a_resumed_run_equals_one_that_never_stopped(gan, fashion, tmp_path, differences):
    """Broken off in the middle of the second epoch; samples, records and every tensor are the same bit for bit."""
    for steps, more in ((3, ()), (9, ("--resume",))):
        assert gan("train", "dcgan", "--seed", 5, "--steps", steps, "--out", "twice", *TINY, *more)[0] == 0
    assert gan("train", "dcgan", "--seed", 5, "--steps", 9, "--out", "once", *TINY)[0] == 0
    once, twice = tmp_path / "here" / "once", tmp_path / "here" / "twice"
    assert differences(tensors_of(once), tensors_of(twice)) == []
    assert [row["step"] for row in rows_of(twice)] == ["3", "6", "9"]
    assert rows_of(once)[1:] == rows_of(twice)[1:]
    for name in ("samples/epoch_1.png", "samples/epoch_3.png", "real_images.png", "progress.gif"):
        assert (once / name).read_bytes() == (twice / name).read_bytes()


def test_a_resumed_run_keeps_its_seed_and_its_recipe(gan, fashion, tmp_path, monkeypatch, differences):
    """Even where a later version of the package calls another recipe by that name."""
    small = dataclasses.replace(RECIPES["mlp"], width=16)
    monkeypatch.setitem(RECIPES, "mlp", small)
    gan("train", "mlp", "--seed", 7, "--steps", 4, "--out", "once", *TINY)
    gan("train", "mlp", "--seed", 7, "--steps", 2, "--out", "run", *TINY)
    monkeypatch.setitem(RECIPES, "mlp", dataclasses.replace(small, width=24, g_lr=1.0))
    for steps in (3, 4):
        assert gan("train", "mlp", "--steps", steps, "--out", "run", *TINY, "--resume")[0] == 0
    run = tmp_path / "here" / "run"
    notes = checkpoint.header(checkpoint.latest(run / "checkpoints"))["notes"]
    assert (notes["recipe"]["width"], notes["recipe"]["g_lr"]) == (16, small.g_lr)
    assert differences(tensors_of(run), tensors_of(tmp_path / "here" / "once")) == []


def test_a_finished_run_is_resumed_to_nothing(gan, fashion, tmp_path):
    gan("train", "mlp", "--steps", 2, "--out", "run", *TINY)
    before = tensors_of(tmp_path / "here" / "run")
    status, out, _ = gan("train", "mlp", "--steps", 2, "--out", "run", *TINY, "--resume")
    assert (status, out.startswith("mlp: 2 steps")) == (0, True)
    assert all(value.equal(before[key]) for key, value in tensors_of(tmp_path / "here" / "run").items())


def test_records_of_steps_that_no_checkpoint_holds_are_played_again_and_written_once(gan, fashion, tmp_path):
    """As after a power cut between the records and the checkpoint."""
    gan("train", "mlp", "--steps", 2, "--out", "run", *TINY)
    run = tmp_path / "here" / "run"
    with open(run / "records.csv", "a") as file:
        file.write("4,400,1.0,9.0,9.0,0.9,0.9\n")
    gan("train", "mlp", "--steps", 4, "--out", "run", *TINY, "--resume")
    assert [row["step"] for row in rows_of(run)] == ["2", "4"]
    assert float(rows_of(run)[1]["d_loss"]) < 9


def test_another_seed_is_another_run(gan, fashion, tmp_path, differences):
    for seed in (1, 2):
        gan("train", "mlp", "--seed", seed, "--steps", 1, "--out", f"run{seed}", *TINY)
    one, other = (tensors_of(tmp_path / "here" / f"run{seed}") for seed in (1, 2))
    assert "generator.0.weight" in differences(one, other)


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
    out, rest = process.communicate(timeout=60)
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


def test_the_first_ctrl_c_asks_and_the_second_insists():
    before = signal.getsignal(signal.SIGINT)
    with command_line.interrupts() as asked:
        assert not asked
        signal.raise_signal(signal.SIGINT)
        assert asked
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


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
        recipes.save(game, recipe, run / "checkpoints" / f"step_{game.step}.safetensors")
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
    sampler = recipes.resume(small_run / "checkpoints" / "step_10.safetensors").sampler()
    assert (images == data.to_uint8(sampler.sample(12, seed=4)).numpy()).all()


def test_grid_array_and_folder_hold_the_same_images(gan, small_run, tmp_path):
    for out in ("new/x.npy", "new/x.png", "new/folder"):
        assert gan("sample", "small", "--n", 9, "--out", out)[0] == 0
    images = np.load("new/x.npy")
    assert (plotting.untile(plotting.load_picture("new/x.png"), scale=2).numpy() == images).all()
    names = sorted(path.name for path in (tmp_path / "here" / "new" / "folder").iterdir())
    assert names == [f"{i:05d}.png" for i in range(9)]
    assert (np.stack([plotting.load_picture(f"new/folder/{name}") for name in names]) == images).all()


def test_another_seed_gives_other_samples(gan, small_run):
    for seed in (0, 1):
        gan("sample", "small", "--n", 2, "--seed", seed, "--out", f"{seed}.npy")
    assert not (np.load("0.npy") == np.load("1.npy")).all()


def test_every_pretrained_recipe_can_be_sampled(gan):
    for name, about in files.manifest().items():
        if "recipe" in about:
            assert gan("sample", name, "--n", 4, "--out", f"{name}.npy")[0] == 0
            expected = data.to_uint8(recipes.pretrained(name).sample(4))
            assert (np.load(f"{name}.npy") == expected.numpy()).all()


# Errors: one sentence, exit status 1


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("train dcgna", "There is no recipe called 'dcgna'; choose one of: mlp-sigmoid, mlp, dcgan."),
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
        ("sample empty --out x.png", "There is no checkpoint empty/checkpoints."),
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
        ("export empty", "empty holds no checkpoint."),
        ("export nowhere", "nowhere holds no checkpoint."),
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


def test_a_run_is_not_resumed_on_other_data(gan, fashion):
    gan("train", "mlp", "--steps", 1, "--out", "run", *TINY)
    expected = "gan_lib: run holds a run of mlp on fashion-mnist: resume it as that.\n"
    assert gan("train", "mlp", "--steps", 2, "--out", "run", "--resume") == (1, "", expected)


def test_a_run_is_not_resumed_with_another_seed(gan, fashion):
    gan("train", "mlp", "--steps", 1, "--seed", 3, "--out", "run", *TINY)
    status, _, err = gan("train", "mlp", "--steps", 2, "--seed", 4, "--out", "run", *TINY, "--resume")
    assert (status, err) == (1, "gan_lib: run holds a run of seed 3, not 4: leave out --seed.\n")
    assert gan("train", "mlp", "--steps", 2, "--seed", 3, "--out", "run", *TINY, "--resume")[0] == 0


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
    path = checkpoint.latest(tmp_path / "here" / "run" / "checkpoints")
    game = recipes.resume(path)
    with torch.no_grad():
        game.discriminator[1].weight.fill_(float("nan"))
    recipes.save(game, RECIPES["mlp"], path, data="fashion-mnist", keep=True)
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
    assert told.stderr == "gan_lib: There is no recipe called 'dcgna'; choose one of: mlp-sigmoid, mlp, dcgan.\n"


# Help


@pytest.mark.parametrize("command", ["train", "sample", "export"])
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
    assert all(f"    {command} " in gan("--help")[1] for command in ("train", "sample", "export"))
    out = gan("train", "--help")[1]
    assert [name for name in (*RECIPES, *data.SETS) if name not in out] == []
    assert "mlp          mlp nets, z of 64, batch 100, 200 epochs" in out
    assert "samples/epoch_N.png              100 samples" in out
