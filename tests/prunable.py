"""Sweeps to prune, and crashes during the removal."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from simulated import simulate

import orchestrator.pruning.remove as removal
from results.storage.folder_files import list_files
from results.storage.reading import Sweep, find_sweeps, read_sweep
from results.storage.run_lock import run_lock
from results.storage.schema import TABLES
from results.storage.weights import WeightStore

DAY = 86400


def make_ended_sweep(out: Path, name: str) -> Sweep:
    """A sweep whose run has ended."""
    sweep = simulate("toy", out, name=name)
    with run_lock(sweep.filesystem, sweep.path):
        return sweep


def sweep_names(out: Path | str) -> list[str]:
    return [name for _, name in find_sweeps(str(out))]


def file_names(out: Path) -> set[str]:
    return {str(p.relative_to(out)) for p in out.rglob("*") if p.is_file()}


def keep_weights(out: Path | str, name: str, num_bytes: int = 1000) -> list[str]:
    """Write weight files of zeros for two trials of a sweep."""
    ids = [row["trial_id"] for row in read_sweep(str(out), "toy", name).rows()[:2]]
    for trial_id in ids:
        WeightStore(str(out), "toy", name).write(trial_id, bytes(num_bytes))
    return ids


def set_age(folder: Path, days: float) -> None:
    then = time.time() - days * DAY
    for path in folder.rglob("*"):
        os.utime(path, (then, then))


class Crash(BaseException):
    """Stands for a kill in the middle of the code."""


@contextlib.contextmanager
def crash_after(number: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Raise ``Crash`` instead of a deletion, after this number of deletions."""
    left = [number]
    delete = removal._delete

    def dying(filesystem: Any, path: str) -> None:
        info = filesystem.get_file_info(path)
        if info.type.name == "Directory" and os.path.basename(path) in TABLES:
            for part in list_files(filesystem, path):  # a folder goes file by file
                if left[0] == 0:
                    raise Crash
                left[0] -= 1
                filesystem.delete_file(part.path)
        if left[0] == 0:
            raise Crash
        left[0] -= 1
        delete(filesystem, path)

    with monkeypatch.context() as patch:
        patch.setattr(removal, "_delete", dying)
        try:
            yield
        except Crash:
            return
