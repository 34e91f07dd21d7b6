"""The course site as a visitor has it: as files, and in a sub-folder of a server."""

import functools
import html
import http.server
import re
import subprocess
import sys
import threading
from urllib.parse import unquote, urldefrag

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests import ROOT
from tests.browser.lab import until
from tests.browser.test_inline import FRAME
from tests.browser.test_playground import CANVAS

LESSON = "notebooks/05_steer_the_latent_space.html"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of the site; a warning of Sphinx is an error."""
    folder = tmp_path_factory.mktemp("server") / "course" / "site"
    command = [sys.executable, "-m", "tools.make_site", "--out", folder]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert built.returncode == 0, built.stdout + built.stderr
    return folder


@pytest.fixture(scope="module")
def addresses(site):
    """{"file": …, "http": …}: the address of the folder."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=site.parent.parent)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield {"file": site.as_uri(), "http": f"http://127.0.0.1:{server.server_port}/course/site"}
    server.shutdown()
    server.server_close()


@pytest.fixture
def visit(new_page, addresses):
    """`visit(page, way)` opens a page of the site."""

    def open_page(name, way, width=1280, theme="light"):
        page = new_page(addresses[way], viewport={"width": width, "height": 844}, color_scheme=theme)
        page.goto(f"{addresses[way]}/{name}", wait_until="load")
        return page

    return open_page


def read(path):
    """The ids of an HTML page, and its links and files."""
    text = re.sub(r"(<script\b[^>]*>).*?</script>", r"\1", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    values = lambda names: {html.unescape(each) for each in re.findall(rf'\b(?:{names})="([^"]+)"', text)}
    return values("id"), values("href|src")


def test_every_link_and_anchor_leads_somewhere_and_the_site_is_small(site):
    pages, missing = {path: read(path) for path in site.rglob("*.html")}, []
    assert len(pages) > 25
    for path, (_, targets) in pages.items():
        for target in targets:
            name, anchor = urldefrag(target)
            if name.startswith(("http:", "https:", "data:", "mailto:", "#")):
                continue
            file = (path.parent / unquote(name.split("?")[0])).resolve() if name else path
            if not file.exists() or (anchor and file in pages and unquote(anchor) not in pages[file][0]):
                missing.append((path.name, target))
    assert missing == []
    assert sum(path.stat().st_size for path in site.rglob("*") if path.is_file()) < 30_000_000


@pytest.mark.parametrize(("width", "theme"), [(1280, "light"), (390, "dark")])
@pytest.mark.parametrize("name", ["index.html", LESSON, "results.html", "glossary.html", "api.html", "teaching.html"])
def test_everything_fits_and_axe_finds_nothing(visit, name, width, theme):
    page = visit(name, "http", width, theme)  # axe reads style sheets, which a page from a file can't
    assert page.evaluate("() => document.documentElement.scrollWidth") <= width
    assert Axe().run(page).response["violations"] == []


@pytest.mark.parametrize("way", ["file", "http"])
def test_sliders_formulas_folds_and_playground_are_alive(visit, way):
    for name in ("index.html", LESSON):
        page = visit(name, way)
        frame = page.frame_locator(FRAME).first
        stage = frame.locator("#stage")
        before = stage.evaluate(CANVAS)
        frame.get_by_role("slider").first.press("PageUp")
        until(lambda stage=stage, before=before: stage.evaluate(CANVAS) != before)
    page.locator("mjx-container").first.wait_for()
    hint = page.locator("details").first
    assert not hint.locator("p").first.is_visible()
    hint.locator("summary").click()
    assert hint.locator("p").first.is_visible()
    page.locator("a[href*='term-latent-direction']").first.click()
    assert page.url.endswith("glossary.html#term-latent-direction")
    assert visit("playground.html", way).get_by_role("slider").count() >= 5
    visit("train.html", way).get_by_text("Ready to start: 0 iterations").wait_for()


def test_a_search_finds_the_lesson(visit):
    page = visit("search.html?q=collapse", "http")
    page.locator("#search-results a", has_text="06 · Play it small").wait_for()
