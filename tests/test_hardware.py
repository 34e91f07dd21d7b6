"""Two processes play one game: the same curves as one, and a clear end when one of them is killed."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import safetensors.torch
import torch

from gan_lib import checkpoint, data, hardware, recipes, training

# Without --multi_gpu, accelerate starts a single process where there is no GPU (huggingface/accelerate#2741).
LAUNCH = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2"]
LAUNCH += ["--main_process_port", "0"]
TINY = recipes.Recipe("tiny", "mlp", latent_dim=5, width=6, batch_size=8, gamma=1.0)
PROGRAM = """
import sys
from gan_lib import parallel
from tests import test_parallel
team = parallel.team("cpu")
assert team.size == 2
game, records = test_parallel.play(team)
if team.first:
    test_parallel.save(game, records, sys.argv[1])
"""


def play(team):
    """A short game of nets without BatchNorm, with penalties."""
    game = TINY.game()
    game.dtype = torch.float32
    hardware.join(game, team)
    return game, list(training.train(game, data.load().images[:200], 60, record_every=10))


def save(game, records, folder):
    checkpoint.save(game, f"{folder}/game.safetensors")
    checkpoint.save_records(records, f"{folder}/records.csv")


def launch(*words):
    """Two processes, as the documentation says to start them."""
    told = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[1])}
    return subprocess.Popen([*LAUNCH, *map(str, words)], env=environment, **told)


def wait_for(path, process):
    while not path.exists() and process.poll() is None:
        time.sleep(0.1)


def end_of(process, seconds=120):
    try:
        told, _ = process.communicate(timeout=seconds)
    finally:
        process.kill()  # which does nothing where it has ended
    return process.returncode, told


def test_two_processes_play_the_game_of_one(tmp_path):
    (tmp_path / "program.py").write_text(PROGRAM)
    (tmp_path / "two").mkdir()
    code, told = end_of(launch(tmp_path / "program.py", tmp_path / "two"))
    assert code == 0, told
    game, records = play(hardware.Team())
    (tmp_path / "one").mkdir()
    save(game, records, tmp_path / "one")
    one, two = (checkpoint.load_records(tmp_path / name / "records.csv") for name in ("one", "two"))
    for a, b in zip(one, two, strict=True):
        assert list(a._replace(seconds=0)) == pytest.approx(list(b._replace(seconds=0)), abs=1e-5)
    one, two = (safetensors.torch.load_file(tmp_path / name / "game.safetensors") for name in ("one", "two"))
    assert one["rng"].equal(two["rng"])  # the same noise was drawn
    for name in one:
        assert torch.allclose(one[name].float(), two[name].float(), rtol=1e-3, atol=1e-5), name


def test_a_share_alone_would_be_another_game():
    """The test above would see it if the gradients were not averaged, or if both processes looked at one share."""
    whole, _ = play(hardware.Team())
    half, _ = play(hardware.Team(share=slice(0, None, 2)))
    a, b = (next(game.generator.parameters()) for game in (whole, half))
    assert not torch.allclose(a, b, rtol=1e-3, atol=1e-5)


def test_a_killed_process_ends_the_run_clearly_and_the_run_goes_on_from_its_checkpoint(tmp_path):
    words = ["-m", "gan_lib", "train", "dcgan", "--out", tmp_path / "run", "--device", "cpu", "--quiet"]
    run = launch(*words, "--steps", 5000)
    wait_for(tmp_path / "run" / "checkpoints" / "step_0000000.safetensors", run)
    workers = [child for child in psutil.Process(run.pid).children() if "gan_lib" in child.cmdline()]
    assert len(workers) == 2
    time.sleep(1)
    next(worker for worker in workers if worker.environ()["RANK"] == "0").kill()
    code, told = end_of(run)
    assert code != 0
    assert re.search(r"gan_lib: Another process of this run has ended.*checkpoint is .*step_0000000\.safetensors", told)
    code, told = end_of(launch(*words, "--steps", 3, "--resume"))
    assert code == 0, told
    assert checkpoint.header(checkpoint.latest(tmp_path / "run"))["step"] == 3
    made = {path.name for path in (tmp_path / "run").iterdir()}
    assert {"records.csv", "curves.png", "progress.gif", "real_images.png", "samples"} <= made


def test_ctrl_c_stops_all_of_them_with_everything_saved(tmp_path):
    run = launch("-m", "gan_lib", "train", "mlp", "--out", tmp_path / "run", "--device", "cpu", "--quiet")
    wait_for(tmp_path / "run" / "checkpoints" / "step_0000000.safetensors", run)
    time.sleep(2)
    run.send_signal(signal.SIGINT)
    _, told = end_of(run)
    step = checkpoint.header(checkpoint.latest(tmp_path / "run"))["step"]
    assert 0 < step < 120_000
    assert f"Stopped after step {step} of 120000" in told
    assert "accelerate launch --multi_gpu --num_processes 2 -m gan_lib train mlp" in told
    assert checkpoint.load_records(tmp_path / "run" / "records.csv")[-1].step == step


def test_a_batch_that_cannot_be_shared_out_is_refused():
    with pytest.raises(ValueError, match="batch of 8 can't be shared out evenly to 3"):
        hardware.join(TINY.game(), hardware.Team(size=3))


def test_a_process_by_itself_is_a_team_of_one(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    team, values = hardware.team(), torch.arange(3.0)
    assert (team.size, team.first, team.mean(values) is values) == (1, True, True)
    assert values[team.share].equal(values)
