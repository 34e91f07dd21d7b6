"""The playground in a real browser, opened from the disk as by a double click: what it shows is what PyTorch computes."""

import itertools
import json
import re

import numpy as np
import pytest
import torch
from axe_playwright_python.sync_playwright import Axe

from gan_lib import checkpoint, data, files, latent, recipes
from gan_lib.playground import page
from tests import load_picture
from tests.browser.lab import until

CANVAS = """canvas => Array.from(canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data)
    .filter((_, i) => i % 4 === 0)"""
TWO = [(0.28, 0.32), (0.36, 0.2), (0.5, 0.15), (0.64, 0.2), (0.68, 0.34), (0.6, 0.5), (0.3, 0.82), (0.75, 0.82)]


@pytest.fixture(scope="module")
def sources(liven, tmp_path_factory):
    """{name: `page.Moment`s}: every recipe that the page can compute, with lively weights, a run, and the bundled generators."""
    found = {}
    for name, recipe in recipes.RECIPES.items():
        if recipe.nets != "residual":
            game = recipe.game()
            net = game.average
            if recipe.classes:
                torch.nn.init.normal_(net.embedding.weight)
                net = torch.nn.Sequential(net.first, *net.rest)
            liven(net, torch.randn(64, recipe.latent_dim, generator=torch.Generator().manual_seed(0)))
            judge = game.discriminator if recipe.classes else None  # must stay out of the page: it asks for a class
            found[name] = [page.Moment(None, game.sampler(), judge)]
    folder, recipe = tmp_path_factory.mktemp("runs") / "my run", recipes.Recipe("small", "mapped", width=8)
    real = data.to_range(data.load(train=False).images[:64])
    for step in (0, 500, 1000):
        game = recipe.game(seed=step)
        game.step = step
        liven(game.average, game.noise(64))
        liven(game.discriminator, real)
        checkpoint.save(game, folder / "checkpoints" / f"step_{step}.safetensors", recipe)
    found["my run"] = page.read_source(folder)[1]
    for name, about in files.manifest().items():
        if "recipe" in about and about["recipe"]["nets"] in ("dcgan", "mlp"):
            found[f"{name}, trained"] = page.read_source(name)[1]
    return found


@pytest.fixture(scope="module")
def address(sources, tmp_path_factory):
    """The page with these generators; their directions come from few samples."""
    path, find = tmp_path_factory.mktemp("page") / "playground.html", latent.find_directions
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(latent, "find_directions", lambda sampler, attributes: find(sampler, attributes, n=300))
        generators = {name: page.generator(moments) for name, moments in sources.items()}
    path.write_text(page.page(generators), encoding="utf-8")
    return path.as_uri()


@pytest.fixture
def visit(new_page, address, sources):
    """`visit(link, **context)` opens the page as a `Tab`."""

    def open_page(link="", **settings):
        tab = new_page(address, **settings)
        tab.goto(f"{address}#{link.split('#')[-1]}")
        tab.wait_for_function("() => document.getElementById('speed').textContent")
        return Tab(tab, sources)

    return open_page


class Tab:
    """The playground in a browser's tab."""

    def __init__(self, page, sources):
        self.page, self.sources, self.evaluate = page, sources, page.evaluate
        self.status = page.locator("#status")
        self.outputs = page.locator("output")  # the numbers beside the sliders
        self.slider = lambda name: page.get_by_role("slider", name=name)
        self.button = lambda name: page.get_by_role("button", name=name)

    @property
    def z(self):
        return self.evaluate("() => [...playground.state.z]")

    def read(self, name, part):
        """A part of what the page holds of a generator: its "directions" or "moments"."""
        return self.evaluate("([name, part]) => playground.generators[name][part]", [name, part])

    def choose(self, name):
        self.page.get_by_role("radio", name=name, exact=True).check(force=True)

    def canvas(self, selector):
        """The grey levels of a canvas."""
        return np.array(self.page.locator(selector).first.evaluate(CANVAS))

    def film(self, name):
        """The pictures below a slider, [N, 784]."""
        film = self.page.locator(".slider", has=self.slider(name)).locator("canvas").evaluate(CANVAS)
        return np.reshape(film, (28, -1, 28)).swapaxes(0, 1).reshape(-1, 784)

    def pixels(self):
        """The large digit [784], once the page has written its state into the address."""
        before = None
        while before != (before := (self.page.url, self.canvas("#stage").tolist())):
            self.page.wait_for_timeout(400)
        return np.array(before[1])

    def expected(self, name, strengths=(), norm=8.0, moment=-1, digit=None):
        """PyTorch's digit [784] for the page's z and these values of the sliders; without `norm`, for the slider's."""
        sampler, found = self.sources[name][moment].sampler, self.read(name, "directions")[: len(strengths)]
        directions = [latent.Direction(each["name"], torch.tensor(each["vector"]), 0.0) for each in found]
        norm = norm or float(self.slider("length |z|").input_value())
        sampler = sampler if digit is None else sampler.of(digit)
        return latent.render(sampler, torch.tensor(self.z), directions, list(strengths), norm).flatten().numpy()

    def check(self, name, *strengths, **settings):
        """Check that the large digit is PyTorch's for these values of the sliders; return its pixels [784]."""
        pixels = self.pixels()
        assert gap(pixels, self.expected(name, strengths, **settings)) <= 2
        return pixels

    def error(self):
        """The mean squared error that the page reports when its search ends."""
        return float(until(lambda: re.search(r"mean squared error of ([\d.]+)", self.status.inner_text()))[1])


