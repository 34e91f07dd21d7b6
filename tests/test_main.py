"""The command line from end to end: its files can be read, and a user's mistake is answered in one sentence."""

import argparse
import json
import os
import pickle
import re
import shutil
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import numpy as np
import pytest
import torch

from gan_lib import __main__ as command_line
from gan_lib import checkpoint, data, evaluation, hardware, latent, pictures, recipes, runs, tables
from gan_lib.attributes import ATTRIBUTES
from gan_lib.playground import page
from gan_lib.playground.train import trainer
from gan_lib.recipes import RECIPES
from gan_lib.studies import class_scores, diagnosis, effects, handwriting
from tests import load_picture

COMMANDS = ("train", "sample", "page", "measure", "directions")
array = lambda samples: data.to_uint8(samples).numpy()  # as a .npy holds them


@pytest.fixture
def gan(capsys):
    """`gan(words...)` is `python -m gan_lib words...`: exit status, output, messages. The words can be one string."""

    def call(*words):
        status = 0
        try:
            command_line.main(words[0].split() if len(words) == 1 else [str(word) for word in words])
        except SystemExit as end:
            status = end.code
        except KeyboardInterrupt:  # it would end pytest itself
            status = "a traceback"
        return status, *capsys.readouterr()

    return call


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """The working directory: an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def make_run(folder, classes, *steps):
    """Write checkpoints of these steps, each with another generator, as a run does. Returns the sampler of the last."""
    recipe = recipes.Recipe(folder, "mlp", latent_dim=5, width=6, classes=classes)
    game = recipe.game(seed=3)
    layers = [game.average.embedding, game.average.rest[3]] if classes else [game.average[0]]
    for game.step in steps:
        [torch.nn.init.normal_(layer.weight) for layer in layers]
        checkpoint.save(game, Path(folder, "checkpoints", f"step_{game.step}.safetensors"), recipe)
    return game.sampler()


@pytest.fixture
def small_run(here):
    return make_run("small", 0, 2, 10)


@pytest.fixture
def conditional_run(here):
    return make_run("conditional", 10, 1)


def test_every_command_and_every_argument_has_a_help_text(gan):
    [commands] = [each for each in command_line.build_parser()._actions if isinstance(each, argparse._SubParsersAction)]
    assert tuple(commands.choices) == COMMANDS
    assert all(f"    {command}" in gan("--help")[1] for command in COMMANDS)
    for name, parser in commands.choices.items():
        status, out, err = gan(name, "--help")
        assert (status, err, out.startswith(f"usage: python -m gan_lib {name}")) == (0, "", True)
        assert [action.dest for action in parser._actions if not action.help] == []
    out = gan("train", "--help")[1]
    assert [name for name in (*RECIPES, *data.SETS) if name not in out] == []
    assert "mlp          mlp nets, z of 64, batch 100, 200 epochs" in out
    assert "samples/epoch_N.png              100 samples" in out


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_trains_on_mnist_and_writes_what_its_help_lists(name, gan):
    status, out, err = gan("train", name, "--steps", 3, "--out", "run", "--device", "cpu")
    assert status == 0
    assert re.fullmatch(f"{name}: 3 steps in \\d+ s of training; everything is in run\n", out)
    for shown in ("3/3", "epoch 1/1", "d_loss", "g_loss", "D(x)", "D(G(z))", "steps/s"):
        assert shown in err
    written = {path.relative_to("run").as_posix() for path in Path("run").rglob("*") if path.is_file()}
    lines = command_line.TRAIN.split("\n\n")[1].splitlines()
    listed = {file.strip() for line in lines for file in line[:33].split(",")}
    written -= {".lock"}  # some versions of filelock delete it when it is released
    assert {re.sub(r"_\d+\.", "_N.", file) for file in written} == listed
    for picture in (name for name in written if name.endswith(".png")):
        assert load_picture(f"run/{picture}").std() > 1
    [record] = runs.load_records("run/records.csv")
    assert (record.step, record.images) == (3, 3 * RECIPES[name].batch_size)
    assert 0 < record.d_real < 1


def test_train_passes_its_options_on_and_prints_how_the_run_ended(gan, monkeypatch):
    calls, game = [], SimpleNamespace(step=7, seconds=2.4, team=hardware.Team(), device=torch.device("cpu"))
    run = SimpleNamespace(game=game, remark=None, steps=7)
    monkeypatch.setattr(runs, "train", lambda *words, **more: calls.append((words, more)) or run)
    assert gan("train mlp") == (0, "mlp: 7 steps in 2 s of training; everything is in runs/mlp\n", "")
    run.remark = diagnosis.Remark("noise", "the z of two batches are equal", "draw new z")
    status, out, _ = gan("train dcgan --data kmnist --epochs 4 --seed 5 --out run --device cpu --resume --quiet")
    assert (status, out.splitlines()[1:]) == (0, [f"The run shows a fault. {run.remark}"])
    run.steps, game.team = 9, hardware.Team(2)
    status, out, err = gan("train", "dcgan", "--steps", 9, "--out", "my run", "--data", "my own")
    assert (status, out) == (130, "")
    said, command = err.splitlines()
    assert said == "Stopped after step 7 of 9; everything is in my run. To continue:"
    assert command.strip() == (
        "python -m gan_lib.processes 2 -m gan_lib train dcgan --steps 9 --data 'my own' --out 'my run'"
        " --device cpu --resume"
    )
    default = {"dataset": "mnist", "device": "auto", "seed": None, "epochs": None, "steps": None}
    default |= {"resume": False, "quiet": False}
    every = {"dataset": "kmnist", "device": "cpu", "seed": 5, "epochs": 4, "steps": None, "resume": True, "quiet": True}
    assert calls == [
        ((RECIPES["mlp"], "runs/mlp"), default),
        ((RECIPES["dcgan"], "run"), every),
        ((RECIPES["dcgan"], "my run"), default | {"steps": 9, "dataset": "my own"}),
    ]


def test_train_on_pictures_of_a_folder(gan, here, small_run):
    images = data.load(train=False).images.numpy()
    for i in range(60):
        pictures.save_picture(images[i], here / "my own" / "xyz"[i % 3] / f"{i}.png")
    words = ["train", "cgan", "--data", "my own", "--out", "run", "--device", "cpu", "--quiet", "--steps"]
    assert gan(*words, 2)[0] == gan(*words, 3, "--resume")[0] == 0
    assert checkpoint.sampler("run").classes == 3
    assert "discriminator" not in page.describe(page.Moment(2, small_run, small_run.generator, "my own"))
    (here / "my own" / "x" / "0.png").unlink()
    sentences = {
        "run was trained on other pictures than my own holds now: choose another --out.": [*words, 4, "--resume"],
        "run was trained on my own, and these scores are for MNIST: see lesson 16.": ["measure", "run"],
        "A batch of 100 needs more images than the 59 of my own.": ["train", "mlp", "--data", "my own"],
        "cgan needs classes: put each": ["train", "cgan", "--data", "my own/x", "--out", "x"],
    }
    for sentence, command in sentences.items():
        status, _, err = gan(*command)
        assert (status, len(err.splitlines())) == (1, 1) and sentence in err


@pytest.mark.parametrize("source", ["small", "small/checkpoints/step_10.safetensors"])
def test_grid_array_and_folder_hold_samples_of_the_latest_average(source, gan, small_run, here):
    for out in ("new/x.npy", "new/x.png", "new/folder"):
        said = gan("sample", source, "--n", 9, "--seed", 4, "--out", out)
        assert said == (0, f"9 samples of {source} are in {out}\n", "")
    images = np.load("new/x.npy")
    assert (images.shape, images.dtype) == ((9, 28, 28), np.uint8)
    assert (images == array(small_run.sample(9, seed=4))).all()
    assert (runs.untile(load_picture("new/x.png"), scale=2).numpy() == images).all()
    names = sorted(path.name for path in (here / "new" / "folder").iterdir())
    assert names == [f"{i:05d}.png" for i in range(9)]
    assert (np.stack([load_picture(f"new/folder/{name}") for name in names]) == images).all()


def test_one_digit_or_several_that_take_turns_in_rows_of_one_handwriting(gan, conditional_run):
    assert gan("sample conditional --digit 7 --n 12 --seed 4 --out x.npy")[0] == 0
    assert (np.load("x.npy") == array(conditional_run.of(7).sample(12, seed=4))).all()
    said = gan("sample conditional --digits 907 --n 8 --out x.npy")
    assert said == (0, "8 samples of conditional are in x.npy\n", "")
    z = conditional_run.noise(3)
    expected = [conditional_run(z[i // 3].unsqueeze(0), torch.tensor([int("907"[i % 3])])) for i in range(8)]
    assert abs(np.load("x.npy").astype(int) - array(torch.cat(expected))).max() <= 1
    gan("sample conditional --digits 907 --n 8 --out x.png")
    rows = runs.untile(load_picture("x.png"), scale=2)
    assert (rows[:8].numpy() == np.load("x.npy")).all() and rows.shape[0] == 9  # three columns


@pytest.mark.parametrize(("words", "n"), [("", 1), ("--n 3", 3)])
def test_a_number_is_written_as_one_picture(words, n, gan, conditional_run):
    said = gan(f"sample conditional --text 20261 --out x.png {words}")
    assert said == (0, f"{5 * n} samples of conditional are in x.png\n", "")
    written = handwriting.write(conditional_run, "20261", conditional_run.noise(n))
    lines = handwriting.stack([handwriting.line(each) for each in written])
    assert abs(load_picture("x.png")[::4, ::4].astype(int) - lines).max() <= 1


def test_truncation_is_an_option(gan):
    sampler = recipes.pretrained("cgan")
    for words, psi in (("", 0.9), ("--truncation 1", 1.0), ("--truncation 0.5", 0.5)):
        assert gan(f"sample cgan --n 10 --out a.npy {words}")[0] == 0
        assert (np.load("a.npy") == array(sampler.sample(10, truncation=psi))).all()


def test_where_both_exist_a_name_means_the_pretrained_recipe_and_a_path_the_folder(gan, small_run):
    shutil.copytree("small", "dcgan")
    note = "gan_lib: dcgan is the pretrained generator here; for the folder, write ./dcgan\n"
    for source, sampler, said in (("dcgan", recipes.pretrained("dcgan"), note), ("./dcgan", small_run, "")):
        status, _, err = gan(f"sample {source} --n 3 --out a.npy")
        assert (status, err) == (0, said)
        assert (np.load("a.npy") == array(sampler.sample(3))).all()


def test_page_writes_one_file_with_the_generators(gan, small_run, monkeypatch):
    said, size = gan("page small mlp --out new/x.html"), Path("new/x.html").stat().st_size
    assert said == (0, f"The page is in new/x.html ({size / 1e6:.1f} MB): open it in a browser.\n", "")
    text = Path("new/x.html").read_text()
    assert text.startswith("<!doctype html>") and '"small":' in text and '"mlp":' in text
    monkeypatch.setattr(command_line, "write_page", write := mock.Mock(return_value=1_234_567))
    assert gan("page")[1] == "The page is in playground.html (1.2 MB): open it in a browser.\n"
    write.assert_called_once_with("playground.html", [])
    assert "--train: not allowed with argument sources" in gan("page mlp --train")[2]
    assert gan("page --train")[1] == "The page is in train.html (0.7 MB): open it in a browser.\n"
    assert Path("train.html").read_text() == trainer()


@pytest.fixture
def quick_scores(monkeypatch):
    """`evaluation.score` gives numbers that depend on the images alone, and take no time. Returns the function."""
    rest = *[0.25] * 4, 10, 0.5, 0.1, 0.75
    score = lambda images: evaluation.Score(images.mean().item(), images.std().item(), *rest, images[0].sum().item())
    monkeypatch.setattr(evaluation, "score", score)
    return score


def test_measure_prints_a_row_for_each_number_and_for_several_seeds_mean_and_deviation(gan, small_run, quick_scores):
    status, out, err = gan("measure small --n 1000")
    assert (status, err) == (0, "")
    first, header, *rows = out.splitlines()
    assert first == "1000 samples of small against the 10000 test digits"
    assert header.split() == ["samples", "training", "digits"]
    assert tuple(tables.MEANINGS) == evaluation.Score._fields and all(tables.MEANINGS.values())
    scores = quick_scores(small_run.sample(1000)), evaluation.floor(1000)
    for row, (field, meaning), *values in zip(rows, tables.MEANINGS.items(), *scores, strict=True):
        assert row.split(maxsplit=3) == [field, *(f"{value:.3g}" for value in values), meaning]
    assert len({row.index(meaning) for row, meaning in zip(rows, tables.MEANINGS.values(), strict=True)}) == 1

    out = gan("measure small --n 1000 --seeds 3")[1].splitlines()
    assert out[0] == "1000 samples of small against the 10000 test digits, 3 times: mean ± standard deviation"
    each = [evaluation.floor(1000, seed).frechet for seed in range(3)]
    assert re.findall(r"\S+ ± \S+", out[2])[1] == f"{np.mean(each):.3g} ± {np.std(each, ddof=1):.2g}"
    assert "±" not in out[2 + evaluation.Score._fields.index("classes")]  # all agree


@pytest.mark.parametrize(("words", "n", "seeds"), [("--n 1000 --seeds 3", 1000, 3), ("", 10_000, 1)])
def test_json_holds_the_score_of_every_seed(words, n, seeds, gan, small_run, quick_scores):
    status, out, err = gan(f"measure small --json {words}")
    assert (status, err) == (0, "")
    assert json.loads(out) == {
        "source": "small",
        "n": n,
        "scores": [quick_scores(small_run.sample(n, seed))._asdict() for seed in range(seeds)],
        "floor": [evaluation.floor(n, seed)._asdict() for seed in range(seeds)],
    }
    for key in ("scores", "floor"):
        assert len({score["frechet"] for score in json.loads(out)[key]}) == seeds


def test_a_conditional_gan_is_measured_class_by_class(gan, conditional_run, quick_scores):
    status, out, err = gan("measure conditional --n 1000 --seeds 2")
    assert (status, err) == (0, "")
    heads, *rows = out.splitlines()[2 + len(evaluation.Score._fields) :]
    assert heads.split() == ["label", "read", "as", "it", "precision", "recall", "density", "coverage"]
    y = torch.arange(1000) % 10
    scores = [class_scores.score(conditional_run.sample(1000, seed), y) for seed in range(2)]
    floors = [class_scores.floor(1000, seed) for seed in range(2)]
    for digit in range(10):
        got, best = (np.mean([each[digit] for each in several], 0) for several in (scores, floors))
        expected = [f"{a:.2f} ({b:.2f})" for a, b in zip(got[1:], best[1:], strict=True)]
        assert rows[digit].split()[:2] == [str(digit), f"{got[0]:.1%}"]
        assert re.findall(r"\S+ \(\S+\)", rows[digit]) == expected
    found = json.loads(gan("measure conditional --n 1000 --json")[1])
    assert found["by_class"] == [[score._asdict() for score in scores[0]]]
    assert found["floor_by_class"] == [[score._asdict() for score in floors[0]]]


def test_the_images_of_an_array_are_scored(gan):
    """Beside as many training digits. This test takes the real scores; the others have quick ones."""
    images = data.load(train=False).images[:1000]
    np.save("digits.npy", images.numpy())
    found = json.loads(gan("measure digits.npy --json")[1])
    assert (found["source"], found["n"]) == ("digits.npy", 1000)
    assert found["scores"] == [pytest.approx(evaluation.score(data.to_range(images))._asdict(), rel=1e-6)]
    (floor,) = found["floor"]
    assert set(floor) == set(evaluation.Score._fields)
    assert floor["novelty"] == 0 < found["scores"][0]["novelty"]  # training digits, and test digits


def test_directions_have_a_row_for_each_attribute(gan, small_run, monkeypatch):
    two = {name: ATTRIBUTES[name] for name in ("slant", "ink")}
    find, judge = partial(latent.find_directions, attributes=two, n=500), partial(effects.measure, attributes=two, n=3)
    monkeypatch.setattr(latent, "find_directions", find)
    monkeypatch.setattr(effects, "measure", judge)
    status, out, err = gan("directions small")
    assert (status, err) == (0, "")
    judged = judge(small_run, find(small_run))
    heads, *rows = out.splitlines()[1:4]
    assert heads.split() == ["R²", "own", "leak", "random"]
    expected = [[e.name, f"{e.explained:.0%}", *(f"{value:.2f}" for value in e[2:])] for e in judged]
    assert [row.split() for row in rows] == expected
    monkeypatch.setattr(effects, "measure", lambda *_: judged)  # an old PyTorch would give other last digits
    assert json.loads(gan("directions small --json")[1]) == [effect._asdict() for effect in judged]


# Errors: one sentence, exit status 1


class Trap:
    """What a malicious file would hold: to unpickle it makes a folder."""

    def __reduce__(self):
        return os.mkdir, ("trapped",)


def huge(path):
    """A header that promises more images than any memory holds."""
    with open(path, "wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": (10**12, 28, 28)})


NO_ARRAY = "is not a .npy file of numbers: it is damaged, or another kind of file."
zeros = lambda *shape, dtype=np.uint8: lambda path: np.save(path, np.zeros(shape, dtype))


@pytest.mark.parametrize(("write", "sentence"), [
    (lambda path: None, "No such file or directory: 'x.npy'"),
    (lambda path: path.mkdir(), "Is a directory: 'x.npy'"),
    (zeros(1000, 784), "not uint8 [1000, 784]."),
    (zeros(1000, 28, 28, dtype=np.float32), "not float32 [1000, 28, 28]."),
    (zeros(999, 28, 28), "A score needs at least 1,000 images"),
    (lambda path: np.save(path, np.array([Trap()], dtype=object)), NO_ARRAY),
    *[(lambda path, content=content: path.write_bytes(content), NO_ARRAY) for content in (pickle.dumps(Trap()), b"")],
    (huge, NO_ARRAY),
])  # fmt: skip
def test_a_file_that_holds_no_images_is_refused_in_one_sentence_and_never_unpickled(write, sentence, gan, here):
    write(here / "x.npy")
    status, out, err = gan("measure x.npy")
    assert (status, out, len(err.splitlines())) == (1, "", 1)
    assert err.startswith("gan_lib: ") and sentence in err
    assert not (here / "trapped").exists()


NO_DEVICE = "This machine has no device 'tpu' that PyTorch"
DAMAGED = "is not a whole checkpoint of gan_lib: it is truncated, or another kind of file."
REFUSED = {  # sentence: commands
    f"There is no recipe called 'dcgna'; choose one of: {', '.join(RECIPES)}.": "train dcgna",
    "runs/mlp holds no checkpoint: leave out --resume, or give the folder of a run with --out.": "train mlp --resume",
    "small already holds a run: add --resume to continue it, or choose another --out.": "train mlp --out small",
    f"bad/checkpoints/step_10.safetensors {DAMAGED}": "train mlp --out bad --resume; sample bad; page bad; measure bad",
    f"a_file {DAMAGED}": "sample a_file; page a_file",
    "a_file": "train mlp --out a_file; sample small --out a_file/x.png; page small --out a_file/x.html",
    "pretrained generator called 'dcgna'; choose one of: ": "sample dcgna; page dcgna; measure dcgna; directions dcgna",
    NO_DEVICE: "train mlp --device tpu; sample small --device tpu; directions small --device tpu; measure small --device tpu",
    "empty holds no checkpoint.": "sample empty; page empty; measure empty",
    "--out must end in .png (a grid) or .npy (uint8 [N, 28, 28]), or be a folder, not x.jpg.": "sample small --out x.jpg",
    "--out must end in .html, not be x.png.": "page small --out x.png",
    "Labels are whole numbers from 0 to 9, not 11.": "sample conditional --digit 11",
    "digits from 0 to 9, not '2o26'.": "sample conditional --text 2o26",
    "--truncation is for a generator": "measure a.npy --truncation 0.5",
    "label": "sample small --digit 7; sample small --text 7",
}


@pytest.mark.parametrize(
    ("words", "sentence"), [(each, key) for key, many in REFUSED.items() for each in many.split("; ")]
)
def test_a_mistake_is_answered_in_one_sentence(words, sentence, gan, small_run, conditional_run, here):
    (here / "a_file").write_text("a poem, which is longer than eight letters")
    (here / "empty").mkdir()
    shutil.copytree(here / "small", here / "bad")
    newest = here / "bad" / "checkpoints" / "step_10.safetensors"
    newest.write_bytes(newest.read_bytes()[:5000])
    before = {path: path.read_bytes() for path in here.rglob("*") if path.is_file()}
    if "--out" not in words:
        words += {"sample": " --out x.png", "page": " --out x.html"}.get(words.split()[0], "")
    status, out, err = gan(words)
    assert (status, out, len(err.splitlines())) == (1, "", 1)
    assert err.startswith("gan_lib: ") and sentence in err
    assert {path: path.read_bytes() for path in before} == before
    assert not (here / "x.png").exists() and not (here / "x.html").exists()


@pytest.mark.parametrize(("words", "sentence"), [
    ("train mlp --steps 0", "0 is not a whole number from 1"),
    ("train mlp --epochs -1", "-1 is not a whole number from 1"),
    ("train mlp --seed 99999999999999999999", "99999999999999999999 is not a whole number from 0 to 4294967295"),
    ("train mlp --steps 1 --epochs 1", "not allowed with argument"),
    ("train", "required: recipe"),
    ("sample mlp", "required: --out"),
    ("sample mlp --n 0 --out x.png", "0 is not a whole number from 1 to 100000"),
    ("sample cgan --out x.png --truncation 0", "--truncation: 0 is not a number from 1e-06 to 1"),
    ("sample cgan --out x.png --truncation 1.1", "--truncation: 1.1 is not a number"),
    ("sample cgan --out x.png --truncation nan", "--truncation: nan is not a number"),
    ("measure mlp --seeds 0", "0 is not a whole number from 1"),
    ("measure mlp --n 999", "999 is not a whole number from 1000 to 60000"),
    ("", "required: COMMAND"),
])  # fmt: skip
def test_a_command_that_cannot_be_read_shows_its_usage(words, sentence, gan):
    status, out, err = gan(words)
    assert (status, out) == (2, "")
    assert err.startswith("usage: python -m gan_lib")
    assert sentence in err.splitlines()[-1]


MENDABLE = (command_line.UserError, OSError, command_line.Diverged, torch.OutOfMemoryError, KeyboardInterrupt)


@pytest.mark.parametrize("error", [*MENDABLE, ValueError, KeyError, RuntimeError])
def test_what_the_user_can_mend_is_one_sentence_and_a_bug_keeps_its_traceback(error, gan, monkeypatch):
    monkeypatch.setattr(runs, "train", mock.Mock(side_effect=error("No space left")))
    if error in MENDABLE:
        special = {KeyboardInterrupt: (130, "stopped."), torch.OutOfMemoryError: (1, runs.FULL)}
        status, sentence = special.get(error, (1, "No space left"))
        assert gan("train mlp") == (status, "", f"gan_lib: {sentence}\n")
    else:
        with pytest.raises(error, match="No space left"):
            gan("train mlp")
