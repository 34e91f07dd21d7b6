"""The playground page: its layers compute what the nets compute, and its file is complete, small and needs no network."""

import base64
import json
import re

import numpy as np
import pytest
import torch
from torch import nn

from gan_lib import UserError, checkpoint, data, latent, models, playground, recipes
from gan_lib.playground import page
from tools import make_playground

# Nets as lists of layers, computed here by their definition


def numbers(step, key):
    """A tensor of a step; a serialised one is base64 of float32, or of integers of some bits."""
    if not isinstance(step[key], str):
        return step[key].double()
    content = base64.b64decode(step[key])
    if key != "weight":
        return torch.frombuffer(bytearray(content), dtype=torch.float32).double()
    bits, text = step["bits"], "".join(f"{byte:08b}" for byte in content)
    whole = [int(text[i : i + bits], 2) - 2 ** (bits - 1) for i in range(0, len(text) - bits + 1, bits)]
    small, big, kernel = step["small"][2], step["big"][2], step["kernel"]
    whole = torch.tensor(whole[: small * kernel**2 * big]).view(small, kernel, kernel, big)
    return whole * numbers(step, "unit").view((1, 1, 1, -1) if step["kind"] == "up" else (-1, 1, 1, 1))


def compute(steps, x):
    """The outputs [N, channels, height, width] of the steps for float [N, ...]; the size of a vector is 1 × 1."""
    x = x.double().view(*x.shape, *[1] * (4 - x.ndim))
    for step in steps:
        match step["kind"]:
            case "up" | "down" as kind:
                small, big, kernel, stride, padding = (step[k] for k in ("small", "big", "kernel", "stride", "padding"))
                *size, channels = small if kind == "up" else big
                assert x.shape[1] == channels or 1 in (x.shape[1], channels)  # else the page has them in another order
                x = x.reshape(len(x), channels, *size)
                weight, bias = numbers(step, "weight").permute(0, 3, 1, 2), numbers(step, "bias")
                if kind == "up":
                    rest = [big[i] - (small[i] - 1) * stride - kernel + 2 * padding for i in (0, 1)]
                    x = torch.conv_transpose2d(x, weight, bias, stride, padding, rest)
                else:
                    x = torch.conv2d(x, weight, bias, stride, padding)
            case "scale":
                x = x * numbers(step, "scale").view(-1, 1, 1) + numbers(step, "bias").view(-1, 1, 1)
            case "leaky":
                x = nn.functional.leaky_relu(x, step["slope"])
            case "tanh":
                x = torch.tanh(step["gain"] * x)
            case "flatten":
                assert [*x.shape[1:]] == step["shape"]
                x = x.reshape(len(x), -1, 1, 1)
            case "unflatten":
                x = x.reshape(len(x), *step["shape"])
    return x


@torch.no_grad()
def error(net, steps, inputs):
    """The largest difference between the outputs of `net` and of `steps` for `inputs` [N, ...]."""
    expected = net.double()(inputs.double())
    net.float()
    return (compute(steps, inputs).flatten() - expected.flatten()).abs().max()


