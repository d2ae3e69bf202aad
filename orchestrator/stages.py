"""Shared work, each distinct stage once: in process here, as Ray tasks in ``ray_engine``.

A value can outlive its sweep in a folder or bucket, under its content id: safetensors or Arrow,
never pickle, written beside and renamed, so that two processes may write one value at once.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.fs

from orchestrator.deadline import limit
from orchestrator.engine import Work
from results.roots import open_root, redact
from results.store import put
from tasks.contract import Inputs, Stage, StoreError, Task, Trial, Value
from tasks.progress import Receiver, Throttle, reporting


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


class StageCache:
    """Stage values kept for later sweeps, one file each under ``uri``; None keeps nothing."""

    def __init__(self, uri: str | None) -> None:
        self.uri = uri

    def prepare(self) -> None:
        """Make the folder.

        Raises:
            StoreError: if that cannot be.
        """
        if self.uri is None:
            return
        filesystem, folder = open_root(self.uri)
        try:
            filesystem.create_dir(folder, recursive=True)
        except OSError as error:
            raise StoreError(
                f"--cache {redact(self.uri)} cannot be a folder: {redact(str(error))}"
            ) from None

    def load(self, stage: Stage) -> Value | None:
        """The kept value; None if there is none, or none that can be read."""
        if self.uri is None:
            return None
        filesystem, folder = open_root(self.uri)
        for suffix, decode in ((".safetensors", _decode_arrays), (".arrow", _decode_table)):
            try:
                with filesystem.open_input_file(f"{folder}/{stage.key}{suffix}") as file:
                    return decode(file.read_buffer())
            except FileNotFoundError:
                continue
            except Exception:  # damaged: it is computed again and replaced, which costs only time
                return None
        return None

    def save(self, stage: Stage, value: Value) -> None:
        """Keep a value whole or not at all; one that is neither arrays nor a table is not kept.

        Raises:
            StoreError: if it cannot be written.
        """
        if self.uri is None:
            return
        encoded = encode(value)
        if encoded is not None:
            suffix, blob = encoded
            filesystem, folder = open_root(self.uri)
            put(filesystem, f"{folder}/{stage.key}{suffix}", blob)


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


class LocalStages:
    """Stage values kept in this process for the length of a sweep."""

    def __init__(self, work: Work, device: str) -> None:
        self._work, self._device = work, device
        self._values: dict[str, Value] = {}
        self._throttle = Throttle()

    def get(self, stage: Stage) -> Value:
        """The stage's value, computed at its first use."""
        if stage.key not in self._values:
            value = self._work.cache.load(stage)
            if value is None:
                needs = [self.get(need) for need in stage.needs]
                began = time.perf_counter()
                with reporting(self._receiver(stage), self._throttle):
                    value = compute(stage, needs, self._device, self._work.deadline)
                self._work.stage_done(stage, time.perf_counter() - began)
                with contextlib.suppress(StoreError):  # it is there, though it cannot be kept
                    self._work.cache.save(stage, value)
            else:
                self._work.stage_done(stage, None)
            self._values[stage.key] = value
        return self._values[stage.key]

    def _receiver(self, stage: Stage) -> Receiver:
        self._work.stage_progressed(stage, 0.0)
        return lambda share, next_at: self._work.stage_progressed(stage, share)

    def inputs(self, trials: Sequence[Trial]) -> Inputs:
        """What a pack reads."""
        return {stage: self.get(stage) for stage in needed_stages(self._work.task, trials)}
