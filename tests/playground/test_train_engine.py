"""The engine of the page that trains: its steps are PyTorch's, in plain JavaScript and in WebAssembly."""

import base64
import gzip
import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from gan_lib import data, losses, models, training
from gan_lib.playground import page, train
from tests.playground.test_page import facts_of
from tools import make_playground

PROGRAM, NODE = Path(__file__).with_name("ten_iterations.js"), shutil.which("node")
ENGINE, KERNEL = page.FOLDER / "train_engine.js", page.FOLDER / "train_kernel.txt"
OPTIONS = {"width": 32, "batch": 32, "iterations": 10, "losses": ["non-saturating", "minimax", "relativistic"]}


@pytest.fixture(scope="module")
def runs():
    """What tests/playground/ten_iterations.js prints."""
    if NODE is None:
        pytest.skip("no Node here, which runs JavaScript without a browser: `apt-get install nodejs` on Debian")
    command = [NODE, PROGRAM, ENGINE, KERNEL, json.dumps(OPTIONS)]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def tensors(net):
    """The weights as the engine has them, [inputs, outputs], and the biases: views, layer by layer."""
    return [each for layer in net if isinstance(layer, nn.Linear) for each in (layer.weight.data.T, layer.bias.data)]


def load(net, values):
    for tensor, part in zip(
        tensors(net), torch.tensor(values).split([each.numel() for each in tensors(net)]), strict=True
    ):
        tensor.copy_(part.view_as(tensor))
    return net


@pytest.mark.parametrize("loss", OPTIONS["losses"])
@pytest.mark.parametrize("kernel", ["plain", "WebAssembly"])
def test_ten_iterations_are_those_of_pytorch(kernel, loss, runs):
    """The relativistic loss leaves D's biases free where a unit is on for all images: rounding moves them, and D(x) with them."""
    run, free = runs[f"{kernel}, {loss}"], loss == "relativistic"
    generator = load(models.mlp_generator(64, OPTIONS["width"]), run["before"]["G"])
    discriminator = load(models.mlp_discriminator(OPTIONS["width"]), run["before"]["D"])
    game = training.Game(generator, discriminator, latent_dim=64, batch_size=OPTIONS["batch"], loss=losses.LOSSES[loss],
                         d_lr=4e-4, g_lr=8e-4)  # fmt: skip
    game.dtype = torch.float32
    for row in run["rows"]:
        game.noise = lambda n, row=row: torch.tensor(row["z"]).view(n, 64)
        expected = training.iteration(game, torch.tensor(row["real"]).view(-1, 1, 28, 28)).tolist()
        assert row["stats"][:2] == pytest.approx(expected[:2], abs=1e-5)
        assert row["stats"][2:] == pytest.approx(expected[2:], abs=1e-2 if free else 1e-5)
    for name, net in (("G", generator), ("D", discriminator), ("EMA", game.average)):
        parts = torch.tensor(run["after"][name]).split([each.numel() for each in tensors(net)])
        for found, tensor in zip(parts, tensors(net), strict=True):
            if not (free and name == "D" and tensor.ndim == 1):
                assert (found.view_as(tensor) - tensor).abs().max() < 1e-5, name


def test_a_single_step_moves_one_net_only(runs):
    """The EMA follows G."""
    assert all(run["moved"] == [["D"], ["G", "EMA"]] for run in runs.values())


def test_the_compiled_kernel_is_that_of_its_source():
    try:
        compiled = make_playground.compile_kernel()
    except (OSError, subprocess.SubprocessError) as error:
        pytest.skip(f"AssemblyScript, which compiles the kernel, can't be fetched from npm here: {error}")
    assert KERNEL.read_text() == compiled


def test_the_committed_page_has_the_current_code_and_5000_training_digits():
    """Two libraries may compress the same bytes differently."""
    texts = [make_playground.TRAINER.read_text(encoding="utf-8"), train.trainer()]
    code = [(text.split('id="facts">')[0], text.split("</script>")[1:]) for text in texts]
    found = facts_of(make_playground.TRAINER)
    assert code[0] == code[1] and found | {"digits": ""} == json.loads(json.dumps(train.facts() | {"digits": ""}))
    packed = base64.b64decode(found["digits"])
    pairs = np.frombuffer(gzip.decompress(packed), np.uint8)
    greys = 17 * np.stack([pairs >> 4, pairs & 15], 1).reshape(-1, 28, 28).astype(int)
    assert np.abs(greys - data.load().images[:5000].numpy()).max() <= 8
    assert len(packed) < 500_000 and make_playground.TRAINER.stat().st_size <= 700_000
    assert len(ENGINE.read_text().splitlines()) <= 300