def noise(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


class Net(nn.Module):
    """Written by a learner: `change` is what it does between its layers."""

    def __init__(self, body, change=lambda x: x):
        super().__init__()
        self.first, self.body, self.change = nn.Linear(3, 8), body, change

    def forward(self, z):
        return self.body(self.change(self.first(z)).view(-1, 2, 2, 2)).flatten(1)


NETS = {
    "BatchNorm first": ((4,), nn.BatchNorm1d(4), nn.Linear(4, 3)),
    "BatchNorm after an activation": ((4,), nn.Linear(4, 3), nn.LeakyReLU(0.1), nn.BatchNorm1d(3), nn.Tanh()),
    "unflatten to several channels": (
        (4,), nn.Linear(4, 12), nn.Unflatten(1, (3, 2, 2)), nn.BatchNorm2d(3), nn.ReLU(), nn.ConvTranspose2d(3, 2, 3, 2),
    ),
    "flatten": ((2, 5, 4), nn.Conv2d(2, 3, 2, bias=False), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(36, 2)),
    "a stride that leaves out a row": ((2, 6, 6), nn.Conv2d(2, 3, 3, 2), nn.ConvTranspose2d(3, 1, 3, 2, 1, 1)),
    "nested": ((4,), nn.Sequential(nn.Linear(4, 3), nn.Sequential(nn.BatchNorm1d(3))), nn.ReLU()),
    "a layer used twice": ((4,), nn.Linear(4, 3), relu := nn.LeakyReLU(0.2), nn.Linear(3, 2), relu),
    "a module": ((3,), Net(nn.Sequential(nn.ReLU(inplace=True), nn.Sigmoid())), nn.Linear(8, 2)),
}  # fmt: skip
for name, (make_generator, make_discriminator) in recipes.PAIRS.items():
    if name != "residual":
        NETS |= {f"G of {name}": ((7,), *make_generator(7, 6)), f"D of {name}": ((1, 28, 28), *make_discriminator(6))}


@pytest.mark.parametrize("what", NETS)
def test_nets_are_computed_by_their_layers_and_nearly_by_the_serialised_ones(what, liven):
    shape, *parts = NETS[what]
    net = liven(nn.Sequential(*parts), noise(64, *shape))
    before = {key: value.clone() for key, value in net.state_dict().items()}
    steps = page.layers(net, shape)
    assert all(value.equal(before[key]) for key, value in net.state_dict().items())
    assert error(net, steps, noise(3, *shape)) < 1e-5
    if what.startswith("G of"):
        assert error(net, json.loads(json.dumps(page.serialise(steps))), noise(3, 7)) < 2 / 255
    kinds = [step["kind"] for step in steps]
    linear = [part for part in net.modules() if isinstance(part, nn.Linear | nn.Conv2d | nn.ConvTranspose2d)]
    assert kinds.count("up") + kinds.count("down") == len(linear)
    assert kinds.count("flatten") <= 1 >= kinds.count("unflatten")
    assert not {"flatten", "unflatten"} <= {*kinds} or what == "a module"  # it begins with a view


@pytest.mark.parametrize(("layer", "name"), [
    (nn.MaxPool2d(2), "MaxPool2d(kernel_size=2, "),
    (nn.Conv2d(2, 2, 3, groups=2), "Conv2d(2, 2, "),
    (nn.Conv2d(2, 2, 2, dilation=2), "Conv2d(2, 2, "),
    (nn.Conv2d(2, 2, (1, 2)), "Conv2d(2, 2, "),
    (nn.Conv2d(2, 2, 3, padding="same"), "Conv2d(2, 2, "),
    (nn.Conv2d(2, 2, 3, padding=1, padding_mode="reflect"), "Conv2d(2, 2, "),
    (nn.ConvTranspose2d(2, 2, 3, stride=(1, 2)), "ConvTranspose2d(2, 2, "),
    (nn.BatchNorm2d(2, track_running_stats=False), "BatchNorm2d(2, "),
    (models.Residual(2), "Residual: "),
])  # fmt: skip
def test_an_unsupported_layer_is_named_in_one_sentence(layer, name):
    with pytest.raises(UserError, match=r"^The sliders can't compute the layer .*\.$") as raised:
        page.layers(nn.Sequential(nn.ReLU(), layer), (2, 4, 4))
    assert f"the layer {name}" in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("change", [torch.relu, lambda x: x.view(-1, 2, 4).transpose(1, 2).reshape(-1, 8)])
def test_what_a_forward_does_between_its_layers_is_refused(change):
    with pytest.raises(UserError, match=r"something else comes before Conv2d\(2, 2, kernel_size=\(1, 1\)"):
        page.layers(Net(nn.Conv2d(2, 2, 1), change), (3,))


def test_what_is_no_generator_or_no_direction_or_has_diverged_is_refused(new_sampler):
    sampler, points = new_sampler(4), models.Sampler(nn.Linear(4, 2), 4)
    axes = latent.coordinates(sampler)
    wrong = [axes[0]._replace(name="x", vector=torch.ones(3)), axes[0], axes[0]._replace(name="norm"), axes[0].vector]
    for no_sampler in (sampler.generator, points):
        with pytest.raises(UserError, match=r"^The sliders need a models\.Sampler"):
            playground.inline(no_sampler, [])
    for no_direction in wrong:
        with pytest.raises(UserError, match=r"^Each direction must be a latent\.Direction with 4 numbers"):
            playground.inline(sampler, [*axes, no_direction])
    for value in (float("nan"), float("inf")):
        with pytest.raises(UserError, match="The net has diverged"):
            page.serialise([{"kind": "scale", "scale": torch.ones(3), "bias": torch.tensor([0, value, 0])}])


@pytest.mark.parametrize("bits", [8, 9, 12, 16])
@pytest.mark.parametrize(("kind", "shape"), [("up", (3, 1, 1, 5)), ("up", (4, 3, 3, 2)), ("down", (5, 3, 3, 1))])
def test_a_weight_takes_its_bits_and_each_output_channel_has_its_unit(kind, shape, bits):
    by_channel = lambda weight: weight.movedim(-1 if kind == "up" else 0, 0)
    weight = noise(*shape)
    channels = by_channel(weight)
    channels *= 10.0 ** torch.arange(len(channels))[:, None, None, None]
    channels[1] = 0
    step = {"kind": kind, "small": [1, 1, shape[0]], "big": [1, 1, shape[3]], "kernel": shape[1], "weight": weight}
    (packed,) = page.serialise([step], bits)
    assert len(base64.b64decode(packed["weight"])) == -(-bits * weight.numel() // 8)
    unpacked = by_channel(numbers(packed, "weight"))
    for channel, expected in zip(unpacked, channels, strict=True):
        assert (channel - expected).abs().max() <= 0.5001 * expected.abs().max() / (2 ** (bits - 1) - 1)
        assert channel.abs().max() == pytest.approx(expected.abs().max().item(), rel=1e-5)


# Sources


@pytest.fixture
def few_samples(monkeypatch):
    """Directions from few samples: these tests are not about their quality."""
    find = latent.find_directions
    monkeypatch.setattr(latent, "find_directions", lambda sampler, attributes: find(sampler, attributes, n=200))


@pytest.fixture
def run(tmp_path):
    """The folder of a run with twelve checkpoints of different nets, at steps 0, 10, ... 110."""
    recipe = recipes.Recipe("small", "mapped", latent_dim=5, width=6)
    for step in range(0, 120, 10):
        game = recipe.game(seed=step)
        game.step = step
        checkpoint.save(game, tmp_path / "my run" / "checkpoints" / f"step_{step}.safetensors", recipe)
    return tmp_path / "my run"


def test_a_pretrained_recipe_and_a_checkpoint_are_one_moment(run):
    name, (moment,) = page.read_source("dcgan")
    assert (name, moment.step, moment.discriminator) == ("dcgan", None, None)
    assert moment.sampler(noise(2, 64)).equal(recipes.pretrained("dcgan")(noise(2, 64)))
    path = run / "checkpoints" / "step_30.safetensors"
    name, (moment,) = page.read_source(path)
    game, images = checkpoint.resume(path), noise(2, 1, 28, 28)
    assert (name, moment.step, moment.discriminator.training) == ("small at step 30", 30, False)
    assert moment.sampler(noise(2, 5)).equal(game.sampler()(noise(2, 5)))
    assert moment.discriminator(images).equal(game.discriminator(images))


def test_a_run_gives_at_most_nine_moments_from_the_first_to_the_last(run):
    name, moments = page.read_source(run)
    assert name == "my run"
    assert [moment.step for moment in moments] == [0, 10, 30, 40, 60, 70, 80, 100, 110]
    for path in (run / "checkpoints").glob("step_1*.safetensors"):
        path.unlink()
    assert [moment.step for moment in page.read_source(run)[1]] == [0, 20, 30, 40, 50, 60, 70, 80, 90]


def facts_of(path):
    """The data in a page's file."""
    [facts] = re.findall(r'<script type="application/json" id="facts">(.*?)</script>', path.read_text(), re.DOTALL)
    return json.loads(facts)


def test_the_page_holds_everything_that_it_shows(run, tmp_path, few_samples, monkeypatch):
    path, find, found = tmp_path / "new" / "x.html", latent.find_directions, []
    monkeypatch.setattr(latent, "find_directions", lambda *words: found.append((*words, find(*words))) or found[-1][-1])
    assert page.write(path, [run]) == path.stat().st_size
    facts, digits = facts_of(path), data.load(train=False)
    examples = np.frombuffer(base64.b64decode(facts["digits"]), np.uint8).reshape(10, 28, 28)
    for label, example in enumerate(examples):
        assert label in digits.labels[(digits.images.numpy() == example).all((1, 2))]

    [(name, generator)] = facts["generators"].items()
    moments = page.read_source(run)[1]
    assert (name, generator["latent_dim"]) == ("my run", 5)
    assert [direction["name"] for direction in generator["directions"]] == list(page.SLIDERS)
    [(sampler, names, directions)] = found  # a fit to so few samples differs from call to call with PyTorch 2.6
    assert sampler.sample(9).equal(moments[-1].sampler.sample(9)) and names == page.SLIDERS
    for direction, expected in zip(generator["directions"], latent.orthogonal(directions), strict=True):
        assert direction["vector"] == pytest.approx(expected.vector.tolist(), abs=1e-4)
    real = data.to_range(digits.images[:200])
    for moment, about in zip(moments, generator["moments"], strict=True):
        assert about["step"] == moment.step
        assert error(moment.sampler.generator, about["layers"], noise(1, 5)) < 2 / 255
        for key, images in (("real", real), ("fake", moment.sampler.sample(200))):
            expected = moment.discriminator(images).sort().values.tolist()
            assert about["discriminator"][key] == pytest.approx(expected, abs=1e-4)
        assert error(moment.discriminator, about["discriminator"]["layers"], real[:1]) < 0.01


def test_without_sources_every_pretrained_recipe_is_there(tmp_path, monkeypatch, few_samples, new_sampler):
    monkeypatch.setattr(recipes, "pretrained", lambda name: new_sampler(9))
    page.write(tmp_path / "x.html")
    names = list(facts_of(tmp_path / "x.html")["generators"])
    assert sorted(names) == sorted(recipes.pretrained_names())
    assert names[0] == "cgan"  # the page opens with it


def test_two_generators_of_one_name_are_refused_and_the_old_page_stays(tmp_path, few_samples):
    (tmp_path / "x.html").write_text("the old page")
    with pytest.raises(UserError, match="Two of the generators are called mlp: give one of them"):
        page.write(tmp_path / "x.html", ["mlp", "mlp"])
    assert (tmp_path / "x.html").read_text() == "the old page"


# The committed page, and the page as text


def test_the_committed_playground_has_the_current_code_and_pretrained_generators():
    assert make_playground.OUT.stat().st_size <= 3_000_000
    code = [text.split('id="facts">')[0] for text in (make_playground.OUT.read_text(), page.page({}))]
    assert code[0] == code[1]
    generators = facts_of(make_playground.OUT)["generators"]
    assert list(generators) == [*make_playground.PRETRAINED, make_playground.NAME]
    assert sorted(make_playground.PRETRAINED) == sorted(recipes.pretrained_names())
    for generator in generators.values():
        assert [direction["name"] for direction in generator["directions"]] == list(page.SLIDERS)
    for name in make_playground.PRETRAINED:
        _, moments = page.read_source(name)
        described = [page.describe(moment, make_playground.BITS) for moment in moments]
        assert alike(generators[name]["moments"], described)


def alike(a, b, key=None):
    """Whether two descriptions are equal; the last bits of folded numbers depend on the machine and on PyTorch's version."""
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(alike(a[key], b[key], key) for key in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(alike(x, y, key) for x, y in zip(a, b, strict=True))
    if a == b or key not in ("scale", "bias", "biases", "unit"):
        return a == b
    x, y = (np.frombuffer(base64.b64decode(text), np.float32) for text in (a, b))
    return x.shape == y.shape and np.allclose(x, y, rtol=1e-5, atol=1e-6)


def test_the_committed_playground_shows_a_run_from_noise_to_digits():
    moments = facts_of(make_playground.OUT)["generators"][make_playground.NAME]["moments"]
    assert [moment["step"] for moment in moments] == list(make_playground.STEPS)
    game = make_playground.RECIPE.game()
    untrained = page.Moment(0, game.sampler(), game.discriminator.eval())
    assert moments[0]["layers"] == page.describe(untrained, make_playground.BITS)["layers"]
    ink = [(compute(moment["layers"], noise(20, game.latent_dim)) > 0).double().mean() for moment in moments[2:]]
    assert all(0.05 < share < 0.3 for share in ink)  # a real digit: 0.15
    for moment in moments[1:]:
        assert np.mean(moment["discriminator"]["real"]) > np.mean(moment["discriminator"]["fake"])


def test_the_tool_trains_its_recipe_and_keeps_its_steps(tmp_path, monkeypatch):
    monkeypatch.setattr(make_playground, "STEPS", (0, 2, 3))
    make_playground.learn(tmp_path)
    games = [checkpoint.resume(path) for path in sorted((tmp_path / "checkpoints").iterdir())]
    assert [game.step for game in games] == [0, 2, 3]
    z = noise(2, make_playground.RECIPE.latent_dim)
    assert not games[0].sampler()(z).allclose(games[-1].sampler()(z), atol=1e-3)


def test_the_page_loads_nothing_from_elsewhere():
    text = page.page({})
    assert re.findall(r"https?:|//\w+\.\w|\bfetch\(|XMLHttp|WebSocket|\bimport\b|\burl\(| src=", text) == []
    assert "default-src 'none'" in text  # so that the browser forbids it too
    assert re.findall(r"{{[\w.]+}}", text) == []
    assert [path.name for path in page.FOLDER.glob("*.[jc]s*") if "</script" in path.read_text("utf-8")] == []


def test_samplers_are_written_under_any_name(tmp_path, few_samples, new_sampler):
    names, sizes = ["</script><script>alert(1)</script>{{nets.js}}", "other"], (9, 3)
    playground.write(tmp_path / "x.html", {name: new_sampler(size) for name, size in zip(names, sizes, strict=True)})
    generators = facts_of(tmp_path / "x.html")["generators"]
    assert list(generators) == names
    for about, size in zip(generators.values(), sizes, strict=True):
        assert len(about["directions"]) == min(4, size)
        assert error(new_sampler(size).generator, about["moments"][0]["layers"], noise(3, size)) < 2 / 255
