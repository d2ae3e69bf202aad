"""Fingerprints of files, and the cache that avoids reading them again."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tasks import fingerprint
from tasks.fingerprint import fingerprint_files


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "orchestrator" / "fingerprints"


def make_folder(root: Path, content: str = "a") -> Path:
    root.mkdir()
    (root / "file").write_text(content)
    return root


def read_files(root: Path) -> list[str]:
    """Fingerprint a folder; return the names of the files that were read."""
    read: list[str] = []
    fingerprint_files(root, root.iterdir(), lambda file: read.append(file.name))
    return read


def test_files_are_read_again_only_after_a_change(tmp_path: Path) -> None:
    root = make_folder(tmp_path / "data")
    assert read_files(root) == ["file"]
    assert read_files(root) == []
    (root / "file").write_text("longer")
    assert read_files(root) == ["file"]
    os.utime(root / "file", (1, 1))
    assert read_files(root) == ["file"]


def test_changed_file_replaces_its_entry(tmp_path: Path, cache: Path) -> None:
    root = make_folder(tmp_path / "data")
    first = fingerprint_files(root, root.iterdir())
    (root / "file").write_text("longer")
    assert fingerprint_files(root, root.iterdir()) != first
    (file,) = cache.glob("*.json")
    assert len(fingerprint._read_cache(file)) == 1


def test_cache_of_many_folders_stays_small(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fingerprint, "MAX_CACHES", 3)
    roots = [make_folder(tmp_path / f"data-{number}") for number in range(5)]
    for age, root in zip(range(5, 0, -1), roots, strict=True):
        read_files(root)
        newest = max(cache.glob("*.json"), key=lambda file: file.stat().st_mtime)
        os.utime(newest, (1e9 - age, 1e9 - age))
    assert len(list(cache.glob("*.json"))) == 3
    assert [read_files(root) for root in roots[2:]] == [[]] * 3


@pytest.mark.parametrize("content", ["", "[]", '{"a": 1}', '{"a"'])
def test_damaged_cache_is_ignored(tmp_path: Path, cache: Path, content: str) -> None:
    root = make_folder(tmp_path / "data")
    first = fingerprint_files(root, root.iterdir())
    (file,) = cache.glob("*.json")
    file.write_text(content)
    assert fingerprint_files(root, root.iterdir()) == first