def gap(a, b):
    """The largest difference of two images, of 255."""
    return np.abs(np.array(a, dtype=int) - np.array(b, dtype=int)).max()


def mse(a, b):
    return np.square((a - b) / 127.5).mean()


def largest_gap(sampler, tab, name, moment=0):
    """The largest difference of the page's pixels from PyTorch's for 100 z; for a conditional generator, of each class."""
    program = "([name, zs, settings]) => JSON.stringify(zs.map(z => [...playground.render(name, z, settings)]))"
    z, gaps = sampler.noise(100, seed=3), []
    for y in range(sampler.classes or 1):
        pixels = data.to_uint8((sampler.of(y) if sampler.classes else sampler)(z)).flatten(1).numpy()
        assert pixels.std() > 30
        found = tab.evaluate(program, [name, z.tolist(), {"digit": y} if sampler.classes else {"moment": moment}])
        gaps.append(gap(json.loads(found), pixels))  # one string is fast
    return max(gaps)


# What it computes


def test_pixels_are_those_of_pytorch_for_every_recipe(visit, sources):
    tab = visit()
    for name, moments in sources.items():
        gaps = [largest_gap(moment.sampler, tab, name, i) for i, moment in enumerate(moments)]
        assert max(gaps) <= 2, name


def test_a_slider_chooses_the_digit_and_keeps_the_style(visit):
    tab = visit("g=cgan&seed=3&digit=7&norm=9")
    slider = tab.page.locator("#slider-digit")
    assert slider.input_value() == "7"
    tab.check("cgan", norm=9.0, digit=7)
    slider.press("ArrowLeft")
    tab.check("cgan", norm=9.0, digit=6)
    assert "digit=6" in tab.page.url and "digit a 6" in tab.page.locator("#stage").get_attribute("aria-label")
    two = tab.expected("cgan", norm=9.0, digit=2)
    until(lambda: gap(tab.film("digit")[2], two) <= 2)  # all ten are below the slider
    tab.choose("best")
    assert slider.count() == 0


@pytest.mark.parametrize(("name", "psi"), [("cgan", 0.9), ("best", 1.0)])
def test_random_z_are_truncated_as_the_generator_wants(name, psi, visit):
    tab = visit(f"g={name}&seed=3")
    noise = tab.evaluate("() => [...playground.noise(3, 64)]")
    assert np.allclose(tab.z, psi * np.array(noise), atol=1e-6)


def test_noise_is_normal_and_the_same_for_the_same_seed(visit):
    noise, same, other = visit().evaluate("() => [7, 7, 8].map(seed => [...playground.noise(seed, 20000)])")
    assert noise == same
    assert abs(np.corrcoef(noise, other)[0, 1]) < 0.03
    assert abs(np.mean(noise)) < 0.03
    assert np.std(noise) == pytest.approx(1, abs=0.03)
    assert np.mean(np.abs(noise) < 1) == pytest.approx(0.683, abs=0.02)


def test_interpolation_is_that_of_latent(visit, sources):
    program = "([a, b]) => [0, 0.3, 1].map(t => [...playground.slerp(Float32Array.from(a), Float32Array.from(b), t)])"
    a, b = sources["best"][0].sampler.noise(2, seed=1)
    for end in (b, 2 * a):  # the second has the direction of a: a straight line
        found = visit().evaluate(program, [a.tolist(), end.tolist()])
        assert np.allclose(found, latent.slerp(a, end, torch.tensor([0, 0.3, 1])), atol=1e-5)


