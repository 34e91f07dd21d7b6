"""The engine of the page that trains: its steps are PyTorch's, in plain JavaScript and in WebAssembly."""

import base64
import dataclasses
import gzip
import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from gan_lib import checkpoint, data, recipes, training
from gan_lib.playground import page, train
from tests.playground.test_page import facts_of
from tools.make_playground import KERNEL, TRAINER, compile_kernel

PROGRAM, LOSSES = Path(__file__).with_name("ten_iterations.js"), ["non-saturating", "minimax", "relativistic"]
RECIPE = dataclasses.replace(recipes.get("mlp-quick"), width=32, batch_size=32)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """The folder into which tests/playground/ten_iterations.js saves games, and what it prints."""
    if (node := shutil.which("node")) is None:
        pytest.skip("no Node here, which runs JavaScript without a browser: `apt-get install nodejs` on Debian")
    folder, options = tmp_path_factory.mktemp("games"), {"recipe": dataclasses.asdict(RECIPE), "losses": LOSSES}
    command = [node, PROGRAM, folder, page.FOLDER, json.dumps(options)]
    return folder, json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("kernel", ["plain", "WebAssembly"])
def test_ten_iterations_are_those_of_pytorch_and_a_single_step_moves_one_net(kernel, loss, runs):
    """The relativistic loss leaves D's biases free where a unit is on for all images: rounding moves them, and D(x) with them."""
    folder, name, free = runs[0], f"{kernel} {loss}", loss == "relativistic"
    game = checkpoint.resume(folder / f"{name}, before.safetensors")
    game.dtype = torch.float32
    for row in runs[1][name]["rows"]:
        game.noise = lambda n, row=row: torch.tensor(row["z"]).view(n, 64)
        expected = training.iteration(game, torch.tensor(row["real"]).view(-1, 1, 28, 28)).tolist()
        assert row["stats"][:2] == pytest.approx(expected[:2], abs=1e-5)
        assert row["stats"][2:] == pytest.approx(expected[2:], abs=1e-2 if free else 1e-5)
    saved = checkpoint.read(folder / f"{name}, after.safetensors")
    assert (saved.header["step"], saved.header["rates"]) == (game.step, [*game.rates]) == (10, [8e-4, 4e-4])
    for key, value in safetensors.torch.load(checkpoint.serialise(game)).items():  # nets, EMA and optimisers
        if key != "rng" and not (free and key.startswith("discriminator") and key.endswith("bias")):
            assert (saved.tensors[key] - value).abs().max() < 1e-5, key
    assert runs[1][name]["moved"] == [["D"], ["G", "EMA"]]  # the EMA follows G
    assert runs[1][name]["slow"] == [0, 0, 0, 0]


def test_the_compiled_kernel_is_that_of_its_source():
    try:
        compiled = compile_kernel()
    except (OSError, subprocess.SubprocessError) as error:
        pytest.skip(f"AssemblyScript, which compiles the kernel, can't be fetched from npm here: {error}")
    assert KERNEL.with_suffix(".txt").read_text() == compiled


def test_the_committed_page_has_the_current_code_and_5000_training_digits():
    """Two libraries may compress the same bytes differently."""
    texts = TRAINER.read_text(encoding="utf-8"), train.trainer()
    code = [re.sub('"digits":"[^"]+"', "", text) for text in texts]
    assert code[0] == code[1] and TRAINER.stat().st_size <= 700_000
    packed = base64.b64decode(facts_of(TRAINER)["digits"])
    pairs = np.frombuffer(gzip.decompress(packed), np.uint8)
    greys = 17 * np.stack([pairs >> 4, pairs & 15], 1).reshape(-1, 28, 28).astype(int)
    assert len(packed) < 500_000 and np.abs(greys - data.load().images[:5000].numpy()).max() <= 8
    assert len((page.FOLDER / "train_engine.js").read_text().splitlines()) <= 300
