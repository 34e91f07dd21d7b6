"""JupyterLab opens a lesson in a real browser; a slider moves, and the picture is what the pure function gives."""

import base64
import io
import statistics

import nbformat
import numpy as np
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from PIL import Image

from tests.browser.lab import ask, open_and_run
from tests.notebooks import contract, execution
from tools.lessons import NOTEBOOK_METADATA

LESSON = next((lesson.path for lesson in contract.all_lessons() if lesson.number == "05"), None)

# Puts the lesson's explorers, in the order of the page, into the kernel's name _explorers.
FIND = """
from ipywidgets.widgets.widget import _instances
from gan_lib import latent, widgets
_explorers = [w for w in _instances.values() if isinstance(w, widgets.explore) and "digit of seed" in w.image.value]
"""
# What the pure function gives for the values of explorer {i}'s sliders, from its noise number {seed}.
STATE = (
    FIND
    + """
import json
_e = _explorers[{i}]
_strengths = [slider.value for slider in _e.sliders]
_picture = latent.render(_e.sampler, _e.sampler.noise(1, {seed})[0], _e.directions, _strengths, _e.norm.value)
print(json.dumps([_strengths, _e.norm.value, _e.sampler.latent_dim, _picture.tolist()]))
"""
)
# Takes the time from each key press to the next change of the picture, in milliseconds.
CLOCK = """picture => {
    window.latencies = []
    let pressed = null
    document.addEventListener('keydown', () => {pressed = performance.now()}, true)
    new MutationObserver(() => {
        if (pressed !== null) window.latencies.push(performance.now() - pressed)
        pressed = null
    }).observe(picture.closest('.widget-html-content'), {subtree: true, childList: true})
}"""


@pytest.fixture(scope="module")
def page(chromium, lab):
    """The lesson with its smoke parameters, all its cells run."""
    if LESSON is None:
        path = lab.folder / "notebooks" / "explore.ipynb"
        path.parent.mkdir()
        source = "from gan_lib import models, widgets\nwidgets.explore(models.Sampler(models.dcgan_generator(), 64))"
        nbformat.write(new_notebook(cells=[new_code_cell(source)], metadata=NOTEBOOK_METADATA), path)
    else:
        path = execution.prepare(LESSON, lab.folder)
    return open_and_run(chromium, lab, path)


@pytest.fixture
def explorers(page):
    """A handle for each explorer on the page."""
    shown = page.locator(
        ".widget-hbox", has=page.locator("img[alt*='digit of seed']")
    )  # those after it start at a given z
    assert shown.count() > 0
    return [Explorer(page, shown.nth(i), i) for i in range(shown.count())]


class Explorer:
    """An explorer as its reader sees it."""

    def __init__(self, page, box, i):
        self.page, self.box, self.i = page, box, i
        self.img = box.locator("img")
        self.status = box.locator(".widget-html-content").last

    def source(self):
        return self.img.get_attribute("src")

    def picture(self):
        """The pixels on the screen, [28, 28]."""
        return np.array(Image.open(io.BytesIO(base64.b64decode(self.source().split(",")[1]))))

    def after(self, act):
        """Act, and wait for another picture; no error may show."""
        before = self.source()
        act()
        self.page.wait_for_function(
            "([box, before]) => box.querySelector('img').src !== before",
            arg=[self.box.element_handle(), before],
            timeout=60_000,
        )
        assert "Error" not in self.status.inner_text()

    def press(self, slider, key):
        """Press a key on a slider."""
        self.box.locator(".noUi-handle").nth(slider).focus()
        self.after(lambda: self.page.keyboard.press(key))


def test_picture_on_the_screen_is_what_the_pure_function_gives(explorers):
    for explorer in explorers:
        for slider, key in ((None, None), (0, "ArrowRight"), (1, "ArrowLeft")):
            if key:
                explorer.press(slider, key)
            strengths, norm, latent_dim, expected = ask(explorer.page, STATE.format(i=explorer.i, seed=0))
            assert (explorer.picture() == np.array(expected)).all()
            assert norm == pytest.approx(latent_dim**0.5)
        assert strengths == pytest.approx([0.1, -0.1, *[0] * (len(strengths) - 2)])
        assert explorer.status.inner_text() == "seed 0"


def test_length_of_z_is_steered(explorers):
    for explorer in explorers:
        explorer.press(-2, "ArrowRight")
        _, norm, latent_dim, expected = ask(explorer.page, STATE.format(i=explorer.i, seed=0))
        assert norm == pytest.approx(latent_dim**0.5 + 0.1, abs=0.06)
        assert (explorer.picture() == np.array(expected)).all()


def test_new_z_makes_another_digit(explorers):
    for explorer in explorers:
        explorer.after(explorer.box.get_by_role("button", name="new z").click)
        *_, expected = ask(explorer.page, STATE.format(i=explorer.i, seed=1))
        assert (explorer.picture() == np.array(expected)).all()
        assert explorer.status.inner_text() == "seed 1"


def test_sliders_go_back_to_zero(explorers):
    for explorer in explorers:
        explorer.press(0, "PageUp")
        explorer.after(explorer.box.get_by_role("button", name="sliders to 0").click)
        strengths, *_, expected = ask(explorer.page, STATE.format(i=explorer.i, seed=1))
        assert strengths == [0] * len(strengths)
        assert (explorer.picture() == np.array(expected)).all()


def test_each_key_press_brings_a_new_picture(page, explorers, capsys):
    explorer = explorers[0]
    page.evaluate(CLOCK, explorer.img.element_handle())
    for key in 20 * ["ArrowRight", "ArrowLeft"]:
        explorer.press(0, key)
    latencies = sorted(page.evaluate("window.latencies"))
    assert len(latencies) == 40
    middle, slow = statistics.median(latencies), latencies[37]
    with capsys.disabled():
        print(
            f"\nfrom key press to new picture, of {len(latencies)}: median {middle:.0f} ms, 95th percentile {slow:.0f} ms"
        )


def test_an_error_shows_in_the_status_line(page, explorers):
    explorer = explorers[-1]
    ask(explorer.page, FIND + f"_explorers[{explorer.i}].sampler = None\nprint(0)")
    explorer.box.locator(".noUi-handle").first.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function(
        "box => box.innerText.includes('AttributeError')", arg=explorer.box.element_handle(), timeout=60_000
    )