@pytest.mark.parametrize("name", ["mlp", "dcgan", "best"])
def test_an_image_takes_at_most_twice_the_time_of_a_plain_loop_over_its_products(name, visit):
    clocks = """([name, products]) => {
        const {latent_dim} = playground.generators[name], ours = [], plain = []
        const [a, b] = [1, 2].map(seed => Float32Array.from(playground.noise(seed, 4096)))
        let sum = 0
        for (let i = 0; i < 60; i++) {
            const start = performance.now()
            for (let n = 0; n < 10; n++) playground.render(name, playground.noise(i, latent_dim))
            const middle = performance.now()
            for (let n = 0; n < 10 * products; n++) sum += a[n & 4095] * b[n & 4095]
            ours.push(middle - start)
            plain.push(performance.now() - middle + 0 * sum)
        }
        return [ours, plain]
    }"""
    tab = visit()
    steps = [step for step in tab.read(name, "moments")[-1]["layers"] if "weight" in step]
    products = sum(np.prod(step["small"]) * step["kernel"] ** 2 * step["big"][2] for step in steps)
    ours, plain = np.median(tab.evaluate(clocks, [name, int(products)]), 1)
    assert ours / plain < 2


# The sliders and the walk


def test_sliders_follow_the_keys(visit):
    tab = visit("g=best&seed=5")
    first = tab.check("best")
    moves = ("slant", "Right", 15), ("thickness", "Left", 20), ("width", "Left", 8), ("height", "Right", 3)
    for label, key, times in (*moves, ("length |z|", "Left", 1)):
        tab.slider(label).focus()
        for _ in range(times):
            tab.page.keyboard.press(f"Arrow{key}")
    assert gap(tab.check("best", 1.5, -2.0, -0.8, 0.3, norm=7.9), first) > 20
    assert tab.outputs.all_inner_texts() == ["+1.5", "−2.0", "−0.8", "+0.3", "7.9"]
    assert tab.slider("width").get_attribute("aria-valuetext") == "−0.8"
    tab.button("Reset sliders").click()
    assert gap(tab.pixels(), first) == 0


def test_sliders_follow_the_pointer_and_every_picture_below_them_is_true(visit):
    tab, name = visit("g=dcgan, trained&seed=1"), "dcgan, trained"
    slider, mouse = tab.slider("thickness"), tab.page.mouse
    box = slider.bounding_box()
    cell = box["width"] / 9
    mouse.move(box["x"] + 4.5 * cell, box["y"] + cell / 2)
    mouse.down()
    mouse.move(box["x"] + 7.5 * cell, box["y"] + cell / 2, steps=6)
    mouse.up()
    tab.pixels()
    value = float(slider.input_value())
    assert value == pytest.approx(2.25, abs=0.1)
    tab.check(name, 0, value)
    for label, strengths in (("slant", lambda x: (x, value, 0)), ("width", lambda x: (0, value, x))):
        for k, picture in enumerate(tab.film(label)):
            assert gap(picture, tab.expected(name, strengths(0.75 * (k - 4)))) <= 2


def test_a_key_chooses_a_generator_and_a_button_another_digit(visit):
    tab = visit("g=mlp&seed=2")
    tab.page.get_by_role("radio", name="mlp", exact=True).focus()
    tab.page.keyboard.press("ArrowRight")
    first = tab.check("dcgan")
    assert "g=dcgan&seed=2" in tab.page.url
    tab.button("New digit").click()
    assert gap(tab.check("dcgan"), first) > 20
    assert re.fullmatch(r"seed \d+", tab.status.inner_text())


@pytest.mark.parametrize("motion", ["no-preference", "reduce"])
def test_a_walk_goes_on_until_it_is_paused_and_jumps_for_those_who_reduce_motion(motion, visit):
    tab = visit("g=mlp, trained", reduced_motion=motion)
    tab.button("Walk").click()
    seen = [tab.z]
    while len(seen) < (3 if motion == "reduce" else 6):
        seen.append(until(lambda: (z := tab.z) != seen[-1] and z))
    steps = [np.linalg.norm(np.subtract(a, b)) for a, b in itertools.pairwise(seen)]
    assert (min(steps) > 5) == (motion == "reduce")  # two random points are about 11 apart
    tab.button("Pause").click()
    tab.check("mlp, trained")
    assert tab.button("Walk").is_visible()
    assert "z=" in tab.page.url


# The search for a drawing


