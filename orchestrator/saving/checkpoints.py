"""Checkpoints of trials, on disk or in a bucket. Files are safetensors, never pickle.

There is one file per trial, named by its id, so that any engine, machine or later run can resume
it. A checkpoint contains the state and all steps so far.
"""

from __future__ import annotations

import json
import os
import struct
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow.fs

from results.storage.atomic_write import atomic_write
from results.storage.filesystem import absolute, open_filesystem
from results.storage.weights import WeightStore
from results.storage.whole_file import read_whole
from tasks.contract import Scalar, State, Step, StoreError, Trial

NUM_READS = 3  # attempts to read a checkpoint; a bucket's client repeats each request on its own


@dataclass(frozen=True, kw_only=True, slots=True)
class TimedStep:
    """A step and the seconds it took."""

    step: Step
    seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class InterruptedTrial:
    """A trial that has a checkpoint."""

    trial_id: str
    seed: int
    params: Mapping[str, Scalar]
    steps: Sequence[TimedStep]


def encode(state: State, steps: Sequence[TimedStep], trial: Trial | None = None) -> bytes:
    """Serialize a checkpoint as safetensors, with the kind of each array (numpy or torch)."""
    history = [
        {"at": s.step.at, "metrics": dict(s.step.metrics), "seconds": s.seconds} for s in steps
    ]
    kinds = {k: "numpy" if isinstance(v, np.ndarray) else "torch" for k, v in state.arrays.items()}
    meta = {"values": state.values, "steps": history, "kinds": kinds}
    if trial is not None:
        meta["trial"] = {"seed": trial.seed, "params": trial.param_values()}
    metadata = {"checkpoint": json.dumps(meta)}
    return serialize(state.arrays, metadata)


def serialize(arrays: Mapping[str, Any], metadata: dict[str, str] | None = None) -> bytes:
    """Serialize numpy arrays and torch tensors as safetensors."""
    if all(isinstance(value, np.ndarray) for value in arrays.values()):
        import safetensors.numpy

        plain = {key: np.ascontiguousarray(value) for key, value in arrays.items()}
        return safetensors.numpy.save(plain, metadata=metadata)
    import safetensors.torch
    import torch

    tensors = {
        key: torch.as_tensor(value).detach().cpu().contiguous().clone()
        for key, value in arrays.items()
    }
    return safetensors.torch.save(tensors, metadata=metadata)


def decode(blob: bytes, device: str) -> tuple[State, list[TimedStep]]:
    """Invert ``encode``. Torch tensors are moved to ``device``.

    Raises:
        ValueError: if the blob is not a checkpoint.
    """
    (length,) = struct.unpack("<Q", blob[:8])
    meta = _meta(blob[8 : 8 + length])
    kinds = meta["kinds"]
    arrays: dict[str, Any]
    if "torch" in kinds.values():
        import safetensors.torch

        loaded = safetensors.torch.load(blob)
        arrays = {
            key: loaded[key].to(device) if kind == "torch" else loaded[key].numpy()
            for key, kind in kinds.items()  # in the order in which they were saved
        }
    else:
        import safetensors.numpy

        loaded_numpy = safetensors.numpy.load(blob)
        arrays = {key: loaded_numpy[key] for key in kinds}
    return State(arrays=arrays, values=meta["values"]), _steps(meta)


def _meta(header: bytes) -> dict[str, Any]:
    meta: dict[str, Any] = json.loads(json.loads(header)["__metadata__"]["checkpoint"])
    return meta


def _steps(meta: Mapping[str, Any]) -> list[TimedStep]:
    return [
        TimedStep(step=Step(at=s["at"], metrics=s["metrics"]), seconds=s["seconds"])
        for s in meta["steps"]
    ]


def _read(filesystem: pyarrow.fs.FileSystem, path: str) -> bytes:
    """Read a file; try again if a bucket is slow or refuses, since the trial would start again.

    Raises:
        FileNotFoundError: if it does not exist.
        StoreError: if no attempt succeeds.
    """
    cause: OSError | None = None
    for attempt in range(1, NUM_READS + 1):
        if cause is not None:
            time.sleep(attempt - 1)
        try:
            return read_whole(filesystem, path)
        except FileNotFoundError:
            raise
        except OSError as error:
            cause = error
    why = cause and (cause.strerror or cause)
    raise StoreError(f"cannot read {path}: {why}") from cause


class Checkpoints:
    """The checkpoints of one sweep, in the files ``<uri>/<trial id>.safetensors``."""

    def __init__(self, uri: str, weights: WeightStore | None = None) -> None:
        """``weights`` is where workers write the weights of finished trials, None to keep none."""
        self.uri, self.weights = absolute(uri), weights

    def save(
        self,
        trial_id: str,
        state: State,
        steps: Sequence[TimedStep],
        trial: Trial | None = None,
    ) -> None:
        """Replace the checkpoint of a trial atomically.

        Raises:
            StoreError: if it cannot be written.
        """
        filesystem, folder = open_filesystem(self.uri)
        path = f"{folder}/{trial_id}.safetensors"
        if isinstance(filesystem, pyarrow.fs.LocalFileSystem):
            try:
                os.makedirs(folder, exist_ok=True)
            except OSError as error:
                raise StoreError(f"cannot write {path}: {error.strerror or error}") from error
        # Not durable: after a power failure, the trial only runs some steps again.
        atomic_write(filesystem, path, encode(state, steps, trial), durable=False)

    def load(self, trial_id: str, device: str) -> tuple[State, list[TimedStep]] | None:
        """Return the checkpoint of a trial, None if it does not exist or is damaged.

        Raises:
            StoreError: if it exists, but several attempts to read it failed.
        """
        filesystem, folder = open_filesystem(self.uri)
        try:
            blob = _read(filesystem, f"{folder}/{trial_id}.safetensors")
        except FileNotFoundError:
            return None
        try:
            return decode(blob, device)
        except Exception:  # a damaged file: the trial starts again
            return None

    def trial_ids(self) -> set[str]:
        """Return the ids of the trials that have a checkpoint, possibly of several sweeps."""
        filesystem, folder = open_filesystem(self.uri)
        selector = pyarrow.fs.FileSelector(folder, allow_not_found=True)
        names = (info.base_name for info in filesystem.get_file_info(selector))
        return {n.removesuffix(".safetensors") for n in names if n.endswith(".safetensors")}

    def interrupted_trials(self) -> list[InterruptedTrial]:
        """Return the trials that have a checkpoint. Reads only the header of each file."""
        filesystem, folder = open_filesystem(self.uri)
        selector = pyarrow.fs.FileSelector(folder, allow_not_found=True)
        found = []
        for info in sorted(filesystem.get_file_info(selector), key=lambda info: info.path):
            if not info.path.endswith(".safetensors"):
                continue
            try:
                with filesystem.open_input_file(info.path) as file:
                    (length,) = struct.unpack("<Q", file.read(8))
                    meta = _meta(file.read(min(length, info.size)))
                one = InterruptedTrial(
                    trial_id=os.path.basename(info.path).removesuffix(".safetensors"),
                    seed=meta["trial"]["seed"],
                    params=meta["trial"]["params"],
                    steps=_steps(meta),
                )
            except Exception:  # damaged or written by an earlier version: the trial starts again
                continue
            found.append(one)
        return found

    def delete(self, trial_id: str) -> None:
        """Delete the checkpoint of a trial, if it exists."""
        filesystem, folder = open_filesystem(self.uri)
        try:
            filesystem.delete_file(f"{folder}/{trial_id}.safetensors")
        except (FileNotFoundError, OSError):
            return
