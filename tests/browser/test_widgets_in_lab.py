"""All widgets of `widgets` in a real JupyterLab: held keys, files, words, narrow columns."""

import re

import nbformat
import numpy as np
import pytest
import torch
from nbformat.v4 import new_code_cell, new_notebook
from PIL import Image

from gan_lib import data, latent, pictures, recipes
from tests.browser.lab import ask, open_and_run
from tests.widgets.test_html import decode_all
from tools.lessons import NOTEBOOK_METADATA

CELLS = [
    """import json, time
import torch
from IPython.display import display
from gan_lib import data, latent, models, recipes, widgets
digits = data.load(train=False).images[:500]
dcgan, mlp = recipes.pretrained("dcgan"), recipes.pretrained("mlp")""",
    "explorer = widgets.explore(dcgan, seed=3, neighbours=digits)\ndisplay(explorer)",
    "rewinder = widgets.rewind({0: mlp, 500: dcgan}, n=12)\ndisplay(rewinder)",
    "inverter = widgets.invert(mlp, digits)\ndisplay(inverter)",
]
SLOW = """
class Slow(models.Sampler):
    def __init__(self):
        self.__dict__ |= vars(dcgan)
    def __call__(self, z):
        time.sleep(0.05)
        return super().__call__(z)
explorer.sampler = Slow()
print(0)"""
STATE = "print(json.dumps([explorer.sliders[0].value, explorer.walk.value, explorer.current_z.tolist()]))"
TOO_WIDE = """(output, width) => {
    output.style.width = `${width}px`
    const scrolls = part => ['auto', 'scroll'].includes(getComputedStyle(part).overflowX)
    return [...output.querySelectorAll('*')].filter(part => scrolls(part) && part.scrollWidth > part.clientWidth + 1)
        .map(part => `${part.className}: ${part.scrollWidth} in ${part.clientWidth}`)
}"""


@pytest.fixture(scope="module")
def page(chromium, lab):
    path = lab.folder / "all.ipynb"
    nbformat.write(new_notebook(cells=[new_code_cell(cell) for cell in CELLS], metadata=NOTEBOOK_METADATA), path)
    return open_and_run(chromium, lab, path)


@pytest.fixture
def outputs(page):
    """What stands below the cells, by the name of the widget."""
    found = page.locator(
        ".jp-OutputArea-output .widget-hbox >> xpath=ancestor::*[contains(@class, 'jp-OutputArea-child')]"
    )
    assert found.count() == 3
    return {name: found.nth(i) for i, name in enumerate(("explorer", "rewinder", "inverter"))}


def images_of(box):
    return decode_all(box.inner_html())


def until(box, text):
    box.get_by_text(text, exact=True).wait_for(timeout=120_000)


def rendered(sampler, z):
    return latent.render(sampler, z).numpy()


def wait_for_state(page, condition):
    """The `STATE` of the explorer, once the condition holds for it."""
    for _ in range(600):
        if condition(*(state := ask(page, STATE))):
            return state
        page.wait_for_timeout(100)
    raise AssertionError(f"it stays at {state}")


def test_a_held_key_leaves_no_stale_picture(page, outputs):
    box = outputs["explorer"]
    ask(page, SLOW)
    for slider, presses in ((0, 35), (-1, 60)):
        box.locator(".noUi-handle").nth(slider).focus()
        for _ in range(presses):
            page.keyboard.down("ArrowRight")
        page.keyboard.up("ArrowRight")
    strength, walk, z = wait_for_state(page, lambda strength, walk, _: walk == 60 and strength > 3.4)
    assert (strength, walk) == (pytest.approx(3.5), 60)
    (picture,) = images_of(box)
    assert (picture == rendered(recipes.pretrained("dcgan"), torch.tensor(z))).all()
    ask(page, "explorer.sampler = dcgan\nprint(0)")


def test_a_walk_plays_and_stops(page, outputs):
    box = outputs["explorer"]
    play = box.locator(".widget-play button").first
    walk = box.get_by_role("slider").last
    walk.press("Home")
    play.click()
    wait_for_state(page, lambda _, position, z: position > 3)
    play.click()
    page.wait_for_timeout(500)
    _, position, z = ask(page, STATE)
    page.wait_for_timeout(500)
    assert ask(page, STATE)[1] == position
    assert float(walk.get_attribute("aria-valuenow")) == position
    (picture,) = images_of(box)
    assert (picture == rendered(recipes.pretrained("dcgan"), torch.tensor(z))).all()