@pytest.mark.parametrize("viewport", [{"width": 1280, "height": 900}, {"width": 375, "height": 800}])
def test_a_drawing_is_found(viewport, visit):
    tab = visit("g=dcgan, trained&slant=2", viewport=viewport)
    tab.pixels()
    tab.evaluate("() => scrollBy(0, document.getElementById('pad').getBoundingClientRect().top - 400)")
    box = tab.page.locator("#pad").bounding_box()
    for i, (x, y) in enumerate(TWO):
        tab.page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"], steps=5)
        if i == 0:
            tab.page.mouse.down()
    tab.page.mouse.up()
    error, target = tab.error(), tab.canvas("#target")
    ink = np.argwhere(target.reshape(28, 28) > 100)
    assert 17 <= np.ptp(ink, axis=0).max() + 1 <= 21  # as large as MNIST's
    centre = np.average(np.indices((28, 28)).reshape(2, -1), axis=1, weights=target)
    assert centre == pytest.approx([14, 14], abs=0.3)
    assert error < 0.03
    assert mse(tab.pixels(), target) == pytest.approx(error, abs=0.01)
    assert tab.outputs.all_inner_texts()[:3] == ["0.0", "0.0", "0.0"]
    tab.button("Clear").click()
    assert tab.canvas("#target").max() == 0


def test_a_drawing_is_searched_among_the_chosen_class(visit):
    tab = visit("g=cgan&digit=4")
    tab.page.locator("#digits button").nth(4).click()
    until(lambda: "found" in tab.status.inner_text())
    pixels = tab.check("cgan", norm=None, digit=4)
    assert gap(pixels, tab.expected("cgan", norm=None, digit=5)) > 20


def test_a_handwritten_digit_is_found_by_key_and_by_each_generator(visit):
    tab = visit("g=dcgan, trained")
    tab.button("a handwritten 7").focus()
    tab.page.keyboard.press("Enter")
    assert tab.error() < 0.05
    first = tab.pixels()
    tab.choose("mlp, trained")
    assert tab.error() < 0.1
    assert 0 < mse(tab.pixels(), first) < 0.2


@pytest.mark.parametrize("name", ["best", "dcgan", "mlp-sigmoid"])
def test_the_search_descends_as_pytorch_does(name, visit, sources):
    """After ten steps of Adam from the best candidate, z has moved the same way in JavaScript and in PyTorch."""
    program = """([name, zs, target]) => {
        const image = z => Float32Array.from(playground.render(name, z), value => value / 127.5 - 1)
        const candidates = zs.map(z => ({z: Float32Array.from(z), image: image(z)}))
        const steps = playground.search(name, Float32Array.from(target), candidates)
        let now
        for (let i = 0; i < 11; i++) now = steps.next().value
        return [[...now.z], now.error]
    }"""
    sampler = sources[name][0].sampler
    starts, target = sampler.noise(100, seed=6), sampler.sample(1, seed=7)
    there, error = visit().evaluate(program, [name, starts.tolist(), target.flatten().tolist()])
    with torch.no_grad():
        start = starts[(sampler(starts) - target).square().mean((1, 2, 3)).argmin()]
    z = start.clone().unsqueeze(0).requires_grad_(True)
    adam = torch.optim.Adam([z], 0.1, (0.9, 0.99))
    for _ in range(10):
        loss = (sampler(z) - target).square().mean()
        adam.zero_grad()
        (loss + 0.1 * (z.norm() / sampler.latent_dim**0.5 - 1).square()).backward()
        adam.step()
    here, there = (z[0] - start).detach(), torch.tensor(there) - start
    assert torch.cosine_similarity(here, there, 0) > 0.98
    assert error == pytest.approx((sampler(z) - target).square().mean().item(), rel=0.02)


def test_training_has_a_slider_and_the_discriminator_gives_its_opinion(visit, sources):
    tab = visit("g=my run&seed=3")
    tab.slider("training").focus()
    for words, moment in (("after 1,000 steps", 2), ("after 500 steps", 1), ("untrained", 0)):
        pixels = tab.check("my run", moment=moment)
        assert tab.outputs.all_inner_texts()[0] == tab.slider("training").get_attribute("aria-valuetext") == words
        with torch.no_grad():
            image = data.to_range(torch.tensor(pixels, dtype=torch.uint8).view(1, 28, 28))
            logit = sources["my run"][moment].discriminator(image).item()
        text = tab.page.locator("#opinion-text").inner_text()
        shown, *shares = map(float, re.findall(r"[\d.]+", text.replace("−", "")[:-1]))
        assert shown == pytest.approx(abs(logit), abs=0.02)
        logits = tab.read("my run", "moments")[moment]["discriminator"]
        for kind, share in (("real", shares[0]), ("fake", shares[2])):
            assert share == pytest.approx(100 * np.mean(np.array(logits[kind]) < logit), abs=1.5)
        tab.page.keyboard.press("ArrowLeft")
    assert tab.page.locator(".ticks").first.inner_text().split() == ["0", "500", "1K"]
    tab.choose("mlp")
    assert not tab.page.locator("#opinion").is_visible()
    assert tab.slider("training").count() == 0


