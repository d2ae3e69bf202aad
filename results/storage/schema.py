"""The columns of the Parquet tables, and the schema version."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

#: Version 2 added the status "interrupted" and the source of stages, version 3 "cancelled" and
#: the worker of trials.
VERSION = 3
VERSION_KEY = b"orchestrator.schema"
#: In the order in which they are written: a trial counts once its row in ``trials`` exists.
TABLES = ("steps", "samples", "trials")

#: The statuses of a trial, in the order in which charts list them. An interrupted trial has to run
#: again; a cancelled one runs again only on request.
STATUSES = ("finished", "stopped", "failed", "cancelled", "interrupted")
#: Of several rows of a trial, that with the lowest rank counts, then the latest: a failed trial may
#: be retried, then cancelled, and retried again.
RANKS = {"finished": 0, "stopped": 1, "failed": 1, "cancelled": 1, "interrupted": 2}
_NEEDED = {  # columns that every part of a table has, without nulls
    "trials": ("trial_id", "seed", "status"),
    "steps": ("trial_id", "seed", "at"),
    "samples": ("trial_id", "seed"),
    "stages": ("run", "key", "label", "uses"),
}

_TYPES = {"float": pa.float64(), "int": pa.int64(), "bool": pa.bool_(), "str": pa.string()}

#: The first columns of every table, so that tables of several sweeps can be concatenated. The store
#: adds them. Earlier versions did not: then they are filled in from the path of the folder.
SWEEP_COLUMNS = ("task", "sweep")
_SWEEP_TYPES = dict.fromkeys(SWEEP_COLUMNS, pa.string())

FIXED: Mapping[str, Mapping[str, pa.DataType]] = {
    "trials": {
        **_SWEEP_TYPES,
        "trial_id": pa.string(),
        "seed": pa.int64(),
        "status": pa.string(),  # one of STATUSES
        "reason": pa.string(),  # of a failure or cancellation, or why no more seeds ran; one line
        "log": pa.string(),  # of a failure: the last lines of its traceback
        "reused_from": pa.string(),  # the sweep that computed the trial, if it was another one
        "model": pa.string(),
        "model_fingerprint": pa.string(),
        "data": pa.string(),
        "data_fingerprint": pa.string(),
        "version": pa.string(),
        "started": pa.timestamp("us", tz="UTC"),
        "ended": pa.timestamp("us", tz="UTC"),
        "seconds": pa.float64(),  # the sum of the seconds of its steps
        "num_steps": pa.int64(),
        "worker": pa.string(),  # host:pid of the process of its last step; null before schema 3
    },
    "steps": {
        **_SWEEP_TYPES,
        "trial_id": pa.string(),
        "seed": pa.int64(),
        "at": pa.int64(),
        "seconds": pa.float64(),  # a pack's time for the step divided by the pack's members
    },
    "samples": {**_SWEEP_TYPES, "trial_id": pa.string(), "seed": pa.int64()},
    "stages": {
        **_SWEEP_TYPES,
        "run": pa.timestamp("us", tz="UTC"),  # the start of the run that used it
        "key": pa.string(),
        "label": pa.string(),
        "seconds": pa.float64(),  # the time to compute it; null if it was read from the disk
        "source": pa.string(),  # computed, kept (by an earlier run) or cache; null before schema 2
        "uses": pa.int64(),  # the number of trials of the run that used it
    },
}

#: The ``reason`` of a finished trial whose score was too low to run the next seed.
NO_MORE_SEEDS = "behind after this seed, so the configuration's other seeds did not run"


def to_table(table: str, columns: Mapping[str, list[Any]], params: Mapping[str, str]) -> pa.Table:
    """Convert columns to an Arrow table with the declared types.

    ``params`` maps each parameter to float, int, bool or str. ``metric.*`` and ``best.*`` are
    float64.
    """
    fields = [(name, _type(table, name, params)) for name in columns]
    arrays = [pa.array(columns[name], type=kind) for name, kind in fields]
    metadata = {VERSION_KEY: str(VERSION).encode()}
    schema = pa.schema(
        [pa.field(name, a.type) for (name, _), a in zip(fields, arrays, strict=True)], metadata
    )
    return pa.Table.from_arrays(arrays, schema=schema)


def _type(table: str, name: str, params: Mapping[str, str]) -> pa.DataType | None:
    if name in FIXED[table]:
        return FIXED[table][name]
    if name.startswith(("metric.", "best.")):
        return pa.float64()
    if name.startswith("param."):
        return _TYPES[params[name.removeprefix("param.")]]
    return None  # a column of samples, whose type Arrow infers


def is_part(table: str, rows: pa.Table) -> bool:
    """Return whether rows read from a file are a valid part of a table."""
    fixed, names = FIXED.get(table, {}), rows.column_names
    try:
        rows.validate(full=True)
        is_valid = (
            len(set(names)) == len(names)
            and all(name in names and not rows[name].null_count for name in _NEEDED[table])
            and all(rows[n].type == fixed.get(n, rows[n].type) for n in names)
            and all(
                rows[n].type == pa.float64() for n in names if n.startswith(("metric.", "best."))
            )
        )
        return is_valid and (
            table != "trials" or set(pc.unique(rows["status"]).to_pylist()) <= set(STATUSES)
        )
    except (pa.ArrowException, KeyError, ValueError):
        return False


def with_sweep(rows: pa.Table, task: str, sweep: str) -> pa.Table:
    """Set the columns ``task`` and ``sweep`` of rows to these values."""
    names = [name for name in rows.column_names if name not in SWEEP_COLUMNS]
    values = [pa.repeat(pa.scalar(value, pa.string()), len(rows)) for value in (task, sweep)]
    arrays = [*values, *(rows[name] for name in names)]
    return pa.table(arrays, names=[*SWEEP_COLUMNS, *names])


def fill_sweep(rows: pa.Table, task: str, sweep: str) -> pa.Table:
    """Return rows with ``task`` and ``sweep`` first, and fill them in if they are missing."""
    if not rows.num_columns:
        return rows
    values = dict(zip(SWEEP_COLUMNS, (task, sweep), strict=True))
    arrays = [
        pc.fill_null(rows[name], value)
        if name in rows.column_names
        else pa.repeat(pa.scalar(value, pa.string()), len(rows))
        for name, value in values.items()
    ]
    names = [name for name in rows.column_names if name not in SWEEP_COLUMNS]
    return pa.table([*arrays, *(rows[name] for name in names)], names=[*SWEEP_COLUMNS, *names])


def to_columns(rows: Iterable[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Convert rows to columns; missing values are None."""
    rows = list(rows)
    names = list(dict.fromkeys(name for row in rows for name in row))
    return {name: [row.get(name) for row in rows] for name in names}
