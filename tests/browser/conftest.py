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


@pytest.fixture(scope="session")
def lab(tmp_path_factory):
    """A running JupyterLab."""
    with jupyter.start(tmp_path_factory.mktemp("lab")) as running:
        yield running
