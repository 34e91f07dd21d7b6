"""Number formats; and two processes that share one run: the same curves as one, and a clear end if one of them is killed."""

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
from torch.nn import functional

from gan_lib import UserError, checkpoint, data, hardware, processes, recipes, runs, training
from tests.browser.lab import until

ACCELERATE = "accelerate.commands.launch --multi_gpu --num_processes 2 --main_process_port 0"
OURS = "gan_lib.processes 2"
TINY = recipes.Recipe("tiny", "mlp", latent_dim=5, width=6, batch_size=8, gamma=1.0)
PROGRAM = """
import sys
from gan_lib import processes
from tests import test_hardware
team = processes.team("cpu")
assert team.size == 2
test_hardware.play(team, sys.argv[1])
"""


def play(team, folder):
    """A short run of nets without BatchNorm, with penalties, into a folder."""
    game = TINY.game()
    game.dtype = torch.float32
    processes.join(game, team)
    records = list(training.train(game, data.load().images[:200], 60, record_every=10))
    if team.first:
        checkpoint.save(game, f"{folder}/game.safetensors")
        runs.save_records(records, f"{folder}/records.csv")


def launch(*words, by=OURS):
    """Two processes, as the documentation says to start them."""
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "start_new_session": True}
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    return subprocess.Popen([sys.executable, "-m", *by.split(), *map(str, words)], env=environment, **options)


def end_of(process, seconds=120):
    try:
        output, _ = process.communicate(timeout=seconds)
    finally:
        process.kill()  # which does nothing where it has ended
    return process.returncode, output


@pytest.mark.parametrize(("device", "expected", "cpu"), [
    ("cuda", torch.float32, {"avx512_bf16": True}),
    ("cpu", torch.bfloat16, {"avx512_bf16": True, "amx_bf16": False}),
    ("cpu", torch.bfloat16, {"avx512_bf16": False, "amx_bf16": True}),
    ("cpu", torch.float32, {"avx512_bf16": False, "amx_bf16": False, "avx2": True}),
    ("cpu", torch.float32, {"architecture": "aarch64"}),
])  # fmt: skip
def test_bfloat16_is_used_where_the_hardware_has_it(device, expected, cpu, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: cpu, raising=False)
    assert hardware.fast_dtype(torch.device(device)) is expected
    monkeypatch.delattr(torch.cpu, "get_capabilities")  # as in older versions of PyTorch
    assert hardware.fast_dtype(torch.device("cpu")) is torch.float32


@pytest.mark.parametrize("by", [OURS, ACCELERATE])
def test_two_processes_train_as_one(by, tmp_path):
    (tmp_path / "program.py").write_text(PROGRAM)
    code, output = end_of(launch(tmp_path / "program.py", tmp_path / "two", by=by))
    assert code == 0, output
    play(hardware.Team(), tmp_path / "one")
    play(hardware.Team(share=slice(0, None, 2)), tmp_path / "half")  # gradients of one share give another run
    one, two = (runs.load_records(tmp_path / name / "records.csv") for name in ("one", "two"))
    for a, b in zip(one, two, strict=True):
        assert list(a._replace(seconds=0)) == pytest.approx(list(b._replace(seconds=0)), abs=1e-5)
    load = lambda name: safetensors.torch.load_file(tmp_path / name / "game.safetensors")
    one, two, half = map(load, ("one", "two", "half"))
    assert one["rng"].equal(two["rng"])  # the same noise was drawn
    for name in one:
        assert torch.allclose(one[name].float(), two[name].float(), rtol=1e-3, atol=1e-5), name
    assert not torch.allclose(one["generator.0.weight"], half["generator.0.weight"], rtol=1e-3, atol=1e-5)


def test_a_killed_process_ends_the_run_clearly_and_the_run_goes_on_from_its_checkpoint(tmp_path):
    words = ["-m", "gan_lib", "train", "dcgan", "--out", tmp_path / "run", "--device", "cpu", "--quiet"]
    run = launch(*words, "--steps", 5000)
    until(lambda: checkpoint.latest(tmp_path / "run") or run.poll() is not None)
    members = psutil.Process(run.pid).children()
    started = [psutil.Process(run.pid), *members]
    doors = {door.laddr.ip for each in started for door in each.net_connections() if door.status == "LISTEN"}
    assert doors == {"127.0.0.1"}
    time.sleep(1)
    max(members, key=lambda member: member.cpu_times().user).kill()  # one that trains
    code, output = end_of(run)
    assert code != 0
    ended = r"gan_lib: Another process of this run has ended.*checkpoint is .*step_0000000\.safetensors"
    assert re.search(ended, output)
    code, output = end_of(launch(*words, "--steps", 3, "--resume"))
    assert code == 0, output
    assert checkpoint.read(checkpoint.latest(tmp_path / "run")).header["step"] == 3
    made = {path.name for path in (tmp_path / "run").iterdir()}
    assert {"records.csv", "curves.png", "progress.gif", "real_images.png", "samples"} <= made


