"""Trials between two steps, on disk or in a bucket: safetensors, never pickle.

One file a trial, named by its content id, so that any engine, machine or later run goes on from it.
It holds the state and the steps behind it: a resumed trial has its whole curve.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow.fs

from results.storage.atomic_write import atomic_write
from results.storage.filesystem import absolute, open_filesystem
from results.storage.weights import WeightStore
from tasks.contract import Scalar, State, Step, StoreError, Trial


@dataclass(frozen=True, kw_only=True, slots=True)
class TimedStep:
    """A step and the seconds it took."""

    step: Step
    seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Interrupted:
    """A trial that has a checkpoint: what it is, and its steps so far."""

    trial_id: str
    seed: int
    params: Mapping[str, Scalar]
    steps: Sequence[TimedStep]


def encode(state: State, steps: Sequence[TimedStep], trial: Trial | None = None) -> bytes:
    """A checkpoint as one safetensors blob; numpy arrays and torch tensors both come back."""
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
    """Numpy arrays and torch tensors, also of both kinds together, as a safetensors file."""
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
    """The inverse of ``encode``; torch tensors are placed on ``device``.

    Raises:
        ValueError: if the blob is no checkpoint of ours.
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
            for key, kind in kinds.items()  # in the order they were saved in
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


class Checkpoints:
    """The checkpoints of one sweep, under ``<uri>/<trial id>.safetensors``.

    Whoever saves checkpoints also writes the ``weights`` of trials that finish, if they are kept.
    """

    def __init__(self, uri: str, weights: WeightStore | None = None) -> None:
        self.uri, self.weights = absolute(uri), weights

    def save(
        self,
        trial_id: str,
        state: State,
        steps: Sequence[TimedStep],
        trial: Trial | None = None,
    ) -> None:
        """Replace the trial's checkpoint whole.

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
        # Not durable: after a power cut the trial runs some steps again, which costs only time.
        atomic_write(filesystem, path, encode(state, steps, trial), durable=False)

    def load(self, trial_id: str, device: str) -> tuple[State, list[TimedStep]] | None:
        """The trial's last checkpoint; None if there is none, or none that can be read."""
        filesystem, folder = open_filesystem(self.uri)
        try:
            with filesystem.open_input_stream(f"{folder}/{trial_id}.safetensors") as stream:
                blob = stream.read()
            return decode(blob, device)
        except FileNotFoundError:
            return None
        except Exception:  # damaged: the trial starts again, which costs time but no truth
            return None

    def trial_ids(self) -> set[str]:
        """The trials that have a checkpoint here, which may be those of several sweeps."""
        filesystem, folder = open_filesystem(self.uri)
        selector = pyarrow.fs.FileSelector(folder, allow_not_found=True)
        names = (info.base_name for info in filesystem.get_file_info(selector))
        return {n.removesuffix(".safetensors") for n in names if n.endswith(".safetensors")}

    def interrupted(self) -> list[Interrupted]:
        """The trials that have a checkpoint here; of each file the header alone is read."""
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
                one = Interrupted(
                    trial_id=os.path.basename(info.path).removesuffix(".safetensors"),
                    seed=meta["trial"]["seed"],
                    params=meta["trial"]["params"],
                    steps=_steps(meta),
                )
            except Exception:  # damaged, or of an earlier version: the trial starts again
                continue
            found.append(one)
        return found

    def drop(self, trial_id: str) -> None:
        """Delete the trial's checkpoint, if there is one."""
        filesystem, folder = open_filesystem(self.uri)
        try:
            filesystem.delete_file(f"{folder}/{trial_id}.safetensors")
        except (FileNotFoundError, OSError):
            return