def test_a_seed_is_typed(page, outputs):
    box = outputs["explorer"]
    box.get_by_role("spinbutton", name="seed").fill("77")
    page.keyboard.press("Enter")
    until(box, "seed 77")
    _, walk, z = ask(page, STATE)
    assert walk == 0
    assert box.get_by_role("slider").last.get_attribute("aria-valuenow") == "0.0"
    (picture,) = images_of(box)
    assert (picture == rendered(recipes.pretrained("dcgan"), torch.tensor(z))).all()


def test_buttons_say_what_they_did_until_the_picture_changes(page, outputs, lab):
    box = outputs["explorer"]
    box.get_by_role("button", name="z as text").click()
    box.get_by_text("torch.tensor([").click()
    marked = page.evaluate("() => getSelection().toString()")
    z = ask(page, f"print(json.dumps([{marked}.equal(explorer.current_z), len(explorer.current_z)]))")
    assert z == [True, 64]
    box.get_by_role("button", name="nearest").click()
    box.get_by_text("nearest at distances").wait_for()
    assert len(images_of(box)) == 2
    box.get_by_role("button", name="save").click()
    until(box, "saved as runs/digit_1.png and runs/digit_1.gif")
    (picture,) = images_of(box)
    assert (pictures.load_picture(lab.folder / "runs" / "digit_1.png")[::10, ::10] == picture).all()
    box.get_by_role("slider").first.press("ArrowLeft")
    until(box, "seed 77")


def test_training_is_rewound(outputs):
    box = outputs["rewinder"]
    box.get_by_role("slider").press("ArrowLeft")
    until(box, "12 samples of seed 0 at step 0")
    (picture,) = images_of(box)
    assert (picture == pictures.tile(recipes.pretrained("mlp").sample(12), 4)).all()


def test_a_file_is_found_and_steered(page, outputs, tmp_path):
    digit = data.load(train=False).images[1]
    Image.fromarray(255 - digit.numpy().repeat(10, 0).repeat(10, 1)).save(tmp_path / "two.png")
    box = outputs["inverter"]
    with page.expect_file_chooser() as chooser:
        box.get_by_role("button", name="Upload").click()
    chooser.value.set_files(tmp_path / "two.png")
    until(box, "the z found for the picture in the file")
    for _ in range(600):  # the sliders are set one after the other, each with its picture
        seen, found, apart, steered = images_of(box)
        if (steered == found).all():
            break
        page.wait_for_timeout(100)
    assert (seen == data.to_uint8(pictures.read_picture(tmp_path / "two.png")).numpy()).all()
    assert (apart == abs(seen.astype(int) - found)).all()
    assert (steered == found).all()
    apart = ask(page, "print((inverter.explorer.current_z - inverter.explorer.given[0][0]).abs().max().item())")
    assert apart < 1e-5  # the browser has not rounded |z|
    assert np.square((seen - found.astype(int)) / 127.5).mean() < 0.2
    box.get_by_role("spinbutton", name="image").fill("4")
    page.keyboard.press("Enter")
    until(box, "the z found for image 4")
    assert (images_of(box)[0] == data.load(train=False).images[4].numpy()).all()


def test_every_control_has_words(outputs):
    """A screen reader finds a slider's name in the text before it, and a walk's beside Play: ipywidgets ties neither to them."""
    names = [f"z[{i}]" for i in range(8)] + ["|z|", "walk"]
    sliders = {"explorer": names, "rewinder": ["step"], "inverter": names}
    for name, box in outputs.items():
        texts = re.findall(r"- text: (.*)\n *- slider", box.aria_snapshot())
        assert [
            label for text, label in zip(texts, sliders[name], strict=True) if not text.strip("'\"").endswith(label)
        ] == []
        for handle in box.get_by_role("slider").all():
            low, now, high = (float(handle.get_attribute(f"aria-value{what}")) for what in ("min", "now", "max"))
            assert low <= now <= high
            assert float(handle.get_attribute("aria-valuetext")) == pytest.approx(now, abs=0.05)
        assert box.get_by_role("spinbutton", name="seed").count() == 1
        assert all(
            button.inner_text().strip() for button in box.locator("button.widget-button, button.widget-upload").all()
        )
        assert all(len(image.get_attribute("alt")) > 2 for image in box.locator("img").all())


@pytest.mark.parametrize("width", [1100, 700, 480])
def test_nothing_is_too_wide(outputs, width):
    for box in outputs.values():
        assert box.evaluate(TOO_WIDE, width) == []
