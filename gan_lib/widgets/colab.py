"""What lessons need on Colab, whose files are lost with the session: downloads, and a folder in your Google Drive."""

import contextlib
import os
from pathlib import Path

import ipywidgets

MOUNTED = Path("/content/drive")


def on_colab():
    """Whether this is a kernel on Colab."""
    return "COLAB_RELEASE_TAG" in os.environ


def download(path):
    """A button that downloads a file from Colab. None elsewhere: there the file is on your machine."""
    if not on_colab():
        return None
    from google.colab import files

    button = ipywidgets.Button(description=f"download {Path(path).name}", layout={"width": "max-content"})
    button.on_click(lambda _: files.download(str(path)))
    return button


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
