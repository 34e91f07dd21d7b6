"""The wheel holds all files of the package, and what it installs trains and samples in any folder, without a network."""

import os
import shutil
import site
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests import ROOT

BUILD = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"


def run(*words, cwd):
    environment = os.environ | {"GAN_LIB_DATA": str(cwd / "data"), "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    ended = subprocess.run([*map(str, words)], cwd=cwd, env=environment, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built from a copy, so that the build leaves nothing here."""
    source = tmp_path_factory.mktemp("source")
    shutil.copytree(ROOT / "gan_lib", source / "gan_lib", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "LICENSE"):
        shutil.copy(ROOT / name, source)
    run(sys.executable, "-c", BUILD, source / "dist", cwd=source)
    [path] = (source / "dist").iterdir()
    return path


def test_the_wheel_holds_the_files_of_the_package_and_nothing_else(wheel):
    files = [path for path in (ROOT / "gan_lib").rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    expected = {path.relative_to(ROOT).as_posix(): path.read_bytes() for path in files}
    assert {"gan_lib/mnist/train-images-idx3-ubyte.gz", "gan_lib/weights/dcgan.safetensors"} <= expected.keys()
    with zipfile.ZipFile(wheel) as archive:
        held = {name: archive.read(name) for name in archive.namelist() if ".dist-info/" not in name}
        about = {name.split(".dist-info/")[-1] for name in archive.namelist()}
    assert held == expected
    assert {"licenses/LICENSE", "licenses/gan_lib/mnist/README.md"} <= about


def test_what_it_installs_trains_and_samples_in_an_empty_folder(wheel, tmp_path):
    """Into a new environment, which sees the libraries of this one, but not its gan_lib: that comes by a .pth file."""
    run(sys.executable, "-m", "venv", "env", cwd=tmp_path)
    python = min(tmp_path.glob("env/[bS]*/python*"))
    run(python, "-m", "pip", "install", "--no-index", "--no-deps", wheel, cwd=tmp_path)
    [place] = run(python, "-Ic", "import site; print(site.getsitepackages()[-1])", cwd=tmp_path).splitlines()
    Path(place, "libraries.pth").write_text("\n".join(site.getsitepackages()))
    here = tmp_path / "here"
    here.mkdir()
    assert run(python, "-Ic", "import gan_lib; print(gan_lib.__file__)", cwd=here).startswith(place)
    run(python, "-Im", "gan_lib", "train", "mlp-quick", "--steps", 3, "--out", "run", "--quiet", cwd=here)
    run(python, "-Im", "gan_lib", "sample", "dcgan", "--out", "grid.png", cwd=here)
    assert {path.name for path in here.iterdir()} == {"run", "grid.png"}
