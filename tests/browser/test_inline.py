"""Sliders in a cell's output, wherever a notebook is shown: they need no kernel, and show what PyTorch computes."""

import html
import json
import re
import subprocess
import sys

import numpy as np
import pytest
import torch
from axe_playwright_python.sync_playwright import Axe

from gan_lib import data, latent, playground, recipes
from tests.browser.lab import KERNEL, open_and_run, until, write
from tests.browser.test_playground import CANVAS, gap

NAMES = ["digit", *(f"z[{i}]" for i in range(4)), "length |z|"]
CELL = "from gan_lib import playground, recipes\nplayground.inline(recipes.pretrained('mlp'))"
FRAME = "iframe[title='A generator with sliders']"
POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; child-src data:"


@pytest.fixture(scope="module")
def outputs():
    """{name of a pretrained generator: HTML of its sliders}, with few directions."""
    samplers = {name: recipes.pretrained(name) for name in ("mlp", "dcgan", "cgan")}
    return {name: playground.inline(sampler, latent.coordinates(sampler, 4)).data for name, sampler in samplers.items()}


@pytest.fixture
def show(new_page):
    """`show(html, **context)` opens HTML as a page."""

    def open_page(content, width=1280, **settings):
        page = new_page(viewport={"width": width, "height": 800}, **settings)
        page.set_content(f"<!doctype html>{content}")  # a <meta> in front is in its head
        return page

    return open_page


def sandbox(content):
    return f'<iframe sandbox="allow-scripts" style="width: 100%; height: 99%" srcdoc="{html.escape(content)}"></iframe>'


def check(frame):
    """Check that a key moves the first slider and that the image becomes PyTorch's, within the error of 8 bits."""
    stage, sliders = frame.locator("#stage"), frame.get_by_role("slider")
    before = stage.evaluate(CANVAS)
    sliders.first.press("PageUp")
    until(lambda: stage.evaluate(CANVAS) != before)
    z, found = stage.evaluate("() => [[...playground.z], playground.generator.directions]")
    directions = [latent.Direction(each["name"], torch.tensor(each["vector"]), 0.0) for each in found]
    *strengths, norm = map(float, sliders.evaluate_all("all => all.map(slider => slider.value)"))
    expected = latent.render(recipes.pretrained("mlp"), torch.tensor(z), directions, strengths, norm).flatten().numpy()
    error = np.abs(np.array(stage.evaluate(CANVAS)) - expected.astype(int))
    assert strengths[0] > 0.5 and error.mean() < 1 and error.max() <= 30 and gap(before, expected) > 60


def reopen(chromium, lab, path):
    """A notebook of the lab's folder, with its stored outputs."""
    page = chromium.new_page(viewport={"width": 1000, "height": 700})
    page.goto(lab.address(path))
    page.locator(".jp-OutputArea-output img").wait_for(state="attached")
    return page


def test_in_jupyterlab_and_in_its_export(chromium, lab):
    assert chromium.new_page().goto(f"{lab.url}/api/contents").status == 403  # nobody gets in without the token
    path = write(lab, "sliders.ipynb", CELL)
    page = open_and_run(chromium, lab, path)
    check(page.frame_locator(FRAME))
    page.evaluate("() => jupyterapp.shell.currentWidget.sessionContext.shutdown()")
    page.wait_for_function(f"() => !{KERNEL}")
    check(page.frame_locator(FRAME))
    page.evaluate("() => jupyterapp.commands.execute('docmanager:save')")
    assert path.stat().st_size <= 420_000
    check(reopen(chromium, lab, path).frame_locator(FRAME))

    other = lab.folder / "from_elsewhere.ipynb"  # nobody has signed it
    other.write_text(path.read_text().replace('"execution_count": 1', '"execution_count": 2'))
    page = reopen(chromium, lab, other)
    output = page.locator(".jp-OutputArea-output")
    assert output.locator("iframe, script").count() == 0
    assert "trust the notebook to move them" in output.inner_text()
    assert output.get_by_role("img", name="ten samples").evaluate("image => image.naturalWidth") == 152
    page.evaluate("() => {jupyterapp.commands.execute('notebook:trust')}")
    page.get_by_role("button", name="Trust").click()
    check(page.frame_locator(FRAME))

    subprocess.run([sys.executable, "-m", "nbconvert", "--to", "html", other], check=True, capture_output=True)
    page = chromium.new_page()
    page.route("http*://**", lambda route: route.abort())  # its template asks for scripts from elsewhere
    page.goto(other.with_suffix(".html").as_uri())
    check(page.frame_locator(FRAME))


