"""The browser and the JupyterLab that the browser tests share."""

import shutil

import pytest

from tests.browser import lab as jupyter

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip


def pytest_collection_modifyitems(items):
    for item in items:
        if "browser" in item.path.parts:
            item.add_marker("browser")


@pytest.fixture(scope="module")  # its event loop would be in the way of the other tests' own
def chromium():
    """A Chromium that Playwright drives."""
    if BROWSER is None:
        pytest.skip("no Chromium or Chrome here; install one, for example with `apt-get install chromium` on Debian")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=QUIET)
        yield browser
        browser.close()


@pytest.fixture
def new_page(chromium):
    """`new_page(*own, **context)`: a page. No error may occur in it, and it may ask for nothing but addresses below `own`."""
    wrong = []

    def make(*own, **settings):
        page = chromium.new_page(**{"viewport": {"width": 1280, "height": 900}} | settings)
        allowed = (*own, "data:", "blob:", "about:")
        page.on("request", lambda request: request.url.startswith(allowed) or wrong.append(request.url))
        page.on("requestfailed", lambda request: wrong.append(f"failed: {request.url}"))
        page.on("console", lambda message: message.type != "error" or wrong.append(message.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        return page

    yield make
    [context.close() for context in chromium.contexts]
    assert wrong == []


@pytest.fixture(scope="session")
def lab(tmp_path_factory):
    """A running JupyterLab."""
    with jupyter.start(tmp_path_factory.mktemp("lab")) as running:
        yield running
