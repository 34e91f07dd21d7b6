"""All widgets in a real JupyterLab: keys, buttons, files, accessible names, narrow columns, and training while cells run."""

import re

import numpy as np
import pytest
import torch
from PIL import Image

from gan_lib import data, latent, recipes
from gan_lib.studies import inversion
from tests.browser.lab import evaluate, open_and_run, until, write
from tests.widgets.test_html import decode, decode_all

SET_UP = """import time
import torch
from gan_lib import data, models, recipes, widgets
torch.set_num_threads(1)
digits = data.load(train=False).images[:500]
dcgan, mlp = recipes.pretrained("dcgan"), recipes.pretrained("mlp")
game = recipes.Recipe("tiny", "mlp", latent_dim=5, width=6, batch_size=8).game()

class Slow(models.Sampler):
    def __init__(self):
        self.__dict__ |= vars(dcgan)
    def __call__(self, z):
        time.sleep(0.05)
        return super().__call__(z)"""
WIDGETS = {
    "explorer": "widgets.explore(dcgan, seed=3)",
    "rewinder": "widgets.rewind({0: mlp, 500: dcgan}, n=12)",
    "inverter": "widgets.invert(mlp, digits)",
    "dashboard": "widgets.live(game, digits[:48])",
}
STATE = "[[slider.value for slider in explorer.sliders], explorer.norm.value, explorer.walk.value, explorer.point().tolist()]"
TOO_WIDE = """(output, width) => {
    output.style.width = `${width}px`
    const scrolls = part => ['auto', 'scroll'].includes(getComputedStyle(part).overflowX)
    return [output, ...output.querySelectorAll('*')]
        .filter(part => scrolls(part) && part.scrollWidth > part.clientWidth + 1)
        .map(part => `${part.className}: ${part.scrollWidth} in ${part.clientWidth}`)
}"""


@pytest.fixture(scope="module")
def page(chromium, lab):
    cells = [f"{name} = {code}\ndisplay({name})" for name, code in WIDGETS.items()]
    return open_and_run(chromium, lab, write(lab, "all.ipynb", SET_UP, *cells))


@pytest.fixture
def boxes(page):
    """{name: output} of the widgets."""
    return dict(zip(WIDGETS, page.locator(".jp-OutputArea-child:has(.widget-box)").all(), strict=True))


@pytest.fixture
def explorer(boxes):
    return boxes["explorer"]


def images_of(box):
    return decode_all(box.inner_html())


def click(box, name):
    box.get_by_role("button", name=name, exact=True).click()


def wait_for_text(box, text):
    box.get_by_text(text, exact=True).wait_for(timeout=120_000)


def press(box, slider, key):
    """Press a key on a slider and wait for another picture; no error may show."""
    before = images_of(box)[0]
    box.locator(".noUi-handle").nth(slider).focus()
    box.page.keyboard.press(key)
    until(lambda: (images_of(box)[0] != before).any())
    assert "Error" not in box.inner_text()


def check_explorer(page, box):
    """Check that the picture is that of the kernel's z; return the values of the sliders, |z| and the walk."""
    *values, z = evaluate(page, STATE)
    assert (decode(box.inner_html()) == latent.render(recipes.pretrained("dcgan"), torch.tensor(z)).numpy()).all()
    return values


def test_keys_and_buttons_move_the_point_and_its_picture(page, explorer):
    assert check_explorer(page, explorer) == [[0] * 8, 8, 0]
    for slider, key in ((0, "ArrowRight"), (1, "ArrowLeft"), (-2, "ArrowRight")):
        press(explorer, slider, key)
        values, norm, _ = check_explorer(page, explorer)
    assert values == pytest.approx([0.1, -0.1, *[0] * 6])
    assert norm == pytest.approx(8.1, abs=0.06)
    click(explorer, "new z")
    wait_for_text(explorer, "seed 4")
    check_explorer(page, explorer)
    press(explorer, 0, "PageUp")
    click(explorer, "sliders to 0")
    until(lambda: evaluate(page, STATE)[0] == [0] * 8)
    check_explorer(page, explorer)


def test_a_held_key_leaves_no_stale_picture(page, explorer):
    evaluate(page, "None", "explorer.sampler = Slow()")
    for slider, presses in ((0, 35), (-1, 60)):
        explorer.locator(".noUi-handle").nth(slider).focus()
        for _ in range(presses):
            page.keyboard.down("ArrowRight")
        page.keyboard.up("ArrowRight")
    until(lambda: evaluate(page, "explorer.walk.value == 60 and explorer.sliders[0].value > 3.4"))
    values, _, position = check_explorer(page, explorer)
    assert (values[0], position) == (pytest.approx(3.5), 60)
    evaluate(page, "None", "explorer.sampler = dcgan")


