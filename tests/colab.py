"""Colab's widgets and kernel (colab.txt) in a folder of their own, which comes before .venv on the path of Python.

`make setup` runs this file; otherwise the first test that needs the folder installs it.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
PINS = ROOT / "tests" / "colab.txt"
FOLDER = ROOT / ".colab"


def install(pins=PINS, folder=FOLDER):
    """Install `pins` into `folder`, unless that is done. An unfinished folder, or one of another list, is deleted first.

    Raises `RuntimeError` if pip fails.
    """
    done = folder / "installed.txt"  # the list, written last
    if done.is_file() and done.read_text() == pins.read_text():
        return
    shutil.rmtree(folder, ignore_errors=True)
    pip = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--no-deps"]
    ended = subprocess.run([*pip, "--target", folder, "-r", pins], capture_output=True, text=True)
    if ended.returncode:
        raise RuntimeError(
            f"Colab's widgets could not be installed from {pins.name}, so ours can't be tested with them; "
            f"connect this machine to a package index and run `make test` again. pip says: {ended.stderr.strip()[-300:]}"
        )
    shutil.copy(pins, done)


def environment():
    """The environment variables of a Python that imports Colab's versions first, then this checkout, then .venv."""
    return os.environ | {"PYTHONPATH": os.pathsep.join(map(str, (FOLDER, ROOT)))}


if __name__ == "__main__":
    try:
        install()
    except RuntimeError as error:
        sys.exit(str(error))
