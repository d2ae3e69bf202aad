"""Store the kept weights of a sweep, one safetensors file per trial.

    <out>/<task>/<name>/weights/<trial id>.safetensors

Any reader of safetensors opens these files. Their metadata describes the trial, and a seal shows
whether a file has changed since it was written.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow.fs

from results.redaction import redact
from results.storage.atomic_write import TEMPORARY, atomic_write, make_durable
from results.storage.filesystem import absolute, open_filesystem
from results.storage.reading import StoredTables, Sweep
from results.storage.sealed_tensors import Array, seal, unseal
from results.storage.store import NAME, check_name
from results.text import plural, size_text
from tasks.contract import StoreError

SUFFIX = ".safetensors"
MAX_DISK_SHARE = 0.5  # of the free disk for one file, because results need space too

#: Metadata that is JSON; other metadata are strings.
_JSON = ("seed", "params", "model", "data", "values")


@dataclass(frozen=True, kw_only=True, slots=True)
class Weights:
    """The kept weights of a finished trial."""

    trial_id: str
    """The trial's id."""
    arrays: dict[str, Array]
    """The arrays by name; bfloat16 is converted to float32, which is exact."""
    dtypes: dict[str, str]
    """The types by name, as in the file: ``F32``, ``BF16``, ..."""
    values: dict[str, Any]
    """The plain values of the state."""
    metadata: dict[str, Any]
    """task, version, trial_id, seed, params, model and data."""


def seal_weights(blob: bytes, metadata: Mapping[str, Any]) -> bytes:
    """Add metadata and a seal to a safetensors file of a trial's weights.

    ``metadata`` has the keys of ``Weights.metadata``, and ``values``.
    """
    text = {k: json.dumps(v) if k in _JSON else str(v) for k, v in metadata.items()}
    return seal(blob, text)


class WeightStore:
    """The weight files of one sweep, in a folder or a bucket. It can be pickled."""

    def __init__(self, out: str, task: str, name: str) -> None:
        self.sweep = f"{check_name(task)}/{check_name(name)}"
        self.uri = f"{absolute(out).rstrip('/')}/{self.sweep}/weights"

    def _path(self, trial_id: str) -> tuple[pyarrow.fs.FileSystem, str]:
        filesystem, folder = open_filesystem(self.uri)
        return filesystem, f"{folder}/{check_name(trial_id)}{SUFFIX}"

    def sizes(self) -> dict[str, int]:
        """Return the size of each file in bytes, by trial id."""
        files = self._files().items()
        return {n.removesuffix(SUFFIX): size for n, size in files if n.endswith(SUFFIX)}

    def leftovers(self) -> set[str]:
        """Return the names of temporary files, of a killed writer or of a write in progress."""
        return {name for name in self._files() if name.endswith(TEMPORARY)}

    def _files(self) -> dict[str, int]:
        filesystem, folder = open_filesystem(self.uri)
        selector = pyarrow.fs.FileSelector(folder, allow_not_found=True)
        try:
            found = filesystem.get_file_info(selector)
        except OSError as error:
            raise StoreError(f"{folder} cannot be read: {redact(str(error))}") from None
        return {
            info.base_name: info.size
            for info in found
            if info.type == pyarrow.fs.FileType.File and NAME.fullmatch(info.base_name)
        }

    def has(self, trial_id: str) -> bool:
        """Return whether the weights of a trial are stored."""
        filesystem, path = self._path(trial_id)
        return bool(filesystem.get_file_info(path).type == pyarrow.fs.FileType.File)

    def read(self, trial_id: str) -> Weights | None:
        """Read the weights of a trial; None if there is no file.

        Raises:
            StoreError: if the file is damaged or belongs to another trial.
        """
        filesystem, path = self._path(trial_id)
        try:
            with filesystem.open_input_file(path) as file:
                blob = bytearray(file.size())
                file.readinto(memoryview(blob))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StoreError(f"{path} cannot be read: {redact(str(error))}") from None
        try:
            found = unseal(blob)
            metadata: dict[str, Any] = {
                k: json.loads(v) if k in _JSON else v for k, v in found.metadata.items()
            }
            if metadata["trial_id"] != trial_id:
                raise ValueError(f"it contains the weights of trial {metadata['trial_id']}")
            values = metadata.pop("values")
        except (ValueError, KeyError, TypeError) as error:
            why = f"its metadata has no {error}" if isinstance(error, KeyError) else error
            raise StoreError(
                f"the weights {path} are damaged ({why}); delete the file, then add --keep best to "
                "the sweep's command to run the trial again"
            ) from None
        return Weights(
            trial_id=trial_id,
            arrays=found.arrays,
            dtypes=found.dtypes,
            values=values,
            metadata=metadata,
        )

    def write(self, trial_id: str, blob: bytes) -> None:
        """Write or replace the file of a trial atomically. ``sync`` makes it durable.

        Raises:
            StoreError: if it cannot be written, or would use too much of the free disk.
        """
        filesystem, path = self._path(trial_id)
        if isinstance(filesystem, pyarrow.fs.LocalFileSystem):
            self._prepare_folder(os.path.dirname(path), len(blob))
        atomic_write(filesystem, path, blob, durable=False)

    def _prepare_folder(self, folder: str, num_bytes: int) -> None:
        """Create the folder and check the free space.

        Only the last part is created: a machine without shared storage lacks the sweep's folder.
        """
        try:
            if not os.path.isdir(folder):
                with contextlib.suppress(FileExistsError):
                    os.mkdir(folder)
            free = shutil.disk_usage(folder).free
        except OSError as error:
            raise StoreError(f"cannot write to {folder}: {error.strerror or error}") from None
        if num_bytes > MAX_DISK_SHARE * free:
            raise StoreError(
                f"the weights need {num_bytes / 1e6:.3g} MB, but the disk of {folder} has only "
                f"{free / 1e6:.3g} MB free"
            )

    def sync(self, trial_ids: Iterable[str]) -> None:
        """Make the files of these trials durable.

        Raises:
            StoreError: if a file does not exist or cannot be synchronized.
        """
        for trial_id in trial_ids:
            make_durable(*self._path(trial_id))

    def delete(self, trial_id: str) -> None:
        """Delete the file of a trial, if it exists.

        Raises:
            StoreError: if it cannot be deleted.
        """
        self.delete_file(f"{check_name(trial_id)}{SUFFIX}")

    def delete_file(self, name: str) -> None:
        """Delete a file by its name, such as one of ``leftovers``; see ``delete``."""
        filesystem, folder = open_filesystem(self.uri)
        try:
            filesystem.delete_file(f"{folder}/{name}")
        except FileNotFoundError:
            return
        except OSError as error:
            if not filesystem.get_file_info(f"{folder}/{name}").is_file:
                return
            raise StoreError(f"{folder}/{name} cannot be deleted: {redact(str(error))}") from None

    def delete_folder(self) -> None:
        """Delete the folder if it is empty."""
        filesystem, folder = open_filesystem(self.uri)
        if isinstance(filesystem, pyarrow.fs.LocalFileSystem):
            with contextlib.suppress(OSError):
                os.rmdir(folder)


