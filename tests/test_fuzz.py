"""Files that are damaged at random, or made to deceive: success, or one sentence that names the file.

`make fuzz` tries thousands; FUZZ is the number for each kind.
"""

import contextlib
import gzip
import io
import json
import os
import shutil

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from PIL import Image

from gan_lib import __main__ as command_line
from gan_lib import checkpoint, data, files, recipes, runs, training
from tests.test_runs import TINY

N = int(os.environ.get("FUZZ", 40))
BLACK = data.Digits(torch.zeros(210, 28, 28, dtype=torch.uint8), torch.zeros(210, dtype=torch.int64))
EDITS = st.lists(st.one_of(
    st.tuples(st.just("byte"), st.integers(0, 2**16), st.integers(0, 255)),
    st.tuples(st.just("number"), st.integers(0, 2**16), st.sampled_from([0, 1, 255, 2**16, 2**31 - 1, 2**32 - 1])),
    st.tuples(st.just("cut"), st.integers(0, 2**16), st.integers(0, 2**10)),
    st.tuples(st.just("insert"), st.integers(0, 2**16), st.binary(max_size=40)),
), min_size=1, max_size=6)  # fmt: skip
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


def fuzz(*strategies):
    """Try a test with N examples, always the same, on the folder of its fixtures."""
    quiet = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]
    limits = settings(max_examples=N, deadline=20_000, suppress_health_check=quiet, database=None)
    return lambda test: seed(0)(limits(given(*strategies)(test)))


def damage(content, edits):
    """The bytes with edits; most offsets are small, where headers are."""
    content = bytearray(content)
    for kind, at, what in edits:
        at %= len(content) + 1
        if kind == "byte":
            content[at : at + 1] = bytes([what])
        elif kind == "number":
            content[at : at + 4] = what.to_bytes(4, "big")
        elif kind == "cut":
            del content[at : at + what]
        else:
            content[at:at] = what
    return bytes(content)


def attempt(act, *names):
    """Success, or a mistake of the user in one sentence that has one of the names in it."""
    try:
        act()
    except (checkpoint.UserError, OSError) as error:
        assert any(name in str(error) for name in names), str(error)
        assert "\n" not in str(error).strip() and len(str(error)) < 600


def run_command(*words):
    """Run a command; its error as an exception."""
    printed = io.StringIO()
    with contextlib.redirect_stderr(printed), contextlib.redirect_stdout(io.StringIO()):
        try:
            command_line.main([str(word) for word in words])
        except SystemExit as end:
            if end.code:
                raise checkpoint.UserError(printed.getvalue().strip()) from end


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of a finished run of two iterations."""
    folder = tmp_path_factory.mktemp("fuzz") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data, "load", lambda *_, **__: BLACK)
        runs.train(TINY, folder, "mnist", "cpu", steps=2, quiet=True)
    return folder


@pytest.fixture
def try_checkpoint(run, tmp_path, monkeypatch):
    """`try_checkpoint(content)`: resume, sample, page, and train on."""
    monkeypatch.setattr(data, "load", lambda *_, **__: BLACK)
    name = checkpoint.latest(run).name

    def act(content):
        copy = tmp_path / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        (copy / "checkpoints").mkdir(parents=True)
        path = copy / "checkpoints" / name
        path.write_bytes(content)
        attempt(lambda: checkpoint.resume(path), name)
        attempt(lambda: run_command("sample", path, "--n", 1, "--out", tmp_path / "x.png"), name)
        train = "train", "tiny", "--out", copy, "--resume", "--steps", 2, "--quiet"
        attempt(lambda: run_command(*train), name, str(copy), "tiny")

    monkeypatch.setitem(recipes.RECIPES, "tiny", TINY)
    return act


@fuzz(EDITS)
def test_checkpoints(try_checkpoint, run, edits):
    try_checkpoint(damage(checkpoint.latest(run).read_bytes(), edits))


@fuzz(st.data())
def test_headers_of_checkpoints(try_checkpoint, run, draw):
    content = checkpoint.latest(run).read_bytes()
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    about = json.loads(header["__metadata__"]["gan_lib"])
    for _ in range(draw.draw(st.integers(1, 3))):
        where = draw.draw(st.sampled_from([part for part in (about, about["notes"], about["notes"]["recipe"]) if part]))
        key = draw.draw(st.sampled_from(sorted(where)))
        if draw.draw(st.booleans()):
            where[key] = draw.draw(VALUES)
        else:
            where.pop(key)
        if not isinstance(about.get("notes"), dict) or not isinstance(about["notes"].get("recipe"), dict):
            break
    header["__metadata__"]["gan_lib"] = json.dumps(about)
    text = json.dumps(header).encode()
    try_checkpoint(len(text).to_bytes(8, "little") + text + content[8 + size :])


def stored(write, *words):
    """The bytes that `write(file, *words)` writes."""
    write(file := io.BytesIO(), *words)
    return file.getvalue()


IDX = bytes([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 28, 0, 0, 0, 28]) + bytes(2 * 784)
GREYS = Image.fromarray(np.arange(784, dtype=np.uint8).reshape(28, 28))
WHOLE = {  # name: (the bytes of a sound file, what reads it)
    "x.npy": (stored(np.save, np.zeros((2, 28, 28), np.uint8)), lambda path: command_line.load_images(str(path))),
    "records.csv": (",".join(training.Record._fields).encode() + b"\n2,200,0.5,1.2,0.7,0.6,0.4\n", runs.load_records),
    "idx": (IDX, lambda path: files.read_idx(path, path.read_bytes())),
    "idx.gz": (gzip.compress(IDX), lambda path: files.read_idx(path, path.read_bytes())),
} | {kind: (stored(GREYS.save, kind), files.read_picture) for kind in ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")}


@pytest.mark.parametrize("name", WHOLE)
@fuzz(EDITS, st.booleans())
def test_files(tmp_path, name, edits, inside):
    (whole, read), path = WHOLE[name], tmp_path / name
    packed = inside and name.endswith(".gz")  # then what is inside is damaged
    path.write_bytes(gzip.compress(damage(gzip.decompress(whole), edits)) if packed else damage(whole, edits))
    attempt(lambda: read(path), name)


@fuzz(st.lists(st.tuples(st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=12),
                         st.binary(max_size=60), st.booleans()), max_size=4))  # fmt: skip
def test_folders(tmp_path, entries):
    folder = tmp_path / "my pictures"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, content, inside in entries:
        path = folder / "a" / f"{name}.png" if inside else folder / f"{name}.png"
        with contextlib.suppress(OSError):
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content)
    attempt(lambda: data.load(str(folder)), "my pictures", *[f"{name}.png" for name, _, _ in entries])