@pytest.mark.parametrize("words", [(), ("2",), ("2", "-m"), ("two", "-m", "gan_lib"), ("0", "x.py")])
def test_a_launch_without_number_or_program_shows_its_usage(words):
    ended = subprocess.run([sys.executable, "-m", "gan_lib.processes", *words], capture_output=True, text=True)
    usage = "usage: python -m gan_lib.processes NUMBER -m gan_lib train RECIPE ...\n"
    assert (ended.returncode, ended.stderr) == (1, usage)


def test_ctrl_c_stops_all_of_them_with_everything_saved(tmp_path):
    run = launch("-m", "gan_lib", "train", "mlp", "--out", tmp_path / "run", "--device", "cpu", "--quiet")
    until(lambda: checkpoint.latest(tmp_path / "run") or run.poll() is not None)
    time.sleep(2)
    os.killpg(run.pid, signal.SIGINT)  # as a terminal does
    _, output = end_of(run)
    step = checkpoint.read(checkpoint.latest(tmp_path / "run")).header["step"]
    assert 0 < step < 120_000
    assert f"Stopped after step {step} of 120000" in output
    assert "python -m gan_lib.processes 2 -m gan_lib train mlp" in output
    assert runs.load_records(tmp_path / "run" / "records.csv")[-1].step == step


def test_unknown_devices_and_a_batch_that_cannot_be_shared_out_are_refused():
    with pytest.raises(ValueError, match="batch of 8 can't be shared out evenly to 3"):
        processes.join(TINY.game(), hardware.Team(size=3))
    for name in ("cuda:99", "tpu", ""):
        with pytest.raises(UserError, match=f"no device '{name}' that PyTorch .* can use; try --device auto"):
            hardware.pick_device(name)
    assert hardware.pick_device("cpu") == torch.device("cpu")
    assert hardware.pick_device("auto").type == ("cuda" if hardware.works("cuda") else "cpu")


@pytest.mark.parametrize("lie", [1.0, 1.3, float("nan")])
@pytest.mark.parametrize("moment", ["forward", "backward"])
@pytest.mark.parametrize("name", ["mps", "cuda", "auto"])
def test_a_device_that_computes_other_numbers_than_the_cpu_is_refused(name, moment, lie, monkeypatch):
    """The CPU plays the device: the second time, a convolution gives a multiple of its result, or of its gradient."""
    true, calls, to, state = functional.conv2d, [], torch.Tensor.to, torch.get_rng_state()

    def conv2d(*words, **more):
        calls.append(words)
        y = true(*words, **more)
        if len(calls) > 2 and moment == "backward":
            y.register_hook(lambda gradient: gradient * lie)
        return y * lie if len(calls) > 2 and moment == "forward" else y

    monkeypatch.setattr(hardware, "works", lambda name: True)
    monkeypatch.setattr(torch.Tensor, "to", lambda self, place, **more: to(self, "cpu", **more))
    monkeypatch.setattr(functional, "conv2d", conv2d)
    if lie == 1:
        assert hardware.pick_device(name).type == ("cuda" if name == "auto" else name)
    else:
        with pytest.raises(UserError, match=r"device '(mps|cuda)' computes other numbers than the CPU"):
            hardware.pick_device(name)
    assert len(calls) == 4 and torch.get_rng_state().equal(state)  # it has random numbers of its own


def test_apples_gpu_is_used_by_its_name_only_and_gets_no_float64(monkeypatch):
    """It has none: numbers go to the CPU first."""
    monkeypatch.setattr(hardware, "works", lambda name: name == "mps")
    assert hardware.pick_device().type == "cpu"
    files = Path(hardware.__file__).parent.rglob("*.py")
    sources = [path.read_text("utf-8") for path in files if path.name != "tune_it.py"]
    assert [text for text in sources if re.search(r"(?<!\.cpu\(\))\.double\(", text)] == []
    assert sum(text.count(".cpu().double()") for text in sources) > 5
