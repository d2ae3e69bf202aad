"""Computes shared stages, and saves their values on disk.

A value is kept under ``--out`` until its sweep is complete, or under ``--cache`` for later sweeps.
Files are safetensors or Arrow, never pickle, and are named by the stage's key. Each is written to a
temporary file and renamed, so that several processes can write the same value at the same time.
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

from orchestrator.execution.timeout import timeout
from results.redaction import redact
from results.storage.atomic_write import atomic_write
from results.storage.filesystem import open_filesystem
from tasks.contract import Stage, StoreError, Task, Trial, Value

MAX_DISK_FRACTION = 0.25  # of the free disk space, for one value under ``--out``

Source = Literal["computed", "kept", "cache"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Origin:
    """Where the value of a stage came from."""

    source: Source  # computed by this run, kept by an earlier run, or loaded from ``--cache``
    seconds: float | None = None  # to compute it, None if it was loaded
    is_kept: bool = False  # whether the next run can load it
    save_error: str = ""  # why the value could not be saved, empty if nothing went wrong
    num_bytes: int = 0  # size of the value


def compute(
    stage: Stage, needs: Sequence[Value], device: str, step_timeout: float | None = None
) -> Value:
    """Compute the value of a stage from the values of its dependencies."""
    device_args = {"device": device} if stage.on_device else {}
    with timeout(step_timeout, f"the shared stage {stage.label}"):
        return stage.function(*needs, **stage.args, **device_args)


def needed_stages(task: Task, trials: Sequence[Trial]) -> list[Stage]:
    """Return the distinct stages that these trials need."""
    return list({stage.key: stage for t in trials for stage in task.stages(t)}.values())


class StageFolder:
    """Stage values in a folder or bucket, one file per value."""

    def __init__(self, uri: str, max_disk_fraction: float = 1.0) -> None:
        """A value is saved if it takes at most ``max_disk_fraction`` of the free disk space."""
        self.uri, self._max_disk_fraction = uri, max_disk_fraction

    def load(self, stage: Stage) -> Value | None:
        """Return the value, None if it does not exist or cannot be read."""
        filesystem, folder = open_filesystem(self.uri)
        for suffix, decode in ((".safetensors", _decode_arrays), (".arrow", _decode_table)):
            try:
                with filesystem.open_input_file(f"{folder}/{stage.key}{suffix}") as file:
                    return decode(file.read_buffer())
            except FileNotFoundError:
                continue
            except Exception:  # a damaged file: the value is computed again and replaced
                return None
        return None

    def save(self, stage: Stage, value: Value) -> bool:
        """Write a value atomically; return False if it is neither arrays nor a table.

        Raises:
            StoreError: if it cannot be written or would fill the disk.
        """
        encoded = encode(value)
        if encoded is None:
            return False
        suffix, blob = encoded
        filesystem, folder = open_filesystem(self.uri)
        if isinstance(filesystem, pyarrow.fs.LocalFileSystem):
            self._prepare_folder(folder, len(blob))
        atomic_write(filesystem, f"{folder}/{stage.key}{suffix}", blob)
        return True

    def _prepare_folder(self, folder: str, num_bytes: int) -> None:
        """Create the folder, and check that enough disk space is left for the sweep's results."""
        try:
            os.makedirs(folder, exist_ok=True)
            free = shutil.disk_usage(folder).free
        except OSError as error:
            raise StoreError(f"cannot write to {folder}: {error.strerror or error}") from None
        if num_bytes > self._max_disk_fraction * free:
            raise StoreError(
                f"its value has {num_bytes / 1e9:.3g} GB, but the disk of {folder} has only "
                f"{free / 1e9:.3g} GB free"
            )

    def keys(self) -> set[str]:
        """Return the keys of the stages that have a value here."""
        filesystem, folder = open_filesystem(self.uri)
        selector = pyarrow.fs.FileSelector(folder, allow_not_found=True)
        names = (info.base_name for info in filesystem.get_file_info(selector))
        return {n.partition(".")[0] for n in names if n.endswith((".safetensors", ".arrow"))}

    def delete(self) -> None:
        """Delete the folder. Other runs compute its values again if they need them."""
        filesystem, folder = open_filesystem(self.uri)
        with contextlib.suppress(OSError):  # another run of this sweep uses the folder too
            filesystem.delete_dir(folder)
        if isinstance(filesystem, pyarrow.fs.LocalFileSystem):
            for parent in list(Path(folder).parents)[:2]:
                with contextlib.suppress(OSError):  # it contains values of other sweeps
                    parent.rmdir()


class StageCache:
    """Loads and saves stage values."""

    def __init__(self, uri: str | None, kept: str | None = None) -> None:
        """Create a cache in up to two folders.

        Args:
            uri: the folder of ``--cache``, which later sweeps can use.
            kept: the sweep's own folder for its next run. It is deleted when the sweep is complete,
                and is not written to if ``uri`` is given.
        """
        self.uri = uri
        self._cache = None if uri is None else StageFolder(uri)
        self._kept = None if kept is None else StageFolder(kept, MAX_DISK_FRACTION)

    def prepare(self) -> None:
        """Create the folder of ``--cache``.

        Raises:
            StoreError: if it cannot be created.
        """
        if self.uri is None:
            return
        filesystem, folder = open_filesystem(self.uri)
        try:
            filesystem.create_dir(folder, recursive=True)
        except OSError as error:
            raise StoreError(
                f"cannot create the folder of --cache {redact(self.uri)}: {redact(str(error))}"
            ) from None

    def load(self, stage: Stage) -> tuple[Value, Origin] | None:
        """Return the value and its origin, None if it does not exist or cannot be read."""
        folders: tuple[tuple[Source, StageFolder | None], ...] = (
            ("cache", self._cache),
            ("kept", self._kept),
        )
        for source, folder in folders:
            value = None if folder is None else folder.load(stage)
            if value is not None:
                if source == "kept" and self._cache is not None:
                    with contextlib.suppress(StoreError):
                        self._cache.save(stage, value)
                return value, Origin(source=source, is_kept=True, num_bytes=size_of(value))
        return None

    def save(self, stage: Stage, value: Value, seconds: float) -> Origin:
        """Save a value that took ``seconds`` to compute. Errors are returned in the origin."""
        folder = self._cache or self._kept
        try:
            is_kept = folder is not None and folder.save(stage, value)
        except StoreError as error:  # the trials can still use the value
            return Origin(
                source="computed", seconds=seconds, save_error=str(error), num_bytes=size_of(value)
            )
        return Origin(source="computed", seconds=seconds, is_kept=is_kept, num_bytes=size_of(value))

    def num_kept(self, stages: Sequence[Stage]) -> int:
        """Return how many of these stages the next run can load."""
        folder = self._cache or self._kept
        keys = set() if folder is None else folder.keys()
        return sum(stage.key in keys for stage in stages)

    def delete_kept(self) -> None:
        """Delete the values in the sweep's own folder."""
        if self._kept is not None:
            self._kept.delete()


def size_of(value: Value) -> int:
    """Return the size of arrays or a table in bytes, 0 for any other value."""
    if isinstance(value, Mapping):
        return sum(int(getattr(each, "nbytes", 0)) for each in value.values())
    return int(getattr(value, "nbytes", 0))


def encode(value: Value) -> tuple[str, bytes] | None:
    """Return (file suffix, bytes), None for values other than numeric arrays or a table."""
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
