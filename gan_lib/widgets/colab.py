"""What lessons need on Colab, whose files are lost with the session: downloads, and a folder in your Google Drive."""

import contextlib
import os
from pathlib import Path

import ipywidgets
from IPython.display import display

MOUNTED = Path("/content/drive")


def on_colab():
    """Whether this is a kernel on Colab."""
    return "COLAB_RELEASE_TAG" in os.environ


def download(*paths):
    """Show a button for each file that downloads it from Colab, and return them. Elsewhere [], as your machine has the files."""
    if not on_colab():
        return []
    from google.colab import files

    buttons = [ipywidgets.Button(description=f"download {Path(path).name}") for path in paths]
    for button, path in zip(buttons, map(str, paths), strict=True):
        button.layout.width = "max-content"
        button.on_click(lambda _, path=path: files.download(path))
    display(*buttons)
    return buttons


@contextlib.contextmanager
def drive(name="digits-from-noise"):
    """A folder for training runs: on Colab in your Google Drive, elsewhere `runs`.

    Colab asks for permission. At the end everything is written out to the Drive, which is then no longer mounted.
    """
    if not on_colab():
        yield Path("runs")
        return
    from google.colab import drive

    drive.mount(str(MOUNTED))
    try:
        yield MOUNTED / "MyDrive" / name
    finally:
        drive.flush_and_unmount()