def test_a_walk_plays_and_stops(page, explorer):
    play, walk = explorer.locator(".widget-play button").first, explorer.get_by_role("slider").last
    walk.press("Home")
    play.click()
    until(lambda: evaluate(page, "explorer.walk.value") > 3)
    play.click()
    page.wait_for_timeout(500)
    *_, position = check_explorer(page, explorer)
    page.wait_for_timeout(500)
    assert evaluate(page, "explorer.walk.value") == position == float(walk.get_attribute("aria-valuenow"))


def test_z_as_text_is_selected_by_a_click(page, explorer):
    click(explorer, "z as text")
    explorer.get_by_text("torch.tensor([").click()
    selected = page.evaluate("() => getSelection().toString()")
    assert evaluate(page, f"[{selected}.equal(explorer.point()), len(explorer.point())]") == [True, 64]


def test_the_z_of_a_file_is_found(page, boxes, tmp_path):
    inverter, digits = boxes["inverter"], data.load(train=False).images
    Image.fromarray(255 - digits[1].numpy().repeat(10, 0).repeat(10, 1)).save(tmp_path / "two.png")
    with page.expect_file_chooser() as chooser:
        inverter.get_by_role("button", name="Upload").click()
    chooser.value.set_files(tmp_path / "two.png")
    wait_for_text(inverter, "the z found for the picture in the file")
    until(lambda: np.array_equal(*images_of(inverter)[1::2]))  # its sliders move one by one, each with a picture
    target = images_of(inverter)[0]
    assert (target == data.to_uint8(inversion.read_photograph(tmp_path / "two.png")).numpy()).all()
    off = evaluate(page, "(inverter.explorer.point() - inverter.explorer.given[0][0]).abs().max().item()")
    assert off < 1e-5  # the browser has not rounded |z|


def wait_for_line(box, pattern, other_than=""):
    """The status line as soon as it matches a pattern and is another one."""
    line = box.locator(".widget-html-content").first
    return until(lambda: re.search(pattern, now := line.inner_text()) and now != other_than and now)


def test_start_trains_while_cells_run_learning_rates_follow_the_keys_and_pause_stops(page, boxes):
    dashboard = boxes["dashboard"]
    click(dashboard, "start")
    line = wait_for_line(dashboard, r"^step \d+ ·")
    before = evaluate(page, "game.step")
    wait_for_line(dashboard, r"^step \d+ ·", other_than=line)
    assert evaluate(page, "game.step") > before > 0
    for player in "DG":
        rate = f"game.{player.lower()}_optimizer.param_groups[0]['lr']"
        before = evaluate(page, rate)
        slider = dashboard.locator(".widget-slider", has=page.get_by_text(f"rate of {player}"))
        slider.locator(".noUi-handle").press("ArrowRight")
        until(lambda rate=rate, before=before: evaluate(page, rate) != before)
        # one step of the slider is 0.05; the first move also snaps to a multiple of it
        assert evaluate(page, rate) == pytest.approx(before * 10**0.05, rel=0.06)
    assert evaluate(page, "dashboard.task is not None")
    click(dashboard, "pause")
    paused, step = wait_for_line(dashboard, "^paused at step"), evaluate(page, "game.step")
    page.wait_for_timeout(300)
    assert wait_for_line(dashboard, "") == paused == f"paused at step {step:,}"
    assert evaluate(page, "game.step") == step


@pytest.mark.parametrize("name", ["explorer", "rewinder", "inverter"])
def test_every_control_has_a_name_for_screen_readers(boxes, name):
    """A slider's name is the text before it, and a walk's is beside Play: ipywidgets connects neither with the slider."""
    box, labels = boxes[name], ["step"] if name == "rewinder" else [*(f"z[{i}]" for i in range(8)), "|z|", "walk"]
    texts = re.findall(r"- text: (.*)\n *- slider", box.aria_snapshot())
    assert len(texts) == len(labels)
    assert all(text.strip("'\"").endswith(label) for text, label in zip(texts, labels, strict=True))
    for handle in box.get_by_role("slider").all():
        low, now, high = (float(handle.get_attribute(f"aria-value{what}")) for what in ("min", "now", "max"))
        assert low <= now <= high
        assert float(handle.get_attribute("aria-valuetext")) == pytest.approx(now, abs=0.05)
    assert box.get_by_role("spinbutton", name="seed").count() == 1
    buttons = box.locator("button.widget-button, button.widget-upload").all()
    assert all(button.inner_text().strip() for button in buttons)
    assert all(len(image.get_attribute("alt")) > 2 for image in box.locator("img").all())


@pytest.mark.parametrize("width", [1100, 764, 700, 480])
def test_nothing_is_too_wide(boxes, width):
    for name, box in boxes.items():
        if name != "dashboard" or width >= 764:  # it needs 700 pixels beside the 64 of the cell's prompt
            assert box.evaluate(TOO_WIDE, width) == [], name
