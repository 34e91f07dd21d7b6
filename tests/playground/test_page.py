"""The playground: its nets are PyTorch's nets, its sliders go along latent's directions, it fits in a mail, and calls nobody."""

import base64
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from gan_lib import checkpoint, data, files, latent, models, recipes, residual, training
from gan_lib.playground import page
from tools import make_playground

KINDS = {"up", "down", "scale", "leaky", "tanh", "flatten", "unflatten"}


# Nets as lists of layers, computed here by their definition in numpy


def numbers(step, key):
    """A tensor of a step, also where it is packed: as base64 of float32, or of integers of some bits."""
    if not isinstance(step[key], str):
        return step[key].double().numpy()
    if key != "weight":
        return np.frombuffer(base64.b64decode(step[key]), np.float32).astype(np.float64)
    size = (step["small"][2], -1, step["big"][2])
    text = "".join(f"{byte:08b}" for byte in base64.b64decode(step[key]))
    whole = [int(text[i : i + step["bits"]], 2) for i in range(0, len(text) - step["bits"] + 1, step["bits"])]
    whole = np.array(whole) - 2 ** (step["bits"] - 1)
    whole = whole[: step["small"][2] * step["kernel"] ** 2 * step["big"][2]].reshape(size)
    return whole * numbers(step, "unit").reshape((1, 1, -1) if step["kind"] == "up" else (-1, 1, 1))


def joined(step, x):
    """What leaves a linear layer [height, width, channels]: each pair of pixels that the kernel joins, one by one."""
    (h, w, c), (height, width, channels), kernel = step["small"], step["big"], step["kernel"]
    weight, up = numbers(step, "weight").reshape(c, kernel, kernel, channels), step["kind"] == "up"
    x = x.reshape(step["small"] if up else step["big"])
    y = np.zeros(step["big"] if up else step["small"]) + numbers(step, "bias")
    for i, j, ky, kx in np.ndindex(h, w, kernel, kernel):
        row, column = i * step["stride"] - step["padding"] + ky, j * step["stride"] - step["padding"] + kx
        if 0 <= row < height and 0 <= column < width:
            if up:
                y[row, column] += x[i, j] @ weight[:, ky, kx]
            else:
                y[i, j] += weight[:, ky, kx] @ x[row, column]
    return y


def computed(steps, x):
    """What the steps make of one input; an image comes and goes as [height, width, channels], a vector as it is."""
    for step in steps:
        match step["kind"]:
            case "up" | "down":
                x = joined(step, x)
            case "scale":
                x = x * numbers(step, "scale") + numbers(step, "bias")
            case "leaky":
                x = np.where(x < 0, step["slope"] * x, x)
            case "tanh":
                x = np.tanh(step["gain"] * x)
            case "flatten":
                channels, *size = step["shape"]
                x = x.reshape(*size, channels).transpose(2, 0, 1).reshape(-1)
            case "unflatten":
                x = x.reshape(step["shape"]).transpose(1, 2, 0)
    return x


def worst(net, steps, inputs):
    """The largest difference between what `net` and what `steps` make of `inputs` [N, ...]."""
    with torch.no_grad():
        expected = net.double()(inputs.double())
        net.float()
    if expected.ndim == 4:
        expected = expected.permute(0, 2, 3, 1)
    last = lambda x: x.permute(1, 2, 0) if x.ndim == 3 else x
    found = [computed(steps, last(x).double().numpy()) for x in inputs]
    return max(np.abs(a.reshape(-1) - b.numpy().reshape(-1)).max() for a, b in zip(found, expected, strict=True))


