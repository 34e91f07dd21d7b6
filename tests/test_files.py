"""Files that are there whole or not at all, and the weights that come with the package."""

import errno
import hashlib
import json
import os
from importlib import resources
from pathlib import Path
from types import SimpleNamespace

import pytest
import safetensors.torch
import torch

from gan_lib import files

WEIGHTS = Path(str(resources.files("gan_lib") / "weights"))
MANIFEST = json.loads((WEIGHTS / "manifest.json").read_text())


def test_the_content_arrives_and_the_folder_is_made(tmp_path):
    files.write_atomically(tmp_path / "a" / "b" / "x.bin", b"new")
    assert (tmp_path / "a" / "b" / "x.bin").read_bytes() == b"new"


def test_the_old_file_stands_until_the_new_one_is_whole(tmp_path, monkeypatch):
    path, seen = tmp_path / "x.bin", []
    path.write_bytes(b"old")
    rename = os.replace

    def watch(source, target):
        seen.append((path.read_bytes(), Path(source).read_bytes(), Path(source).parent))
        rename(source, target)

    monkeypatch.setattr(os, "replace", watch)
    files.write_atomically(path, b"new")
    assert seen == [(b"old", b"new", tmp_path)]  # the same folder, for a rename does not cross disks
    assert path.read_bytes() == b"new"


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_failing_write_leaves_the_old_file_and_nothing_else(step, tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    (tmp_path / "x.bin").write_bytes(b"old")
    monkeypatch.setattr(os, step, fail)
    with pytest.raises(OSError, match="No space left"):
        files.write_atomically(tmp_path / "x.bin", b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["x.bin"]
    assert (tmp_path / "x.bin").read_bytes() == b"old"


def test_the_weights_are_those_of_the_manifest():
    assert {path.stem for path in WEIGHTS.glob("*.safetensors")} == set(MANIFEST)
    for name, about in MANIFEST.items():
        assert hashlib.sha256((WEIGHTS / f"{name}.safetensors").read_bytes()).hexdigest() == about["sha256"]
        assert {"command", "seed", "seconds"} <= about.keys()
        tensors, said = files.bundled_weights(name)
        assert said == about
        assert all(value.isfinite().all() for value in tensors.values())


@pytest.fixture
def weights(tmp_path, monkeypatch):
    """A folder in place of gan_lib/weights, with one small file in it."""
    folder = tmp_path / "weights"
    folder.mkdir()
    content = safetensors.torch.save({"w": torch.arange(4.0)})
    (folder / "small.safetensors").write_bytes(content)
    (folder / "manifest.json").write_text(json.dumps({"small": {"sha256": hashlib.sha256(content).hexdigest()}}))
    monkeypatch.setattr(files, "resources", SimpleNamespace(files=lambda _: tmp_path))
    return folder


def test_bundled_weights_are_read_with_what_the_manifest_says(weights):
    tensors, about = files.bundled_weights("small")
    assert tensors["w"].tolist() == [0, 1, 2, 3]
    assert list(about) == ["sha256"]


def test_damaged_weights_are_refused(weights):
    content = bytearray((weights / "small.safetensors").read_bytes())
    content[-1] ^= 1
    (weights / "small.safetensors").write_bytes(content)
    with pytest.raises(ValueError, match=r"small\.safetensors is damaged: install gan_lib once more\.$"):
        files.bundled_weights("small")


def test_unknown_weights_are_refused_with_a_list_of_those_there_are(weights):
    with pytest.raises(ValueError, match="no bundled weights called 'large'; choose one of: small"):
        files.bundled_weights("large")
