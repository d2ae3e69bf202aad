"""Shared work, each distinct stage once: in this process or as Ray tasks.

A value is kept under ``--out`` until its sweep is complete, or under ``--cache`` for later sweeps:
safetensors or Arrow under its content id, never pickle, written beside and renamed, so that two
processes may write one value at once.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.fs

from orchestrator.execution.deadline import limit
from results.storage.atomic_write import atomic_write
from results.storage.filesystem import open_filesystem, redact
from tasks.contract import Stage, StoreError, Task, Trial, Value

MAX_DISK_SHARE = 0.25  # of the free disk that one kept value may take

Source = Literal["computed", "kept", "cache"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Origin:
    """Where a stage's value comes from."""

    source: Source  # computed now, kept by an earlier run of the sweep, or read from ``--cache``
    seconds: float | None = None  # of computing it now
    is_kept: bool = False  # whether the next run can read it
    not_kept: str = ""  # what kept it from that, if anything went wrong
    num_bytes: int = 0  # of the value


def compute(
    stage: Stage, needs: Sequence[Value], device: str, deadline: float | None = None
) -> Value:
    """The stage's value from the values of what it needs."""
    place = {"device": device} if stage.on_device else {}
    with limit(deadline, f"the shared stage {stage.label}"):
        return stage.function(*needs, **stage.args, **place)


def needed_stages(task: Task, trials: Sequence[Trial]) -> list[Stage]:
    """The stages that a pack's trials name, each once."""
    return list({stage.key: stage for t in trials for stage in task.stages(t)}.values())


class StageFolder:
    """Stage values in a folder or bucket, one file each."""

    def __init__(self, uri: str, max_share: float = 1.0) -> None:
        """``max_share`` of what is free on a disk is what one value may take."""
        self.uri, self._max_share = uri, max_share

    def load(self, stage: Stage) -> Value | None:
        """The value; None if there is none, or none that can be read."""
        filesystem, folder = open_filesystem(self.uri)
        for suffix, decode in ((".safetensors", _decode_arrays), (".arrow", _decode_table)):
            try:
                with filesystem.open_input_file(f"{folder}/{stage.key}{suffix}") as file:
                    return decode(file.read_buffer())
            except FileNotFoundError:
                continue
            except Exception:  # damaged: it is computed again and replaced, which costs only time
                return None
        return None

    def save(self, stage: Stage, value: Value) -> bool:
        """Write a value whole or not at all; False for one that is neither arrays nor a table.

        Raises:
            StoreError: if it cannot be written, or would fill the disk.
        """
        encoded = encode(value)
        if encoded is None:
            return False
        suffix, blob = encoded
        filesystem, folder = open_filesystem(self.uri)
        if isinstance(filesystem, pyarrow.fs.LocalFileSystem):
            self._make_room(folder, len(blob))
        atomic_write(filesystem, f"{folder}/{stage.key}{suffix}", blob)
        return True

    def _make_room(self, folder: str, num_bytes: int) -> None:
        """Make the folder, and see that the disk also has room for the sweep's results."""
        try:
            os.makedirs(folder, exist_ok=True)
            free = shutil.disk_usage(folder).free
        except OSError as error:
            raise StoreError(f"cannot write to {folder}: {error.strerror or error}") from None
        if num_bytes > self._max_share * free:
            raise StoreError(
                f"it has {num_bytes / 1e9:.3g} GB, and the disk of {folder} has only "
                f"{free / 1e9:.3g} GB left"
            )

    def keys(self) -> set[str]:
        """The stages that have a value here, by key."""
        filesystem, folder = open_filesystem(self.uri)
        selector = pyarrow.fs.FileSelector(folder, allow_not_found=True)
        names = (info.base_name for info in filesystem.get_file_info(selector))
        return {n.partition(".")[0] for n in names if n.endswith((".safetensors", ".arrow"))}

    def delete(self) -> None:
        """Delete the folder. Whoever still wants a value computes it again."""
        filesystem, folder = open_filesystem(self.uri)
        with contextlib.suppress(OSError):  # another run of this sweep writes or deletes as well
            filesystem.delete_dir(folder)
        if isinstance(filesystem, pyarrow.fs.LocalFileSystem):
            for parent in list(Path(folder).parents)[:2]:
                with contextlib.suppress(OSError):  # other sweeps have values there
                    parent.rmdir()


