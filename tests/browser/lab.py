"""A real JupyterLab on 127.0.0.1, and what a browser does with a notebook in it."""

import json
import socket
import subprocess
import sys
import time
import urllib.request

from tests.notebooks.execution import environment

SETTINGS = {  # JupyterLab renders no cells that are off the screen, and asks about news, unless told otherwise
    "notebook-extension/tracker": {"windowingMode": "none"},
    "apputils-extension/notification": {"checkForUpdates": False, "fetchNews": "false"},
}
KERNEL = "window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel"
RUN_ALL = "() => {jupyterapp.commands.execute('notebook:run-all-cells').finally(() => {window.allCellsRan = true})}"
ASK = f"""async code => {{
    const asked = {KERNEL}.requestExecute({{code, store_history: false}})
    let printed = ''
    asked.onIOPub = message => {{printed += message.content.text ?? message.content.evalue ?? ''}}
    await asked.done
    return printed
}}"""


def ask(page, code):
    """What `code` prints, as JSON, when the kernel of the notebook on the page runs it."""
    return json.loads(page.evaluate(ASK, code))


class Lab:
    """A `jupyter lab` whose files are those of `folder`, and which a browser can open without a password."""

    def __init__(self, folder):
        self.folder = folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.url = f"http://127.0.0.1:{free.getsockname()[1]}"
        for name, values in SETTINGS.items():
            file = folder / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(values))
        own = {
            "JUPYTERLAB_SETTINGS_DIR": "settings",
            "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
            "JUPYTER_DATA_DIR": "data",
        }
        options = {"ServerApp.ip": "127.0.0.1", "ServerApp.port": self.url.split(":")[-1], "ServerApp.port_retries": 0,
                   "ServerApp.root_dir": folder, "ServerApp.open_browser": False, "ServerApp.allow_root": True,
                   "IdentityProvider.token": "", "LabApp.expose_app_in_browser": True}  # fmt: skip
        self.log = open(folder / "lab.log", "w")  # noqa: SIM115
        self.process = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", *(f"--{name}={value}" for name, value in options.items())],
            env=environment(folder) | {name: str(folder / path) for name, path in own.items()},
            cwd=folder, stdout=self.log, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def wait(self, seconds=60):
        """Until the server answers."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and self.process.poll() is None:
            try:
                return urllib.request.urlopen(f"{self.url}/api/status", timeout=10).close()
            except OSError:
                time.sleep(0.2)
        raise RuntimeError(f"JupyterLab did not start:\n{(self.folder / 'lab.log').read_text()}")

    def close(self):
        self.process.terminate()
        self.process.wait(30)
        self.log.close()


def open_and_run(chromium, lab, path):
    """Open a notebook of the lab's folder, run all its cells, see that none failed, and return the page."""
    page = chromium.new_page(viewport={"width": 1400, "height": 1000})
    page.goto(f"{lab.url}/doc/tree/{path.relative_to(lab.folder).as_posix()}?reset")
    page.wait_for_function(f"{KERNEL}?.status == 'idle'", timeout=60_000)
    page.evaluate(RUN_ALL)
    page.wait_for_function("window.allCellsRan", timeout=180_000)
    assert page.locator("[data-mime-type='application/vnd.jupyter.stderr'], .jp-mod-error").all_inner_texts() == []
    assert page.get_by_text("Error displaying widget").count() == 0
    return page
