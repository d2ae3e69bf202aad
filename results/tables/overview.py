"""Summarize the sweeps under a folder in one line each: state, progress and best value."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow.fs

from results.json_values import to_json_value
from results.storage.folder_files import last_write, num_bytes, sweep_files
from results.storage.manifest import Manifest
from results.storage.reading import Sweep, read_sweep
from results.storage.run_lock import Activity, activity
from results.tables.details import DetailTable
from results.tables.summary import format_value
from results.text import plural, size_text
from tasks.contract import Scalar, StoreError

_HEADINGS = ("sweep", "state", "trials", "best", "size", "started", "model, data")


@dataclass(frozen=True, kw_only=True, slots=True)
class Overview:
    """The line of one sweep that ``list`` prints."""

    name: str  # task/name
    #: complete, partial, running, running?, interrupted, 2 failed, 1 cancelled or damaged; pausing,
    #: paused or stopping if a process says so.
    state: str
    trials: str  # "7/8", or "7" if the total is unknown
    best: str  # the main metric of the best configuration, a mean over seeds
    size: int  # bytes of all files, including weights and figures
    started: datetime | None
    sources: str  # model and data, by the last part of their names
    problem: str = ""  # why the sweep cannot be read
    num_done: int = 0  # trials with a result
    num_failed: int = 0
    num_planned: int | None = None  # trials when all have run, if that is known
    metric: str | None = None  # the main metric
    best_value: float | None = None  # in the unit of the Parquet tables
    model: str | None = None
    data: str | None = None

    def record(self) -> dict[str, Scalar]:
        """Return its values, not rounded, by the names of columns in CSV and in ``query``."""
        task, _, sweep = self.name.partition("/")
        return {
            "task": task,
            "sweep": sweep,
            "state": self.state,
            "num_done": self.num_done,
            "num_failed": self.num_failed,
            "num_planned": self.num_planned,
            "metric": self.metric,
            "best": self.best_value,
            "bytes": self.size,
            "started": to_json_value(self.started),
            "model": self.model,
            "data": self.data,
            "problem": self.problem or None,
        }

    @property
    def is_running(self) -> bool:
        """Whether it runs, as far as can be seen."""
        return self.state.startswith("running") or self.state in ("pausing", "paused", "stopping")


def overview(root: str, task: str, name: str, now: datetime | None = None) -> Overview:
    """Return the line of one sweep. Its state is "damaged" if it cannot be read."""
    files = sweep_files(root, task, name)
    try:
        return overview_of(read_sweep(root, task, name), files, now or datetime.now(UTC))
    except StoreError as error:
        return damaged_overview(f"{task}/{name}", files, error)


def damaged_overview(
    name: str, files: Sequence[pyarrow.fs.FileInfo], error: StoreError
) -> Overview:
    """Return the line of a sweep, ``task/name``, that cannot be read."""
    return Overview(
        name=name,
        state="damaged",
        trials="-",
        best="-",
        size=num_bytes(files),
        started=None,
        sources="-",
        problem=str(error),
    )


def overview_of(sweep: Sweep, files: Sequence[pyarrow.fs.FileInfo], now: datetime) -> Overview:
    """Return the line of a sweep with these files.

    Raises:
        StoreError: if its trials cannot be read.
    """
    rows = sweep.current_rows()
    counts = Counter(row["status"] for row in rows)
    total = num_planned(sweep.manifest, counts)
    done = counts["finished"] + counts["stopped"]
    known = total is not None and total >= done + counts["failed"] + counts["cancelled"]
    return Overview(
        name=sweep.manifest.full_name,
        state=_state(counts, total, sweep, _activity(sweep, files, now)),
        trials=f"{done}/{total}" if known else str(done),
        best=best_text(sweep.manifest, value := best_value(sweep.manifest, rows)),
        size=num_bytes(files),
        started=_time(sweep.manifest.started),
        sources=f"{_short(sweep.manifest.model.name)}, {_short(sweep.manifest.data.name)}",
        num_done=done,
        num_failed=counts["failed"],
        num_planned=total if known else None,
        metric=sweep.manifest.metric.name,
        best_value=value,
        model=sweep.manifest.model.name,
        data=sweep.manifest.data.name,
    )


def num_planned(manifest: Manifest, counts: Mapping[str, int]) -> int | None:
    """Return the number of trials once all have run; None if unknown."""
    if manifest.num_trials is not None:
        return manifest.num_trials - manifest.num_left_out
    if manifest.tables:  # of an earlier version
        rows = [row for table in manifest.tables for row in table.rows]
        keys = {json.dumps(row.params, sort_keys=True) for row in rows}
        return len(keys) * len(manifest.seeds)
    one_seed = len(manifest.seeds) == 1  # otherwise, further seeds of pruned trials never run
    return manifest.search.trials if manifest.search and one_seed else None


def _state(counts: Mapping[str, int], total: int | None, sweep: Sweep, activity: Activity) -> str:
    done = counts["finished"] + counts["stopped"]
    failed = counts["failed"]
    cancelled = counts["cancelled"]
    is_over = total is not None and done + failed + cancelled >= total
    if activity == "running":
        return "running"
    if not is_over and not sweep.manifest.seconds:  # written when a run ends
        return "running?" if activity == "perhaps" else "interrupted"
    if failed:
        return f"{failed} failed"
    if total is not None and done + cancelled < total:
        return "partial"
    if cancelled:
        return f"{cancelled} cancelled"
    return "complete"


def _activity(sweep: Sweep, files: Sequence[pyarrow.fs.FileInfo], now: datetime) -> Activity:
    """Return whether the sweep is running, by its lock or by the last write to its files."""
    own = (f"{sweep.path}/trials/", f"{sweep.path}/sweep.json")
    latest = last_write(info for info in files if info.path.startswith(own))
    return activity(sweep.filesystem, sweep.path, bool(sweep.manifest.seconds), latest, now)


def best_value(manifest: Manifest, rows: Sequence[Mapping[str, Any]]) -> float | None:
    """Return the main metric of the best configuration that finished, a mean over seeds."""
    main = manifest.main_key
    column = manifest.main_column
    stored = main.replace("metric.", "best.", 1) if column.pick == "best" else main
    values: dict[str, list[float]] = {}
    for row in rows:
        value = row.get(stored)
        if row["status"] == "finished" and value is not None and value == value:
            params = {key: each for key, each in row.items() if key.startswith("param.")}
            values.setdefault(json.dumps(params, sort_keys=True), []).append(value)
    choose = max if manifest.maximize else min
    return choose((float(np.mean(each)) for each in values.values()), default=None)


def best_text(manifest: Manifest, value: float | None) -> str:
    """``i2t_r1 56.80``, or a dash without a value."""
    if value is None:
        return "-"
    return f"{manifest.metric.name} {format_value(value, manifest.main_column.format)}"


def _short(name: str) -> str:
    """Return the last part of each path in a name: ``photos`` for ``folder:/a/photos``."""
    parts = (part.rstrip("/").rsplit("/", 1)[-1] for part in name.split("+"))
    return "+".join(parts)


def _time(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError):
        return None


def format_when(time: datetime | None, now: datetime) -> str:
    """Format a time as ``Nov 26 15:04``, or ``2025-03`` in another year; ``-`` if unknown."""
    if time is None:
        return "-"
    if time.year != now.astimezone().year:
        return time.strftime("%Y-%m")
    return time.strftime("%b %d %H:%M")


def overview_table(found: Sequence[Overview], now: datetime | None = None) -> DetailTable:
    """Return the lines as a table of text, for the terminal and every export."""
    now = now or datetime.now(UTC)
    return DetailTable(
        title=plural(len(found), "sweep"),
        headings=list(_HEADINGS),
        rows=[
            [
                *(one.name, one.state, one.trials, one.best),
                *(size_text(one.size), format_when(one.started, now), one.sources),
            ]
            for one in found
        ],
        caption=[f"{one.name}: {one.problem}" for one in found if one.problem],
        records=[one.record() for one in found],
    )