def find_weights(sweep: Sweep, row: Mapping[str, Any]) -> WeightStore | None:
    """Return the store that has a trial's weights; None if they are not kept.

    ``row`` is one of the sweep's trials. The weights of a reused trial are in the sweep that ran
    it, unless the trial has run in this sweep since.
    """
    for store in stores_of(sweep, row):
        if store.has(row["trial_id"]):
            return store
    return None


def stores_of(sweep: StoredTables, row: Mapping[str, Any]) -> list[WeightStore]:
    """Return the stores that may have a trial's weights: of its sweep, and of ``reused_from``."""
    task, name = sweep.path.rsplit("/", 2)[1:]
    sweeps = [(task, name)]
    origin = str(row.get("reused_from") or "").split("/")
    if len(origin) == 2 and all(NAME.fullmatch(part) for part in origin):
        sweeps.append((origin[0], origin[1]))
    return [WeightStore(sweep.root, *each) for each in sweeps]


def weights_of(
    sweep: StoredTables, rows: Iterable[Mapping[str, Any]]
) -> dict[str, tuple[WeightStore, int]]:
    """Return the store and the size of the weights of trials, by id. Lists each folder once."""
    listed: dict[str, dict[str, int]] = {}
    found: dict[str, tuple[WeightStore, int]] = {}
    for row in rows:
        for store in stores_of(sweep, row):
            if store.uri not in listed:
                listed[store.uri] = store.sizes()
            size = listed[store.uri].get(row["trial_id"])
            if size is not None:
                found[row["trial_id"]] = (store, size)
                break
    return found


def describe_weights(sweep: Sweep, row: Mapping[str, Any] | None) -> str:
    """Describe the weights of a sweep or of one of its trials, for ``show``.

    The text is empty if the task has no weights.
    """
    if sweep.manifest.keep is None:  # also if an earlier version wrote the file
        return ""
    rows = [each for each in sweep.rows() if each["status"] == "finished"]
    if row is None:
        sizes = [size for _, size in weights_of(sweep, rows).values()]
        return (
            f"of {plural(len(sizes), 'trial')}, {size_text(sum(sizes))}" if sizes else "none kept"
        )
    if row["status"] != "finished":
        return ""
    found = weights_of(sweep, [row]).get(row["trial_id"])
    if found is None:
        return "not kept; add --keep all to the sweep's command to run it again with weights"
    store, size = found
    is_here = store.uri == stores_of(sweep, row)[0].uri
    return size_text(size) if is_here else f"{size_text(size)}, in {store.sweep}"