def test_in_frames_of_another_origin_and_below_a_policy(show, outputs):
    """Colab and Kaggle put an output into a sandboxed frame; VS Code may put it below this Content-Security-Policy."""
    page = show(sandbox(sandbox(outputs["mlp"])))
    check(page.frame_locator("iframe").frame_locator("iframe").frame_locator("iframe"))
    check(show(f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">{outputs["mlp"]}').frame_locator(FRAME))


def test_without_scripts_the_still_picture_shows_through(show, outputs):
    contents = outputs["mlp"], re.sub("<iframe.*</iframe>", "", outputs["mlp"], flags=re.DOTALL), ""
    frame, picture, nothing = (show(content, java_script_enabled=False).screenshot() for content in contents)
    assert frame == picture != nothing


@pytest.mark.parametrize(("name", "largest"), [("mlp", 30), ("dcgan", 50)])
def test_eight_bits_are_nearly_exact(name, largest, show, outputs):
    sampler = recipes.pretrained(name)
    z, program = sampler.noise(1000), "(_, zs) => JSON.stringify(zs.map(z => [...playground.render(z, {})]))"
    found = json.loads(show(outputs[name]).frame_locator(FRAME).locator("main").evaluate(program, z.tolist()))
    error = np.abs(np.array(found) - data.to_uint8(sampler(z)).flatten(1).int().numpy())
    assert 0 < error.mean() <= 0.5 and error.max() <= largest


def test_keys_and_what_a_screen_reader_says(show, outputs):
    sampler, frame = recipes.pretrained("cgan"), show(outputs["cgan"]).frame_locator(FRAME)
    frame.get_by_role("slider", name="digit").press("End")
    frame.get_by_role("slider", name="z[1]").press("ArrowLeft")
    frame.get_by_role("button", name="new z").press("Enter")
    words = "the image of seed 1, digit a 9, z[0] 0.0, z[1] −0.1, z[2] 0.0, z[3] 0.0, length |z| 7.2"
    frame.get_by_role("img", name=words).wait_for()
    pixels, z = frame.locator("#stage").evaluate(CANVAS), frame.locator("main").evaluate("() => [...playground.z]")
    expected = latent.render(sampler.of(9), torch.tensor(z), latent.coordinates(sampler, 2), [0, -0.1], 7.2)
    assert gap(pixels, expected.flatten().numpy()) <= 50
    frame.get_by_role("button", name="reset").press("Space")
    frame.get_by_role("img", name="the image of seed 1, digit a 0, z[0] 0.0, z[1] 0.0").wait_for()
    assert re.findall('slider "(.*)":', frame.locator("main").aria_snapshot()) == NAMES
    alone = show(playground.inline(sampler, []).data).frame_locator(FRAME)
    until(lambda: alone.locator("label").all_inner_texts() == [NAMES[0], NAMES[-1]])


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_it_fits_and_axe_finds_nothing(width, scheme, show, outputs):
    for name, output in outputs.items():
        page = show(sandbox(output), width, color_scheme=scheme)
        main = page.frame_locator("iframe").frame_locator("iframe").locator(".ready main")
        room = main.evaluate("() => ['Width', 'Height'].map(side => document.documentElement['scroll' + side])")
        assert room == main.evaluate("() => [innerWidth, innerHeight]"), name
        assert Axe().run(page.frames[-1]).response["violations"] == []


def test_light_and_dark_follow_the_text_around_the_frame(show, outputs):
    page = show(outputs["mlp"])
    root = page.frame_locator(FRAME).locator("html")
    for colour, scheme in (("rgb(0, 0, 0)", "light"), ("rgb(240, 240, 240)", "dark")):
        page.evaluate("colour => document.body.style.color = colour", colour)
        until(lambda scheme=scheme: root.evaluate("html => html.style.colorScheme") == scheme)
    assert root.evaluate("html => getComputedStyle(html).backgroundColor") == "rgba(0, 0, 0, 0)"
    assert not page.get_by_role("img", name="ten samples").is_visible()


def test_the_whole_playground_opens_in_a_frame(show, tmp_path):
    """Where it has no address for its state."""
    playground.write(tmp_path / "x.html", ["mlp"])
    page = show(f'<iframe srcdoc="{html.escape((tmp_path / "x.html").read_text())}"></iframe>')
    page.frame_locator("iframe").get_by_text("numbers in, 784 pixels out").wait_for()