def test_a_search_continues_at_another_moment_and_its_z_stays(visit):
    tab = visit("g=my run")
    tab.button("a handwritten 7").click()
    until(lambda: "searching" in tab.status.inner_text())
    tab.slider("training").press("Home")
    error = tab.error()
    assert mse(tab.pixels(), tab.canvas("#target")) == pytest.approx(error, abs=0.01)
    assert "moment=0" in tab.page.url
    z = tab.z
    tab.slider("training").press("ArrowRight")
    pixels = tab.check("my run", norm=None, moment=1)
    assert tab.z == z
    assert tab.status.inner_text() == "found for the drawing"  # without the error of the last net
    assert gap(visit(tab.page.url).pixels(), pixels) <= 2


# Links, files, accessibility


def test_a_link_restores_the_state(visit, address):
    tab = visit("g=my run&seed=4", permissions=["clipboard-read", "clipboard-write"])
    tab.slider("slant").press("ArrowRight")
    tab.slider("training").press("Home")
    tab.button("Copy link").click()
    until(lambda: tab.status.inner_text() == "link copied")
    link = tab.evaluate("() => navigator.clipboard.readText()")
    assert link == tab.page.url == f"{address}#g=my+run&seed=4&slant=0.1&moment=0"
    linked = visit(link).pixels()
    assert gap(linked, tab.pixels()) == 0

    tab.button("Walk").click()
    tab.page.wait_for_timeout(700)
    tab.button("Pause").click()
    pixels = tab.pixels()
    other = visit(tab.page.url)
    assert gap(other.pixels(), pixels) <= 2
    assert other.z == pytest.approx(tab.z, abs=1 / 4000)
    assert other.status.inner_text() == "the point of the link"
    other.page.goto(link)  # the same page with another state: nothing is loaded again
    assert gap(other.pixels(), linked) == 0


STATES = "g=nobody g=constructor&seed=x seed=-3&norm=1e9&slant=abc&moment=7 z=!!&g=mlp z=AAAA %E0%A4%A &&=="


@pytest.mark.parametrize("state", STATES.split())
def test_a_broken_link_still_opens(state, visit):
    tab = visit(state)
    assert tab.pixels().std() > 0
    assert len(tab.outputs.all_inner_texts()) == 5
    assert np.isfinite(tab.z).all()


def test_the_digit_is_saved_as_it_is(visit):
    tab = visit("g=dcgan, trained&seed=12")
    pixels = tab.pixels().reshape(28, 28)
    with tab.page.expect_download() as download:
        tab.button("Save PNG").click()
    assert download.value.suggested_filename == "dcgan,-trained-seed-12.png"
    assert (load_picture(download.value.path()) == pixels.repeat(10, 0).repeat(10, 1)).all()


@pytest.mark.parametrize("width", [320, 375, 390, 768, 1280])
@pytest.mark.parametrize("state", ["g=cgan", "g=my run"])  # ten pictures below a slider, and the moments of a run
def test_everything_fits_and_axe_finds_nothing(visit, state, width):
    tab = visit(state, viewport={"width": width, "height": 800}, color_scheme="dark" if width == 390 else "light")
    assert tab.evaluate("() => document.documentElement.scrollWidth") <= width
    sticking_out, small = tab.evaluate("""() => {
        const all = selector => [...document.querySelectorAll(selector)], right = part => part.getBoundingClientRect().right
        const size = ({width, height}) => Math.min(width, height)
        return [
            all('main *').filter(part => right(part) > right(part.closest('main > *')) + 1).length,
            all('button, input').filter(thing => size(thing.getBoundingClientRect()) < 24).length,
        ]
    }""")
    assert (sticking_out, small) == (0, 0)
    for slider in tab.page.locator(".track").all():  # the handle is over its picture
        assert slider.locator("canvas").bounding_box() == slider.locator("input").bounding_box()
    assert Axe().run(tab.page).response["violations"] == []
