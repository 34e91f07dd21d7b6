"""The page that trains, in a real browser: it learns digits, wherever it is opened, and its generator opens in Python."""

import functools
import html
import http.server
import json
import threading

import numpy as np
import pytest
import torch
from axe_playwright_python.sync_playwright import Axe

from gan_lib import __main__ as command_line
from gan_lib import checkpoint, data, latent, playground, training
from gan_lib.playground import page as sliders
from tests.browser.lab import until
from tests.browser.test_inline import sandbox
from tools.make_playground import TRAINER

READY = "() => window.trainer?.state.ready"
SAMPLES = "() => [...trainer.state.last.samples]"
FRAMES = """seconds => new Promise(done => {
    let n = 0
    const start = performance.now(), count = now => now - start > 1000 * seconds ? done(n) : (n++, requestAnimationFrame(count))
    requestAnimationFrame(count)
})"""


@pytest.fixture
def visit(new_page):
    """`visit(link, **context)` opens the page from its file, ready to train."""

    def open_page(link="", **settings):
        page = new_page(TRAINER.as_uri(), **settings)
        page.goto(f"{TRAINER.as_uri()}#{link}")
        page.wait_for_function(READY)
        return page

    return open_page


def train(page, end):
    """Train until iteration `end`."""
    page.evaluate("end => trainer.ask('run', {world: 'digits', end})", end)
    until(lambda: page.evaluate("end => !trainer.state.running && trainer.state.last.step === end", end), 1500)


def test_it_learns_ten_digits_and_its_weights_open_in_python(visit, tmp_path, capsys):
    page, path = visit("seed=1"), tmp_path / "mine.safetensors"
    train(page, 3000)
    with page.expect_download() as download:
        page.get_by_role("button", name="Save weights").click()
    download.value.save_as(path)
    sampler = checkpoint.sampler(path)
    for z in sampler.noise(5, seed=3):
        pixels = page.evaluate("async z => [...await trainer.ask('render', {z})]", z.tolist())
        assert np.abs(data.to_uint8(sampler(z[None])).flatten().int().numpy() - pixels).max() <= 1
    for found, each in zip(page.evaluate("() => trainer.state.directions"), latent.orthogonal(
        latent.find_directions(sampler, sliders.SLIDERS)), strict=True):  # fmt: skip
        assert found["name"] == each.name
        assert torch.cosine_similarity(torch.tensor(found["vector"]), each.vector, dim=0) > 0.9
    game = checkpoint.resume(path)
    assert (game.step, len(list(training.train(game, data.load().images, 2)))) == (3000, 1)
    command_line.main(["measure", str(path), "--json"])
    [score] = json.loads(capsys.readouterr().out)["scores"]
    assert score["classes"] == 10 and score["frechet"] <= 5


def test_single_steps_move_one_net_and_a_link_restores_the_settings(visit):
    page = visit("dRate=0.004&loss=minimax&seed=7&batch=16&fault=range")
    assert page.locator("[name=loss]").input_value() == "minimax"
    assert page.get_by_role("button", name="range").get_attribute("aria-pressed") == "true"
    steps, before = "() => trainer.state.last.steps", page.evaluate(SAMPLES)
    page.get_by_role("button", name="One D step").first.click()
    until(lambda: page.evaluate(steps) == [1, 0])
    assert page.evaluate(SAMPLES) == before
    page.get_by_role("button", name="One G step").first.press("Enter")
    until(lambda: page.evaluate(steps) == [1, 1])
    assert page.evaluate(SAMPLES) != before
    assert {"dRate=0.004", "loss=minimax", "seed=7", "fault=range"} <= {
        *page.evaluate("() => location.hash.slice(1)").split("&")
    }


def test_it_trains_the_same_from_a_file_a_server_and_in_sandboxes(visit, new_page):
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=TRAINER.parent)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address, served, inside = f"http://127.0.0.1:{server.server_port}/", None, new_page()
    served = new_page(address)
    served.goto(f"{address}train.html")
    inside.set_content(sandbox(sandbox(playground.train_inline().data)))
    inside.locator("iframe").wait_for()
    until(lambda: len(inside.frames) == 4)
    found = []
    for page in (visit(), served, inside.frames[-1]):
        page.wait_for_function(READY)
        train(page, 20)
        found.append(page.evaluate(SAMPLES))
        assert "WebAssembly" in page.locator("#speed").inner_text()
    server.shutdown()
    server.server_close()
    assert found[0] == found[1] == found[2] and np.std(found[0]) > 1


def test_plain_javascript_where_webassembly_is_forbidden_and_it_is_slower(chromium, visit):
    page = chromium.new_page()  # the browser's console names what its policy forbids
    forbidden = html.escape(TRAINER.read_text(encoding="utf-8").replace("'wasm-unsafe-eval'", ""))
    page.set_content(f'<iframe srcdoc="{forbidden}"></iframe>')
    until(lambda: len(page.frames) == 2)
    page.frames[1].wait_for_function(READY)
    train(page.frames[1], 3)
    assert "plain JavaScript" in page.frames[1].locator("#speed").inner_text()
    page.close()
    page = visit()
    fast, plain = (page.evaluate("plain => trainer.ask('time', {plain, n: 25})", plain) for plain in (False, True))
    assert plain > 3 * fast


def test_frames_while_it_trains_and_a_hidden_tab_pauses(visit):
    page = visit()
    idle = page.evaluate(FRAMES, 2)
    page.get_by_role("button", name="Start training").click()
    assert page.evaluate(FRAMES, 4) / 2 > 0.8 * idle  # 50 of 60
    for hidden in (True, False):
        page.evaluate(
            "hidden => Object.defineProperty(document, 'hidden', {value: hidden, configurable: true})", hidden
        )
        page.evaluate("() => document.dispatchEvent(new Event('visibilitychange'))")
        until(lambda hidden=hidden: page.evaluate("() => trainer.state.running") is not hidden)


@pytest.mark.parametrize(("fault", "words"), [("", "Healthy"), ("range", "Range"), ("one optimiser", "One optimiser"),
    ("learning rate", "Learning rate"), ("swapped labels", "Swapped labels"), ("sigmoid twice", "Sigmoid twice"),
    ("discriminator too strong", "D is sure")])  # fmt: skip
def test_each_bug_is_named_by_what_can_be_seen(fault, words, visit):
    page = visit(f"fault={fault}")
    train(page, 300)
    assert page.locator("#diagnosis").inner_text().startswith(words)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 768, 1280])
def test_it_fits_and_axe_finds_nothing(width, scheme, visit):
    page = visit(viewport={"width": width, "height": 844}, color_scheme=scheme)
    train(page, 5)
    page.get_by_role("button", name="Save PNG").wait_for()
    for _ in range(2):
        assert page.evaluate("() => document.documentElement.scrollWidth") <= width
        assert Axe().run(page).response["violations"] == []
        page.get_by_role("tab").first.press("ArrowRight")
        page.get_by_role("img", name="the plane of the ring: G has points in").wait_for()


def test_the_small_worlds_move(visit):
    page = visit()
    page.get_by_role("tab", name="Small worlds").click()
    page.locator("#ring-d").click()
    page.locator("#numbers-d").click()
    assert "ψ 0.85" in page.locator("#numbers-status").inner_text()  # 1 - 0.2 · sigmoid(1)
    page.locator("#ring-start").click()
    until(lambda: "8 of the eight" in page.locator("#ring-status").inner_text())