def noise(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("nets", [name for name in recipes.PAIRS if name != "residual"])
def test_layers_are_those_of_every_net(nets, liven):
    generator, discriminator = (make(7, 6) if i == 0 else make(6) for i, make in enumerate(recipes.PAIRS[nets]))
    for net, shape in ((generator, (7,)), (discriminator, (1, 28, 28))):
        liven(net, noise(64, *shape))
        steps = page.layers(net, shape)
        assert worst(net, steps, noise(3, *shape)) < 1e-5
        assert {step["kind"] for step in steps} <= KINDS - {"scale"}  # each BatchNorm is folded
        assert len([step for step in steps if step["kind"] in ("up", "down")]) == sum(
            isinstance(part, nn.Linear | nn.Conv2d | nn.ConvTranspose2d) for part in net
        )


def test_what_is_told_labels_is_a_net_for_each_label_that_differs_in_one_bias(new_game, liven, few_samples):
    game = new_game("mapped", classes=3)
    nn.init.normal_(game.average.embedding.weight, std=0.2)
    liven(nn.Sequential(game.average.first, *game.average.rest), noise(64, 5))
    told = page.generator([page.Moment(5, game.sampler(), game.discriminator)])
    (moment,) = told["moments"]
    assert (told["classes"], len(moment["biases"]), "discriminator" in moment) == (3, 3, False)
    for label in range(3):
        first, *others = moment["layers"]
        layers = [first | {"bias": moment["biases"][label]}, *others]
        assert worst(game.sampler().of(label).generator, layers, noise(3, 5)) < 4 / 255
        assert (layers == moment["layers"]) == (label == 0)


def test_folding_is_exact_for_the_nets_as_large_as_they_are(liven):
    for name in ("dcgan", "best"):
        recipe = recipes.get(name)
        net = liven(recipe.game().generator, noise(64, recipe.latent_dim))
        assert worst(net, page.layers(net, (recipe.latent_dim,)), noise(1, recipe.latent_dim)) < 1e-5


OTHERS = {
    "a BatchNorm before everything": ((4,), nn.BatchNorm1d(4), nn.Linear(4, 3)),
    "a BatchNorm after what bends": ((4,), nn.Linear(4, 3), nn.LeakyReLU(0.1), nn.BatchNorm1d(3), nn.Tanh()),
    "two in a row": ((4,), nn.Linear(4, 3, bias=False), nn.BatchNorm1d(3), nn.BatchNorm1d(3)),
    "an image of several channels, unfolded": (
        (4,), nn.Linear(4, 12), nn.Unflatten(1, (3, 2, 2)), nn.BatchNorm2d(3), nn.ReLU(), nn.ConvTranspose2d(3, 2, 3, 2),
    ),
    "and folded": ((2, 5, 4), nn.Conv2d(2, 3, 2, bias=False), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(36, 2)),
    "a row that a stride leaves out": ((2, 6, 6), nn.Conv2d(2, 3, 3, 2), nn.ConvTranspose2d(3, 1, 3, 2, 1, 1)),
    "a stack within a stack": ((4,), nn.Sequential(nn.Linear(4, 3), nn.Sequential(nn.BatchNorm1d(3))), nn.ReLU()),
}  # fmt: skip


@pytest.mark.parametrize("what", OTHERS)
def test_layers_are_those_of_other_nets(what, liven):
    shape, *parts = OTHERS[what]
    net = liven(nn.Sequential(*parts), noise(64, *shape))
    assert worst(net, page.layers(net, shape), noise(3, *shape)) < 1e-5


def test_a_layer_used_twice_is_there_twice():
    relu = nn.ReLU()
    kinds = [step["kind"] for step in page.layers(nn.Sequential(nn.Linear(4, 3), relu, nn.Linear(3, 2), relu), (4,))]
    assert kinds == ["up", "leaky", "up", "leaky"]


def test_folding_leaves_the_net_as_it_was(liven):
    net = liven(models.dcgan_generator(7, 6), noise(64, 7))
    before = {key: value.clone() for key, value in net.state_dict().items()}
    page.layers(net, (7,))
    assert all(value.equal(before[key]) for key, value in net.state_dict().items())


class Twice(nn.Module):
    """A net of one's own, which no list of layers describes."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(4, 4)

    def forward(self, x):
        return self.inner(self.inner(x))


@pytest.mark.parametrize(
    ("layer", "shape", "name"),
    [
        (nn.MaxPool2d(2), (2, 4, 4), "MaxPool2d(kernel_size=2, "),
        (nn.Conv2d(2, 2, 3, groups=2), (2, 4, 4), "Conv2d(2, 2, "),
        (nn.Conv2d(2, 2, 2, dilation=2), (2, 4, 4), "Conv2d(2, 2, "),
        (nn.Conv2d(2, 2, (1, 2)), (2, 4, 4), "Conv2d(2, 2, "),
        (nn.Conv2d(2, 2, 3, padding="same"), (2, 4, 4), "Conv2d(2, 2, "),
        (nn.Conv2d(2, 2, 3, padding=1, padding_mode="reflect"), (2, 4, 4), "Conv2d(2, 2, "),
        (nn.ConvTranspose2d(2, 2, 3, stride=(1, 2)), (2, 4, 4), "ConvTranspose2d(2, 2, "),
        (nn.BatchNorm1d(4, track_running_stats=False), (4,), "BatchNorm1d(4, "),
        (Twice(), (4,), "Twice: "),
        (residual.Residual(2), (2, 4, 4), "Residual: "),
    ],
)
def test_a_layer_that_the_page_lacks_is_named_in_one_sentence(layer, shape, name):
    with pytest.raises(ValueError, match=r"^The page can't compute the layer .*\.$") as error:
        page.layers(nn.Sequential(nn.ReLU(), layer) if shape != (4,) else layer, shape)
    assert f"the layer {name}" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("bits", [8, 9, 12, 16])
@pytest.mark.parametrize(("kind", "shape"), [("up", (3, 1, 1, 5)), ("up", (4, 3, 3, 2)), ("down", (5, 3, 3, 1))])
def test_a_weight_takes_so_many_bits_and_each_output_channel_has_its_unit(kind, shape, bits):
    weight = noise(*shape)
    channels = weight.movedim(-1 if kind == "up" else 0, 0)
    channels *= 10.0 ** torch.arange(len(channels))[:, None, None, None]
    channels[1] = 0
    step = {"kind": kind, "small": [1, 1, shape[0]], "big": [1, 1, shape[3]], "kernel": shape[1], "weight": weight}
    (packed,) = page.packed([step], bits)
    assert len(base64.b64decode(packed["weight"])) == -(-bits * weight.numel() // 8)
    found = torch.from_numpy(numbers(packed, "weight")).view(shape).movedim(-1 if kind == "up" else 0, 0)
    for channel, expected in zip(found, channels, strict=True):
        assert (channel - expected).abs().max() <= 0.5001 * expected.abs().max() / (2 ** (bits - 1) - 1)
        assert channel.abs().max() == pytest.approx(expected.abs().max().item(), rel=1e-5)


def test_packed_layers_are_the_same_to_three_digits(liven):
    net = liven(models.mapped_generator(7, 6), noise(64, 7))
    packed = page.packed(page.layers(net, (7,)))
    json.dumps(packed)
    assert worst(net, packed, noise(3, 7)) < 2 / 255


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_net_that_diverged_is_refused(value):
    net = models.mlp_generator(7, 6).requires_grad_(False)
    net[0].weight[2, 3] = value
    with pytest.raises(ValueError, match="The net has diverged"):
        page.packed(page.layers(net, (7,)))


# Sources


@pytest.fixture
def few_samples(monkeypatch):
    """Directions from few samples: these tests are not about how good they are."""
    find = latent.find_directions
    monkeypatch.setattr(latent, "find_directions", lambda sampler, attributes: find(sampler, attributes, n=200))


@pytest.fixture
def run(tmp_path):
    """The folder of a run of twelve checkpoints, at steps 0, 10, ... 110; their nets differ."""
    recipe = recipes.Recipe("small", "mapped", latent_dim=5, width=6)
    for step in range(0, 120, 10):
        game = recipe.game(seed=step)
        game.step = step
        checkpoint.save(game, tmp_path / "my run" / "checkpoints" / f"step_{step}.safetensors", recipe)
    return tmp_path / "my run"


def test_a_pretrained_recipe_is_one_moment_without_a_discriminator():
    name, (moment,) = page.opened("dcgan")
    assert (name, moment.step, moment.discriminator) == ("dcgan", None, None)
    z = noise(2, 64)
    assert moment.sampler(z).equal(recipes.pretrained("dcgan")(z))


def test_a_checkpoint_is_one_moment_with_its_discriminator(run):
    name, (moment,) = page.opened(run / "checkpoints" / "step_30.safetensors")
    game = checkpoint.resume(run / "checkpoints" / "step_30.safetensors")
    assert (name, moment.step) == ("small at step 30", 30)
    assert moment.sampler(noise(2, 5)).equal(game.sampler()(noise(2, 5)))
    assert moment.discriminator(noise(2, 1, 28, 28)).equal(game.discriminator(noise(2, 1, 28, 28)))
    assert not moment.discriminator.training


def test_of_a_run_nine_moments_are_shown_from_the_first_to_the_last(run):
    name, moments = page.opened(run)
    assert name == "my run"
    assert [moment.step for moment in moments] == [0, 10, 30, 40, 60, 70, 80, 100, 110]
    for path in (run / "checkpoints").glob("step_1*.safetensors"):
        path.unlink()
    assert [moment.step for moment in page.opened(run)[1]] == [0, 20, 30, 40, 50, 60, 70, 80, 90]


def facts_of(path):
    """What the page in a file is told."""
    found = re.findall(r'<script type="application/json" id="facts">(.*?)</script>', path.read_text(), re.DOTALL)
    assert len(found) == 1
    return json.loads(found[0])


def test_the_page_is_told_all_that_it_shows(run, tmp_path, few_samples):
    size = page.write(tmp_path / "new" / "x.html", [run])
    assert size == (tmp_path / "new" / "x.html").stat().st_size
    facts = facts_of(tmp_path / "new" / "x.html")
    digits = data.load(train=False)
    examples = np.frombuffer(base64.b64decode(facts["digits"]), np.uint8).reshape(10, 28, 28)
    for label, example in enumerate(examples):
        assert label in digits.labels[(digits.images.numpy() == example).all((1, 2))]

    (told,) = facts["generators"].values()
    moments = page.opened(run)[1]
    assert list(facts["generators"]) == ["my run"]
    assert told["latent_dim"] == 5
    assert [d["name"] for d in told["directions"]] == list(page.SLIDERS)
    found = latent.orthogonal(latent.find_directions(moments[-1].sampler, page.SLIDERS))
    for direction, expected in zip(told["directions"], found, strict=True):
        assert direction["vector"] == pytest.approx(expected.vector.tolist(), abs=1e-4)
    real = data.to_range(digits.images[:200])
    for moment, about in zip(moments, told["moments"], strict=True):
        assert about["step"] == moment.step
        assert worst(moment.sampler.generator, about["layers"], noise(1, 5)) < 2 / 255
        with torch.no_grad():
            logits = [moment.discriminator(images).sort().values for images in (real, moment.sampler.sample(200))]
        for heap, expected in zip(("real", "fake"), logits, strict=True):
            assert about["discriminator"][heap] == pytest.approx(expected.tolist(), abs=1e-4)
        assert worst(moment.discriminator, about["discriminator"]["layers"], real[:1]) < 0.01


def test_without_sources_every_pretrained_recipe_is_there(tmp_path, monkeypatch, few_samples, new_sampler):
    monkeypatch.setattr(recipes, "pretrained", lambda name: new_sampler(9))
    page.write(tmp_path / "x.html")
    names = [name for name, about in files.manifest().items() if "recipe" in about]
    assert sorted(facts_of(tmp_path / "x.html")["generators"]) == sorted(names)
    assert next(iter(facts_of(tmp_path / "x.html")["generators"])) == "cgan"  # the one that is seen first


def test_the_committed_playground_holds_todays_code_and_todays_generators():
    path = Path(__file__).parents[1] / "samples" / "playground.html"
    assert path.stat().st_size <= 3_000_000
    mark = '<script type="application/json" id="facts">'
    assert path.read_text().split(mark)[0] == page.page({}).split(mark)[0]
    generators = facts_of(path)["generators"]
    assert list(generators) == [*make_playground.PRETRAINED, make_playground.NAME]
    assert sorted(make_playground.PRETRAINED) == sorted(
        name for name, about in files.manifest().items() if "recipe" in about
    )
    for told in generators.values():
        assert [direction["name"] for direction in told["directions"]] == list(page.SLIDERS)
    for name in make_playground.PRETRAINED:
        sampler = recipes.pretrained(name)
        (moment,) = generators[name]["moments"]
        asked = [sampler.of(label) for label in range(sampler.classes)] or [sampler]
        nets = [page.layers(each.generator, (sampler.latent_dim,)) for each in asked]
        assert moment["layers"] == page.packed(nets[0], playground.BITS)
        assert moment.get("biases", []) == [page.encoded(net[0]["bias"]) for net in nets[: sampler.classes]]


def test_the_committed_playground_shows_a_run_from_noise_to_digits():
    told = facts_of(Path(__file__).parents[1] / "samples" / "playground.html")["generators"][make_playground.NAME]
    moments, game = told["moments"], make_playground.RECIPE.game()
    assert [moment["step"] for moment in moments] == list(playground.STEPS)
    untrained = page.Moment(0, game.sampler(), game.discriminator.eval())
    assert moments[0]["layers"] == page.told(untrained, playground.BITS)["layers"]  # it began as the recipe says
    z = np.random.default_rng(0).standard_normal((20, game.latent_dim))
    ink = [np.mean([computed(moment["layers"], point) > 0 for point in z]) for moment in moments[2:]]
    assert all(0.05 < share < 0.3 for share in ink)  # a real digit: 0.15
    for moment in moments:
        assert len(moment["discriminator"]["real"]) == len(moment["discriminator"]["fake"]) == 200
    for moment in moments[1:]:
        assert np.mean(moment["discriminator"]["real"]) > np.mean(moment["discriminator"]["fake"])


def test_the_small_one_is_trained_as_told(tmp_path, monkeypatch):
    monkeypatch.setattr(playground, "STEPS", (0, 2, 3))
    playground.learn(tmp_path)
    paths = sorted((tmp_path / "checkpoints").iterdir())
    assert [checkpoint.resume(path).step for path in paths] == [0, 2, 3]
    game = make_playground.RECIPE.game()
    list(training.train(game, data.load().images, 3))
    z = noise(2, game.latent_dim)
    assert checkpoint.resume(paths[-1]).sampler()(z).allclose(game.sampler()(z), atol=1e-5)


def test_three_recipes_take_less_than_three_megabytes(tmp_path, monkeypatch, few_samples):
    monkeypatch.setattr(recipes, "pretrained", lambda name: recipes.get(name).game().sampler())
    assert page.write(tmp_path / "x.html", ["mlp", "dcgan", "best"]) < 3_000_000


def test_two_generators_of_one_name_are_refused_and_the_old_page_stays(tmp_path, few_samples):
    (tmp_path / "x.html").write_text("the old page")
    with pytest.raises(ValueError, match="Two of the generators are called mlp: give one of them"):
        page.write(tmp_path / "x.html", ["mlp", "mlp"])
    assert [path.name for path in tmp_path.iterdir()] == ["x.html"]
    assert (tmp_path / "x.html").read_text() == "the old page"


# The page as text


def test_nothing_in_the_page_asks_for_anything_from_elsewhere():
    text = page.page({})
    assert re.findall(r"https?:|//\w+\.\w|\bfetch\(|XMLHttp|WebSocket|\bimport\b|\burl\(| src=", text) == []
    assert "default-src 'none'" in text  # the browser sees to it as well
    assert re.findall(r"{{\w+}}", text) == []


def test_a_name_cannot_end_the_script_that_holds_it(tmp_path):
    name = "</script><script>alert(1)</script>{{nets}}"
    (tmp_path / "x.html").write_text(page.page({name: {}}))
    assert list(facts_of(tmp_path / "x.html")["generators"]) == [name]


def test_the_code_of_the_page_is_read_in_one_sitting():
    lines = {name: len(page.own(name).splitlines()) for name in ("page.html", "page.js", "page_nets.js")}
    assert max(lines.values()) < 450
    assert max(len(line) for name in lines for line in page.own(name).splitlines()) <= 130
    assert "</script" not in page.own("page.js") + page.own("page_nets.js")
