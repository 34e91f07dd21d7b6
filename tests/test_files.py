"""Atomic writes, and the weights that come with the package."""

import errno
import hashlib
import io
import json
import os
from importlib import resources
from pathlib import Path
from unittest import mock

import pytest
import safetensors.torch

from gan_lib import UserError, files

WEIGHTS = Path(str(resources.files("gan_lib") / "weights"))


def test_the_old_file_stays_until_the_new_one_is_complete(tmp_path, monkeypatch):
    path, seen, rename = tmp_path / "a" / "b" / "x.bin", [], os.replace

    def watch(source, target):
        seen.append((path.exists() and path.read_bytes(), Path(source).read_bytes(), Path(source).parent))
        assert str(os.getpid()) in source.name  # another process may write to the same path
        rename(source, target)

    monkeypatch.setattr(os, "replace", watch)
    for content in (b"old", b"new"):  # the first makes the folders
        files.write_atomically(path, content)
        assert path.read_bytes() == content
    assert seen == [(False, b"old", path.parent), (b"old", b"new", path.parent)]  # a rename can't cross disks


fail = mock.Mock(side_effect=OSError(errno.EACCES, "Permission denied"))


class FullDisk(io.FileIO):
    """A file on a disk that takes half of what is written to it."""

    def write(self, content):
        super().write(content[: len(content) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(
    ("where", "name", "step"), [(files, "open", FullDisk), (os, "fsync", fail), (os, "replace", fail)]
)
def test_a_failing_write_leaves_the_old_file_and_nothing_else(where, name, step, tmp_path, monkeypatch):
    (tmp_path / "x.bin").write_bytes(b"old")
    monkeypatch.setattr(where, name, step, raising=False)
    with pytest.raises(OSError, match=r"Permission denied|No space left"):
        files.write_atomically(tmp_path / "x.bin", b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["x.bin"]
    assert (tmp_path / "x.bin").read_bytes() == b"old"


def test_every_bundled_file_is_in_the_manifest_and_sound_and_a_damaged_one_is_refused(monkeypatch):
    manifest = json.loads((WEIGHTS / "manifest.json").read_text())
    assert files.manifest() == manifest
    assert {path.stem for path in WEIGHTS.glob("*.safetensors")} == set(manifest)
    for name, entry in manifest.items():
        content = (WEIGHTS / f"{name}.safetensors").read_bytes()
        assert hashlib.sha256(content).hexdigest() == entry["sha256"]
        assert {"command", "seed", "seconds"} <= entry.keys()
        tensors, loaded_entry = files.bundled_weights(name)
        assert loaded_entry == entry
        assert all(value.isfinite().all() for value in tensors.values())
        assert all(tensors[key].equal(value) for key, value in safetensors.torch.load(content).items())
    monkeypatch.setattr(files, "manifest", lambda: {"digit-net": {"sha256": hashlib.sha256(b"other").hexdigest()}})
    with pytest.raises(UserError, match=r"digit-net\.safetensors is damaged: install gan_lib once more\.$"):
        files.bundled_weights("digit-net")
