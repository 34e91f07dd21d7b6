"""The engine of the page that trains: its steps are PyTorch's, in plain JavaScript and in WebAssembly."""

import base64
import gzip
import json
import shutil
import subprocess

import numpy as np
import pytest
import torch
from torch import nn

from gan_lib import data, losses, models, training
from gan_lib.playground import page, train
from tests.playground.test_page import facts_of
from tools import make_playground

NODE = shutil.which("node")
ITERATIONS, BATCH, WIDTH = 10, 32, 32
ENGINE, KERNEL = page.FOLDER / "train_engine.js", page.FOLDER / "train_kernel.txt"
PROGRAM = """
const {plain, fast, uniform, Game} = require(%s), code = Buffer.from(%s, "base64"), result = {}
for (const [name, kernel] of [["plain", plain], ["WebAssembly", () => fast(code)]]) for (const loss of %s) {
  const random = uniform(5), world = (out, n) => {  // sixteen squares in each image, and a little noise
    for (let i = 0; i < n; i++) {
      const squares = Array.from({length: 16}, () => random() < 0.5 ? -0.9 : 0.9)
      for (let y = 0; y < 28; y++) for (let x = 0; x < 28; x++)
        out[784 * i + 28 * y + x] = squares[4 * Math.floor(y / 7) + Math.floor(x / 7)] + 0.1 * random()
    }
  }
  const game = new Game(kernel(), world, {width: %d, batch: %d, loss, dRate: 4e-4, gRate: 8e-4, seed: 3})
  const nets = () => [["G", game.generator, "w"], ["D", game.discriminator, "w"], ["EMA", game.generator, "average"]]
    .map(([key, net, which]) => [key, [...net[which].slice(0, net.size)]])
  const before = Object.fromEntries(nets()), rows = []
  for (let i = 0; i < %d; i++) {
    const stats = game.iteration()
    rows.push({stats, z: [...game.z.slice(0, game.n * 64)], real: [...game.both.slice(0, game.n * 784)]})
  }
  const after = Object.fromEntries(nets()), same = (a, b) => a.every((value, i) => value === b[i]), moved = []
  for (const step of ["discriminatorStep", "generatorStep"]) {
    const start = Object.fromEntries(nets())
    game.draw()
    game[step]()
    moved.push(nets().filter(([key, values]) => !same(values, start[key])).map(([key]) => key))
  }
  result[name + ", " + loss] = {before, rows, after, moved}
}
console.log(JSON.stringify(result))
"""


@pytest.fixture(scope="module")
def runs():
    """{"kernel, loss": what ten iterations of the engine did}."""
    if NODE is None:
        pytest.skip("no Node here, which runs JavaScript without a browser: `apt-get install nodejs` on Debian")
    names = json.dumps(["non-saturating", "minimax", "relativistic"])
    values = json.dumps(str(ENGINE)), json.dumps(KERNEL.read_text()), names, WIDTH, BATCH, ITERATIONS
    return json.loads(
        subprocess.run([NODE, "-"], input=PROGRAM % values, capture_output=True, text=True, check=True).stdout
    )


def linear_layers(net):
    return [layer for layer in net if isinstance(layer, nn.Linear)]


@torch.no_grad()
def load(net, values):
    """Put the engine's weights into a net: for each layer [inputs, outputs], and then the bias."""
    values = torch.tensor(values)
    for layer in linear_layers(net):
        shape = layer.weight.T.shape
        weight, bias, values = values.split([shape.numel(), shape[1], len(values) - shape.numel() - shape[1]])
        layer.weight.copy_(weight.view(shape).T)
        layer.bias.copy_(bias)
    assert len(values) == 0


def flatten(net):
    return torch.cat([each.flatten() for layer in linear_layers(net) for each in (layer.weight.T, layer.bias)])


@pytest.mark.parametrize("loss", ["non-saturating", "minimax", "relativistic"])
@pytest.mark.parametrize("kernel", ["plain", "WebAssembly"])
def test_ten_iterations_are_those_of_pytorch(kernel, loss, runs):
    """The relativistic loss leaves D's biases free where a unit is on for all images: rounding moves them, and D(x) with them."""
    run, free = runs[f"{kernel}, {loss}"], loss == "relativistic"
    generator, discriminator = models.mlp_generator(64, WIDTH), models.mlp_discriminator(WIDTH)
    load(generator, run["before"]["G"])
    load(discriminator, run["before"]["D"])
    game = training.Game(generator, discriminator, latent_dim=64, batch_size=BATCH, loss=losses.LOSSES[loss],
                         d_lr=4e-4, g_lr=8e-4)  # fmt: skip
    game.dtype = torch.float32
    for row in run["rows"]:
        game.noise = lambda n, row=row: torch.tensor(row["z"]).view(n, 64)
        expected = training.iteration(game, torch.tensor(row["real"]).view(-1, 1, 28, 28)).tolist()
        assert row["stats"][:2] == pytest.approx(expected[:2], abs=1e-5)
        assert row["stats"][2:] == pytest.approx(expected[2:], abs=1e-2 if free else 1e-5)
    for name, net in (("G", generator), ("D", discriminator), ("EMA", game.average)):
        error = np.abs(flatten(net).detach().numpy() - run["after"][name])
        weights = np.concatenate(
            [np.repeat([1, not free], (each.weight.numel(), each.bias.numel())) for each in linear_layers(net)]
        )
        assert (error * (weights if name == "D" else 1)).max() < 1e-5, name
        assert (flatten(net) - torch.tensor(run["before"][name])).abs().max() > 1e-3


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
    text, size = make_playground.TRAINER.read_text(encoding="utf-8"), make_playground.TRAINER.stat().st_size
    found, expected = facts_of(make_playground.TRAINER), train.facts()
    assert text.split('id="facts">')[0] == train.trainer().split('id="facts">')[0]
    assert text.split("</script>")[1:] == train.trainer().split("</script>")[1:]
    assert found | {"digits": ""} == expected | {"digits": ""}
    packed = base64.b64decode(found["digits"])
    greys = np.frombuffer(gzip.decompress(packed), np.uint8)
    greys = 17 * np.stack([greys >> 4, greys & 15], 1).reshape(-1, 28, 28).astype(int)
    assert np.abs(greys - data.load().images[:5000].numpy()).max() <= 8
    assert len(packed) < 500_000 and size <= 700_000
    assert len(ENGINE.read_text().splitlines()) <= 300
