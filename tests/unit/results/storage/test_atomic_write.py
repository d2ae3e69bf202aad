"""A file or folder is replaced completely, or it does not change."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow.fs
import pytest

from results.storage.atomic_write import (
    atomic_file,
    atomic_folder,
    atomic_write,
    make_durable,
)
from tasks.contract import StoreError

DISK = pyarrow.fs.LocalFileSystem()


@pytest.mark.parametrize("durable", [True, False])
def test_a_file_is_replaced_and_nothing_else_is_left(tmp_path: Path, durable: bool) -> None:
    path = tmp_path / "file"
    for blob in (b"one", b"two", b""):
        atomic_write(DISK, str(path), blob, durable=durable)
        assert path.read_bytes() == blob
        assert os.listdir(tmp_path) == ["file"]
    make_durable(DISK, str(path))


def test_object_store_is_written_directly() -> None:
    memory = pyarrow.fs._MockFileSystem()
    memory.create_dir("bucket")
    atomic_write(memory, "bucket/file", b"one")
    atomic_write(memory, "bucket/file", b"two")
    make_durable(memory, "bucket/file")
    found = memory.get_file_info(pyarrow.fs.FileSelector("bucket"))
    assert [info.path for info in found] == ["bucket/file"]
    with memory.open_input_stream("bucket/file") as stream:
        assert stream.read() == b"two"


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    for action in (
        lambda path: atomic_write(DISK, path, b""),
        lambda path: make_durable(DISK, path),
    ):
        with pytest.raises(StoreError, match=r"cannot \w+ .*none/file: No such file or directory"):
            action(str(tmp_path / "none" / "file"))
    (tmp_path / "folder").mkdir()
    with pytest.raises(StoreError, match=r"cannot write .*folder: Is a directory"):
        atomic_write(DISK, str(tmp_path / "folder"), b"one")
    assert os.listdir(tmp_path) == ["folder"]


@pytest.mark.parametrize("error", [ValueError, OSError, KeyboardInterrupt])
def test_an_interrupted_block_leaves_the_earlier_file(
    tmp_path: Path, error: type[BaseException]
) -> None:
    path = tmp_path / "file"
    path.write_text("before")

    def write_half() -> None:
        with atomic_file(path) as temporary:
            temporary.write_text("half")
            raise error

    with pytest.raises(error):
        write_half()
    assert path.read_text() == "before"
    assert os.listdir(tmp_path) == ["file"]


def test_atomic_folder_replaces_the_earlier_one(tmp_path: Path) -> None:
    target = tmp_path / "new" / "folder"
    for text in ("one", "two"):
        with atomic_folder(target) as folder:
            (folder / text).write_text(text)
        assert os.listdir(target) == [text]
        assert os.listdir(target.parent) == ["folder"]


@pytest.mark.parametrize("error", [ValueError, OSError, KeyboardInterrupt])
def test_an_interrupted_block_leaves_the_earlier_folder(
    tmp_path: Path, error: type[BaseException]
) -> None:
    target = tmp_path / "folder"
    target.mkdir()
    (target / "one").write_text("one")

    def write_half() -> None:
        with atomic_folder(target) as folder:
            (folder / "two").write_text("two")
            raise error

    with pytest.raises(error):
        write_half()
    assert os.listdir(target) == ["one"]
    assert os.listdir(tmp_path) == ["folder"]


def test_a_folder_that_cannot_be_renamed_leaves_the_earlier_one(tmp_path: Path) -> None:
    target = tmp_path / "folder"
    target.mkdir()
    (target / "one").write_text("one")
    with pytest.raises(FileNotFoundError), atomic_folder(target) as folder:
        folder.rmdir()  # then the last rename fails, after the earlier folder was moved away
    assert os.listdir(target) == ["one"]
    assert os.listdir(tmp_path) == ["folder"]
