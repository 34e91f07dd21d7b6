"""The page that trains, in a real browser: it learns digits, wherever it is opened, and its generator opens in Python."""

import html

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe

from gan_lib import checkpoint, data, evaluation, latent, playground
from gan_lib.playground.page import SLIDERS
from tests.browser.lab import until
from tests.browser.test_inline import sandbox
from tools.make_playground import TRAINER

READY, SAMPLES = "() => window.trainer?.state.ready", "() => [...trainer.state.last.samples]"
FRAMES = """async () => {
    let n = 0
    for (const start = performance.now(); performance.now() < start + 3000; n++) await new Promise(requestAnimationFrame)
    return n
}"""
HIDE = """hidden => { Object.defineProperty(document, 'hidden', {value: hidden, configurable: true})
    document.dispatchEvent(new Event('visibilitychange')) }"""
BUGS = {"": "Healthy", "discriminator too strong": "D is sure", "range": "Range", "one optimiser": "One optimiser",
        "learning rate": "Learning", "swapped labels": "Swapped", "sigmoid twice": "Sigmoid"}  # fmt: skip


def visit(new_page, link="", **settings):
    """The page, opened from its file and ready to train."""
    page = new_page(TRAINER.as_uri(), **settings)
    page.goto(f"{TRAINER.as_uri()}#{link}")
    page.wait_for_function(READY)
    return page


def train(page, end):
    page.evaluate("end => trainer.ask('run', {world: 'digits', end})", end)
    until(lambda: page.evaluate("end => !trainer.state.running && trainer.state.last.step === end", end), 900)


def test_it_learns_ten_digits_and_its_weights_open_in_python(new_page, tmp_path):
    page, path = visit(new_page, "seed=1"), tmp_path / "mine.safetensors"
    train(page, 3000)
    with page.expect_download() as download:
        page.get_by_role("button", name="Save weights").click()
    download.value.save_as(path)
    sampler = checkpoint.sampler(path)
    z = sampler.noise(5, seed=3)
    pixels = page.evaluate("zs => Promise.all(zs.map(async z => [...await trainer.ask('render', {z})]))", z.tolist())
    assert np.abs(data.to_uint8(sampler(z)).flatten(1).int().numpy() - pixels).max() <= 1
    for each in latent.orthogonal(latent.find_directions(sampler, SLIDERS)):
        vector = page.evaluate("name => trainer.state.directions.find(each => each.name === name).vector", each.name)
        assert np.corrcoef(vector, each.vector)[0, 1] > 0.9
    score = evaluation.score(sampler.sample(10_000))  # what `measure` prints
    assert score.classes == 10 and score.frechet <= 5


def test_single_steps_move_the_images_and_a_link_restores_the_settings(new_page):
    page = visit(new_page, "dRate=0.004&loss=minimax&seed=7&batch=16&fault=range")
    assert page.locator("[name=loss]").input_value() == "minimax"
    assert page.get_by_role("button", name="Real digits in another pixel range").get_attribute("aria-pressed") == "true"
    before = page.evaluate(SAMPLES)
    for net, steps in (("d", [1, 0]), ("g", [1, 1])):
        page.locator(f"#step-{net}").press("Enter")
        until(lambda steps=steps: page.evaluate("() => trainer.state.last.steps") == steps)
        assert (page.evaluate(SAMPLES) == before) == (net == "d")


def test_it_trains_the_same_in_nested_sandboxes_and_plainly_where_webassembly_is_forbidden(new_page, chromium):
    inside, strict, found = new_page(), chromium.new_page(), []  # the console of `strict` names what is forbidden
    inside.set_content(sandbox(sandbox(playground.train_inline().data)))
    forbidden = html.escape(TRAINER.read_text(encoding="utf-8").replace("'wasm-unsafe-eval'", ""))
    strict.set_content(f'<iframe srcdoc="{forbidden}"></iframe>')
    until(lambda: len(inside.frames) == 4 and len(strict.frames) == 2)
    frames = visit(new_page), inside.frames[-1], strict.frames[-1]
    for page, engine in zip(frames, ("WebAssembly", "WebAssembly", "plain"), strict=True):
        page.wait_for_function(READY)
        train(page, 10)
        found.append(np.array(page.evaluate(SAMPLES)))
        assert engine in page.locator("#speed").inner_text()
    assert (found[0] == found[1]).all() and np.abs(found[0] - found[2]).max() <= 2 and found[0].std() > 1


def test_webassembly_is_three_times_as_fast_frames_go_on_and_a_hidden_tab_pauses(new_page):
    page = visit(new_page)
    clock = "plain => trainer.ask('time', {plain, n: 25})"
    fast, plain = np.min([[page.evaluate(clock, plain) for plain in (False, True)] for _ in range(3)], 0)
    idle = page.evaluate(FRAMES)
    page.get_by_role("button", name="Start training").click()
    assert plain > 3 * fast
    until(lambda: page.evaluate(FRAMES) > 0.8 * idle, 30)  # 50 of 60; other tests may take the cores for a while
    for hidden in (True, False):
        page.evaluate(HIDE, hidden)
        until(lambda hidden=hidden: page.evaluate("() => trainer.state.running") is not hidden)


@pytest.mark.parametrize("fault", BUGS)
def test_each_bug_is_named_by_what_can_be_seen(fault, new_page):
    page = visit(new_page, f"fault={fault}&batch=32")
    train(page, 300)
    assert page.locator("#diagnosis").inner_text().startswith(BUGS[fault])


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 768, 1280])
def test_it_fits_axe_finds_nothing_and_the_small_worlds_move(width, scheme, new_page):
    page = visit(new_page, viewport={"width": width, "height": 844}, color_scheme=scheme)
    train(page, 5)
    page.get_by_role("button", name="Save PNG").wait_for()
    for _ in range(2):
        assert page.evaluate("() => document.documentElement.scrollWidth") <= width
        assert Axe().run(page).response["violations"] == []
        page.get_by_role("tab").first.press("ArrowRight")
        page.get_by_role("img", name="the plane of the ring: G has points in").wait_for()
    for button in ("numbers-d", "ring-d", "ring-g"):
        page.locator(f"#{button}").click()
    page.get_by_text("ψ 0.85").wait_for()  # 1 - 0.2 · sigmoid(1)
    page.get_by_text("1 iterations: G has").wait_for()
