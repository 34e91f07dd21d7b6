"""A JupyterLab on 127.0.0.1, and what a browser does with a notebook in it."""

import contextlib
import json
import secrets
import socket
import subprocess
import sys
import time
from types import SimpleNamespace

import nbformat
from nbformat.v4 import new_code_cell, new_notebook

from tests.notebooks.execution import environment
from tools.lessons import NOTEBOOK_METADATA

SETTINGS = {  # by default JupyterLab renders no cells that are off the screen, and asks about news
    "notebook-extension/tracker": {"windowingMode": "none"},
    "apputils-extension/notification": {"checkForUpdates": False, "fetchNews": "false"},
}
KERNEL = "window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel"
RUN_ALL = "() => {jupyterapp.commands.execute('notebook:run-all-cells').finally(() => {window.allCellsRan = true})}"
EXECUTE = f"""async code => {{
    const future = {KERNEL}.requestExecute({{code, store_history: false}})
    let printed = ''
    future.onIOPub = message => {{printed += message.content.text ?? message.content.evalue ?? ''}}
    await future.done
    return printed
}}"""


def until(condition, seconds=120):
    """The first true value that `condition` returns."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, f"it did not happen within {seconds} seconds"
        time.sleep(0.05)
    return found


@contextlib.contextmanager
def start(folder):
    """A `jupyter lab` that serves its `folder`: a browser opens the `address(path)` of a file, which holds a secret token."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for name, values in SETTINGS.items():
        file = folder / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(values))
    token = secrets.token_hex()
    own = {"JUPYTERLAB_SETTINGS_DIR": "settings", "JUPYTERLAB_WORKSPACES_DIR": "workspaces", "JUPYTER_DATA_DIR": "data"}
    options = {"ServerApp.ip": "127.0.0.1", "ServerApp.port": port, "ServerApp.port_retries": 0,
               "ServerApp.root_dir": folder, "ServerApp.open_browser": False, "ServerApp.allow_root": True,
               "LabApp.expose_app_in_browser": True}  # fmt: skip
    log = folder / "lab.log"
    with open(log, "w") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", *(f"--{name}={value}" for name, value in options.items())],
            env=environment(folder) | {name: str(folder / path) for name, path in own.items()} | {"JUPYTER_TOKEN": token},
            cwd=folder, stdout=file, stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        until(lambda: "is running at" in log.read_text() or process.poll() is not None, 60)
        assert process.poll() is None, log.read_text()
        url = f"http://127.0.0.1:{port}"
        address = lambda path: f"{url}/doc/tree/{path.relative_to(folder).as_posix()}?reset&token={token}"
        yield SimpleNamespace(folder=folder, url=url, address=address)
    finally:
        process.terminate()
        process.wait(30)


def write(lab, name, *sources):
    """Write a notebook of code cells into the lab's folder; return its path."""
    path = lab.folder / name
    nbformat.write(new_notebook(cells=[*map(new_code_cell, sources)], metadata=NOTEBOOK_METADATA), path)
    return path


def open_and_run(chromium, lab, path):
    """Open a notebook of the lab's folder, run all its cells, check that none failed, and return the page."""
    page = chromium.new_page(viewport={"width": 1400, "height": 1000})
    page.goto(lab.address(path))
    page.wait_for_function(f"{KERNEL}?.status == 'idle'", timeout=60_000)
    page.evaluate(RUN_ALL)
    page.wait_for_function("window.allCellsRan", timeout=180_000)
    assert page.locator("[data-mime-type='application/vnd.jupyter.stderr'], .jp-mod-error").all_inner_texts() == []
    assert page.get_by_text("Error displaying widget").count() == 0
    return page


def evaluate(page, expression, before=""):
    """The value of a Python expression in the kernel of the notebook on the page, after some code has run."""
    return json.loads(page.evaluate(EXECUTE, f"{before}\nimport json\nprint(json.dumps({expression}))"))
