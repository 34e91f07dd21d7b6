"""Faults are injected, and nobody loses work: signals, closed terminals, full disks, deleted and unfinished files."""

import ast
import errno
import os
import signal
import subprocess
import sys
from unittest import mock

import numpy as np
import pytest

from gan_lib import __main__ as command_line
from gan_lib import checkpoint, data, files, pictures, plotting, runs, training
from gan_lib.studies import films
from tests.browser.lab import until
from tests.test_house import SOURCES
from tests.test_runs import TINY, _few_images  # noqa: F401

TRAIN = [sys.executable, "-m", "gan_lib", "train", "mlp-quick", "--steps", "100000", "--device", "cpu", "--out"]
POSIX = pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="Windows has no such signals")


@POSIX
@pytest.mark.parametrize("how", ["SIGINT", "SIGTERM", "SIGHUP", "closed pipe and SIGTERM"])
def test_a_run_that_is_told_to_end_saves_everything_and_says_how_to_go_on(how, tmp_path):
    reader, writer = os.pipe()
    heed = lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL)  # which nohup makes the tests, and their child, ignore
    process = subprocess.Popen([*TRAIN, tmp_path / "run"], stderr=writer, start_new_session=True, preexec_fn=heed)
    os.close(writer)
    samples = tmp_path / "run" / "samples" / "epoch_0.png"
    until(lambda: process.poll() or (samples.exists() and b"epoch" in os.read(reader, 1 << 16)))  # a record is there
    assert process.poll() is None
    if how.startswith("closed"):
        os.close(reader)
    process.send_signal(getattr(signal, how.split()[-1]))
    if how.startswith("closed"):
        process.wait(120)
    else:
        printed = b"".join(iter(lambda: os.read(reader, 1 << 16), b"")).decode()
        os.close(reader)
        assert process.wait(120) == 130
        again = printed.split("To continue:")[1]
        assert " python -m gan_lib train mlp-quick --" in again and "--resume" in again and "Traceback" not in printed
    step = int(checkpoint.latest(tmp_path / "run").stem[5:])
    assert step > 0 and step == runs.load_records(tmp_path / "run" / "records.csv")[-1].step
    assert (tmp_path / "run" / "curves.png").exists()


@POSIX
def test_ctrl_c_during_the_imports_prints_nothing(tmp_path):
    command = [sys.executable, "-X", "importtime", *TRAIN[1:], tmp_path / "run"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        next(line for line in process.stderr if line.endswith(" numpy\n"))
        process.send_signal(signal.SIGINT)
        printed = [line for line in process.stderr.read().splitlines() if not line.startswith("import time:")]
    assert (printed, process.returncode) == ([], -signal.SIGINT)


def test_a_terminal_that_knows_only_ascii_shows_question_marks(tmp_path):
    command = [sys.executable, "-m", "gan_lib", "sample", "mlp", "--n", "1", "--out", tmp_path / "café.png"]
    ascii_only = os.environ | {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "1"}
    ended = subprocess.run(command, env=ascii_only, capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.endswith("caf?.png\n") and (tmp_path / "café.png").exists()


def test_long_epochs_are_saved_by_time(tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "AT_STAKE", -1)  # always too long ago
    learn = training.train

    def lose_power(game, *_):
        for record in learn(game, data.load().images, 50, record_every=10):
            yield record
            if record.step == 30:
                raise RuntimeError("no power")

    monkeypatch.setattr(training, "train", lose_power)
    monkeypatch.setattr(runs.Run, "per_epoch", property(lambda _: 1000, lambda *_: None), raising=False)
    with pytest.raises(RuntimeError, match="no power"):
        runs.train(TINY, tmp_path / "run", "mnist", "cpu", steps=1000, quiet=True)
    assert [path.stem[5:] for path in checkpoint.of_run(tmp_path / "run")] == ["0000000", "0000030"]


def test_neither_a_broken_progress_bar_nor_a_deleted_checkpoint_ends_a_run(tmp_path, monkeypatch):
    fail = mock.Mock(side_effect=OSError(errno.EIO, "Input/output error"))
    delete = lambda *_, **__: checkpoint.latest(tmp_path / "run").unlink()
    monkeypatch.setattr(runs, "tqdm", lambda **_: mock.Mock(n=0, set_postfix_str=delete, update=fail, close=fail))
    run = runs.train(TINY, tmp_path / "run", "mnist", "cpu", steps=6)
    assert run.game.step == 6
    assert checkpoint.latest(tmp_path / "run").stem == "step_0000006" and fail.call_count > 1


WRITERS = {
    "png": lambda path: pictures.save_picture(np.zeros((28, 28), np.uint8), path),
    "gif": lambda path: films.save([data.load().images[:4]], path),
    "mp4": lambda path: films.save([data.load().images[:4]], path),
    "figure.png": lambda path: plotting.save_figure(plotting.subplots(2, 2), path, close=True),
    "npy": lambda path: command_line.main(["sample", "mlp", "--n", "2", "--out", str(path)]),
    "csv": lambda path: runs.save_records([], path),
    "safetensors": lambda path: checkpoint.save(TINY.game(), path),
}


@pytest.mark.parametrize("kind", WRITERS)
def test_on_a_full_disk_the_old_file_stays(kind, tmp_path, monkeypatch, capsys):
    path = tmp_path / f"x.{kind}"
    path.write_bytes(b"old")

    monkeypatch.setattr(os, "fsync", mock.Mock(side_effect=OSError(errno.ENOSPC, "No space left on device")))
    with pytest.raises((OSError, SystemExit)):
        WRITERS[kind](path)
    assert [each.name for each in tmp_path.iterdir()] == [path.name] and path.read_bytes() == b"old"
    assert "Traceback" not in capsys.readouterr().err
    monkeypatch.undo()
    WRITERS[kind](path)
    assert path.read_bytes() != b"old"


def test_every_file_is_written_through_the_one_atomic_writer():
    """A call that writes is in gan_lib.files, or writes to bytes or to the temporary path of `files.replacing`."""
    writes = {"write_text", "write_bytes", "save", "savefig", "imwrite", "tofile", "touch", "mkstemp", "open"}
    found = set()
    for name, source in SOURCES.items():
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in writes and name != "files":
                found.add(f"{name}: {ast.unparse(node)}")
    harmless = ("temporary", "'<bytes>'", ".save(png, 'png'", "(path, newline='')", "open(newline='')", "Image.open(path)",
                "run.save(", "films.save(", "checkpoint.save(", "safetensors.torch.save(", "self.save(")  # fmt: skip
    assert {each for each in found if not any(words in each for words in harmless)} == set()
    assert len(found) > 8


def test_what_a_killed_process_left_is_swept_up_and_what_another_writes_is_not(tmp_path):
    old, fresh = (tmp_path / f"{files.TEMPORARY}{name}" for name in ("1-x.bin", "2-x.bin"))
    for path in (old, fresh):
        path.write_bytes(b"half")
    os.utime(old, (0, 0))
    files.write_atomically(tmp_path / "y.bin", b"whole")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([fresh.name, "y.bin"])
