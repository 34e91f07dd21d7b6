"""JupyterLab in a real browser: the dashboard's buttons and sliders act while the game is played."""

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from tests.browser.lab import ask, open_and_run
from tools.lessons import NOTEBOOK_METADATA

SOURCE = """
import torch
from gan_lib import widgets
from gan_lib.recipes import Recipe

torch.set_num_threads(1)
game = Recipe("tiny", "mlp", latent_dim=5, width=6, batch_size=8).game()
images = torch.randint(0, 256, (48, 28, 28), dtype=torch.uint8)
show = widgets.live(game, images)
display(show)
"""


@pytest.fixture(scope="module")
def page(chromium, lab):
    """A notebook with the dashboard of a tiny game, in a window so narrow that its output has 700 pixels or less."""
    path = lab.folder / "dashboard.ipynb"
    nbformat.write(new_notebook(cells=[new_code_cell(SOURCE)], metadata=NOTEBOOK_METADATA), path)
    page = open_and_run(chromium, lab, path)
    page.get_by_role("button", name="start", exact=True).wait_for()
    return page


def press(page, name):
    page.get_by_role("button", name=name, exact=True).click()


def line(page):
    """What the status line says: it stands below the sliders."""
    return page.locator(".widget-html-content").first.inner_text()


def wait_for_line(page, pattern, but=""):
    """Until the line matches a JavaScript pattern, and is not `but`."""
    page.wait_for_function(
        "([pattern, but]) => {const line = document.querySelector('.widget-html-content').innerText;"
        "return RegExp(pattern).test(line) && line !== but}",
        arg=[pattern, but],
        timeout=120_000,
    )
    return line(page)


def asked(page, expression):
    return ask(page, f"import json; print(json.dumps({expression}))")


def test_start_plays_and_pause_stops(page):
    press(page, "start")
    first = wait_for_line(page, r"^step \d+ ·")
    wait_for_line(page, r"^step \d+ ·", but=first)
    press(page, "pause")
    stood = wait_for_line(page, "^paused at step")
    step = asked(page, "game.step")
    page.wait_for_timeout(300)
    assert line(page) == stood == f"paused at step {step:,}"
    assert asked(page, "game.step") == step > 0


def test_a_cell_can_look_at_the_game_while_it_plays(page):
    press(page, "start")
    before = asked(page, "game.step")
    wait_for_line(page, r"^step \d+ ·", but=line(page))
    assert asked(page, "game.step") > before
    press(page, "pause")
    wait_for_line(page, "^paused at step")


@pytest.mark.parametrize("player", ["D", "G"])
def test_one_step_shows_what_d_says_before_and_after(player, page):
    step = asked(page, "game.step")
    press(page, f"{player}: 1 step")
    wait_for_line(page, f"· {player} made one step: d_loss .* → .* · g_loss .* → ")
    assert asked(page, "game.step") == step + (player == "G")
    told = page.locator("svg[aria-label^='what D says']").get_attribute("aria-label")
    assert told.count("→") == 2


@pytest.mark.parametrize("player", ["D", "G"])
def test_a_rate_moved_by_keyboard_acts_while_the_game_plays(player, page):
    press(page, "start")
    wait_for_line(page, r"^step \d+ ·")
    rate = f"game.{player.lower()}_optimizer.param_groups[0]['lr']"
    before = asked(page, rate)
    slider = page.locator(".widget-slider", has=page.get_by_text(f"rate of {player}")).locator(".noUi-handle")
    slider.focus()
    page.keyboard.press("ArrowRight")
    for _ in range(600):
        if asked(page, rate) != before:
            break
        page.wait_for_timeout(100)
    assert asked(page, rate) == pytest.approx(
        before * 10**0.05, rel=0.06
    )  # the first move also snaps to a multiple of 0.05
    assert asked(page, "show.task is not None")
    press(page, "pause")
    wait_for_line(page, "^paused at step")


def test_it_fits_into_700_pixels(page):
    """The window is made narrower until the output has 700 pixels; all that is seen stays inside."""
    window = page.viewport_size
    width = "() => document.querySelector('.jp-OutputArea-output').clientWidth"
    page.set_viewport_size({**window, "width": window["width"] - page.evaluate(width) + 700})
    page.wait_for_function(f"({width})() <= 700")
    assert page.evaluate(width) == pytest.approx(700, abs=20)
    press(page, "G: 1 step")
    wait_for_line(page, "G made one step")
    right = page.evaluate(
        "() => {const output = document.querySelector('.jp-OutputArea-output');"
        "const seen = [...output.querySelectorAll('svg, img, button, .widget-slider')];"
        "return Math.max(...seen.map(e => e.getBoundingClientRect().right)) - output.getBoundingClientRect().left}"
    )
    assert 400 < right <= 700
    page.set_viewport_size(window)


def test_every_picture_says_what_it_shows(page):
    svgs = page.locator(".jp-OutputArea-output svg[role=img]")
    assert svgs.count() == 3  # D's opinion, the curves and the classes
    assert all(svgs.nth(i).get_attribute("aria-label") for i in range(svgs.count()))
    assert page.locator(".jp-OutputArea-output img").get_attribute("alt").startswith("samples at step")
