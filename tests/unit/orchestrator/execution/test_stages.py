"""Stage values: saved completely or not at all, loaded bit for bit, deleted safely."""

from __future__ import annotations

import shutil
import threading
from collections import namedtuple
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from orchestrator.execution.stages import Origin, StageCache, StageFolder, size_of
from tasks.contract import Stage, StoreError


def draw(*, number: int) -> Any:
    """A stage of each kind of value."""
    rng = np.random.default_rng(number)
    if number == 0:
        return pa.table({"caption": ["a dog", "ein Hund"], "row": [0, 1]})
    return {
        "features": rng.normal(size=(3, 4, 5)).astype(np.float16).transpose(2, 0, 1),
        "scalar": np.array(0.25),
        "none": np.zeros((0, 7), np.float32),
        "flags": np.array([True, False]),
    }


def stage(number: int) -> Stage:
    return Stage(function=draw, args={"number": number})


def test_saved_value_is_loaded_bit_for_bit(tmp_path: Path) -> None:
    folder = StageFolder(str(tmp_path / "a" / "b"))
    for number in (0, 1):
        assert folder.load(stage(number)) is None
        assert folder.save(stage(number), draw(number=number))
    table, arrays = folder.load(stage(0)), folder.load(stage(1))
    assert table is not None
    assert arrays is not None
    assert table.equals(draw(number=0))
    assert arrays.keys() == draw(number=1).keys()
    for name, value in draw(number=1).items():
        assert arrays[name].dtype == value.dtype
        np.testing.assert_array_equal(arrays[name], value)


def test_value_without_a_safe_format_is_not_kept(tmp_path: Path) -> None:
    cache = StageCache(None, str(tmp_path))
    origin = cache.save(stage(1), {"words": ["a", "b"]}, 1.0)
    assert origin == Origin(source="computed", seconds=1.0, is_kept=False)
    assert not list(tmp_path.iterdir())


def test_value_that_would_fill_the_disk_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(free=3_000))
    value = {"x": np.zeros(250)}  # 2000 bytes: more than a quarter of what is free
    origin = StageCache(None, str(tmp_path)).save(stage(1), value, 1.0)
    assert not origin.is_kept
    assert "the disk of" in origin.save_error
    assert StageCache(str(tmp_path)).save(stage(1), value, 1.0).is_kept  # asked for by name


def test_values_are_written_to_the_cache_and_read_from_both_folders(tmp_path: Path) -> None:
    kept, cache = str(tmp_path / "kept"), str(tmp_path / "cache")
    StageCache(None, kept).save(stage(1), draw(number=1), 1.0)
    both = StageCache(cache, kept)
    both.prepare()
    both.save(stage(0), draw(number=0), 1.0)
    assert [path.suffix for path in Path(kept).iterdir()] == [".safetensors"]
    found = both.load(stage(1))
    assert found is not None
    assert found[1].source == "kept"
    both.delete_kept()
    assert not Path(kept).exists()
    for number in (0, 1):  # what an interrupted run without a cache had kept is there, too
        found = both.load(stage(number))
        assert found is not None
        assert found[1] == Origin(source="cache", is_kept=True, num_bytes=size_of(found[0]))


def test_concurrent_writes_and_deletes_only_lose_values(tmp_path: Path) -> None:
    uri = str(tmp_path / ".stages" / "task" / "name")
    errors: list[BaseException] = []

    def write() -> None:
        folder = StageFolder(uri)
        for _ in range(100):
            try:
                folder.save(stage(1), draw(number=1))
            except StoreError:  # the folder was deleted in between: the value is not kept
                pass
            except BaseException as error:
                errors.append(error)
            value = folder.load(stage(1))
            if value is not None:
                np.testing.assert_array_equal(value["features"], draw(number=1)["features"])

    writers = [threading.Thread(target=write) for _ in range(2)]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        StageFolder(uri).delete()
    assert not errors
    StageFolder(uri).delete()
    assert not (tmp_path / ".stages").exists()


def test_delete_leaves_values_of_other_sweeps(tmp_path: Path) -> None:
    one, other = (StageFolder(str(tmp_path / ".stages" / "task" / name)) for name in "ab")
    for folder in (one, other):
        folder.save(stage(1), draw(number=1))
    one.delete()
    assert one.load(stage(1)) is None
    assert other.load(stage(1)) is not None