class StageCache:
    """Where stage values outlive the process that computed them.

    ``uri`` is the folder of ``--cache``, for later sweeps; ``kept`` is the sweep's own, for its
    next run, and is deleted when the sweep is complete. With ``uri``, nothing is written to
    ``kept``.
    """

    def __init__(self, uri: str | None, kept: str | None = None) -> None:
        self.uri = uri
        self._cache = None if uri is None else StageFolder(uri)
        self._kept = None if kept is None else StageFolder(kept, MAX_DISK_SHARE)

    def prepare(self) -> None:
        """Make the folder of ``--cache``.

        Raises:
            StoreError: if that cannot be.
        """
        if self.uri is None:
            return
        filesystem, folder = open_filesystem(self.uri)
        try:
            filesystem.create_dir(folder, recursive=True)
        except OSError as error:
            raise StoreError(
                f"--cache {redact(self.uri)} cannot be a folder: {redact(str(error))}"
            ) from None

    def load(self, stage: Stage) -> tuple[Value, Origin] | None:
        """The value and where it was; None if there is none, or none that can be read."""
        found: tuple[tuple[Source, StageFolder | None], ...] = (
            ("cache", self._cache),
            ("kept", self._kept),
        )
        for source, folder in found:
            value = None if folder is None else folder.load(stage)
            if value is not None:
                if source == "kept" and self._cache is not None:
                    with contextlib.suppress(StoreError):
                        self._cache.save(stage, value)
                return value, Origin(source=source, is_kept=True, num_bytes=size_of(value))
        return None

    def save(self, stage: Stage, value: Value, seconds: float) -> Origin:
        """Keep a value that took so many seconds to compute; the origin says if that failed."""
        folder = self._cache or self._kept
        try:
            is_kept = folder is not None and folder.save(stage, value)
        except StoreError as error:  # the value is there, though it cannot be kept
            return Origin(
                source="computed", seconds=seconds, not_kept=str(error), num_bytes=size_of(value)
            )
        return Origin(source="computed", seconds=seconds, is_kept=is_kept, num_bytes=size_of(value))

    def num_kept(self, stages: Sequence[Stage]) -> int:
        """How many of these stages the next run can read."""
        folder = self._cache or self._kept
        keys = set() if folder is None else folder.keys()
        return sum(stage.key in keys for stage in stages)

    def delete_kept(self) -> None:
        """Delete the sweep's own values."""
        if self._kept is not None:
            self._kept.delete()


def size_of(value: Value) -> int:
    """The size of a value's arrays or table in bytes; 0 for anything else."""
    if isinstance(value, Mapping):
        return sum(int(getattr(each, "nbytes", 0)) for each in value.values())
    return int(getattr(value, "nbytes", 0))


def encode(value: Value) -> tuple[str, bytes] | None:
    """A value as (file name suffix, bytes), if it has a safe form."""
    if isinstance(value, pa.Table):
        sink = pa.BufferOutputStream()
        with pa.ipc.new_file(sink, value.schema) as writer:
            writer.write_table(value)
        return ".arrow", sink.getvalue().to_pybytes()
    if isinstance(value, Mapping) and all(_is_plain_array(v) for v in value.values()):
        import safetensors.numpy

        return ".safetensors", safetensors.numpy.save(
            {name: np.require(array, requirements="C") for name, array in value.items()}
        )
    return None


def _is_plain_array(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind in "biuf"


def _decode_arrays(buffer: pa.Buffer) -> Value:
    import safetensors.numpy

    return safetensors.numpy.load(buffer.to_pybytes())


def _decode_table(buffer: pa.Buffer) -> Value:
    with pa.ipc.open_file(buffer) as reader:
        return reader.read_all()
