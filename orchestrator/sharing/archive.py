"""``archive``: writes a sweep's tables, environment, space and weights to one file."""

from __future__ import annotations

import io
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import IO

import pyarrow as pa
import pyarrow.compute as pc
from rich.console import Console

from orchestrator.reports.files import check_target
from results.archive.files import Entry, write_archive
from results.storage.filesystem import open_filesystem
from results.storage.manifest import Manifest
from results.storage.manifest_parts import Environment
from results.storage.reading import read_sweep
from results.storage.schema import TABLES
from results.storage.store import encode_part
from results.storage.weights import SUFFIX, WeightStore, weights_of
from results.tables.looks import FILE as LOOKS
from results.tables.looks import read_looks
from results.tables.overview import num_planned, overview
from results.text import plural, print_line, size_text
from tasks.contract import RequestError


@dataclass(frozen=True, kw_only=True)
class ArchivedFacts:
    """What an archive contains."""

    num_bytes: int
    num_trials: int
    num_weights: int  # trials whose weights it contains
    is_complete: bool  # whether the sweep has a result for every trial
    damaged: Sequence[str]  # parts of tables that were left out


def archive_sweep(
    out: str, task: str, name: str, path: str, *, weights: bool = True, overwrite: bool = False
) -> ArchivedFacts:
    """Write a sweep to one file, atomically, and print what it contains.

    Args:
        out: the folder or URI that holds the results.
        task, name: the sweep.
        path: the local file to write.
        weights: whether to include kept weights.
        overwrite: whether to replace an existing file.

    Raises:
        RequestError: if the file exists, or the sweep has no finished trial.
        StoreError: if the sweep cannot be read, or the file cannot be written.
    """
    check_target(path)
    if os.path.exists(path) and not overwrite:
        raise RequestError(f"{path} exists; add --overwrite, or name another file")
    sweep = read_sweep(out, task, name)
    trials = sweep.trials  # read first: a trial's steps and samples are written before its row
    rows = sweep.current_rows()
    counts = Counter(row["status"] for row in rows)
    if not counts["finished"]:
        raise RequestError(f"{task}/{name} has no finished trial; run the sweep first")
    tables = {
        "trials": _number_workers(trials),
        "steps": _rows_of(trials, sweep.steps),
        "samples": _rows_of(trials, sweep.samples),
        "stages": sweep.stages,
    }
    kept = weights_of(sweep, rows) if weights else {}
    looks = sweep.read_file(LOOKS) if read_looks(sweep) else None  # raises if damaged
    for trial_id, (store, _) in kept.items():
        store.read(trial_id)  # raises if damaged
    entries = [
        *(_text(name, text) for name, text in texts(sweep.manifest).items()),
        *([_bytes(LOOKS, looks)] if looks else []),
        *(
            _bytes(f"{table}/archived.parquet", encode_part(tables[table], task, name))
            for table in (*TABLES, "stages")
            if tables[table].num_rows
        ),
        *(_weights(trial_id, store) for trial_id, (store, _) in sorted(kept.items())),
    ]
    size = write_archive(path, task, name, entries)
    console = Console()
    print_line(console, _describe(path, size, counts, {k: n for k, (_, n) in kept.items()}))
    state = overview(out, task, name).state
    unfinished = _unfinished(sweep.manifest, counts, state.startswith("running"))
    for line in (*unfinished, *(f"Damaged, left out: {part}" for part in sweep.damaged)):
        print_line(Console(stderr=True), line)
    return ArchivedFacts(
        num_bytes=size,
        num_trials=counts["finished"] + counts["stopped"],
        num_weights=len(kept),
        is_complete=not unfinished,
        damaged=sorted(set(sweep.damaged)),
    )


def texts(manifest: Manifest) -> dict[str, str]:
    """Return the text files of an archive: ``sweep.json``, and parts of it as separate files."""
    environment = manifest.environment or Environment()
    space = environment.space
    return {
        "sweep.json": manifest.to_text(),
        "requirements.lock": lock_text(manifest),
        **({"space.py": space.text} if space and space.text else {}),
        **({"changes.diff": environment.diff} if environment.diff else {}),
    }


def lock_text(manifest: Manifest) -> str:
    """Return a requirements file, with comments for packages from local folders."""
    environment, versions = manifest.environment, manifest.versions
    lines = [f"# Python {versions.get('python', '?')}; the environment of the sweep's last run"]
    if environment is None:
        lines.append("# an earlier version recorded only these")
        return "\n".join([*lines, *(f"{n}=={v}" for n, v in versions.items() if n != "python"), ""])
    for line in environment.distributions:
        is_local = line.partition("==")[0] in environment.local
        lines.append(f"# {line} was installed from a folder or repository" if is_local else line)
    return "\n".join([*lines, ""])


def _rows_of(trials: pa.Table, rows: pa.Table) -> pa.Table:
    """Return the rows of these trials. A running sweep may have written rows of others since."""
    if not rows.num_rows:
        return rows
    return rows.filter(pc.is_in(rows["trial_id"], value_set=trials["trial_id"].combine_chunks()))


def _number_workers(trials: pa.Table) -> pa.Table:
    """Replace each ``host:pid`` by ``worker 1`` and so on: an archive may be published."""
    place = trials.schema.get_field_index("worker")
    if place < 0:
        return trials
    names = trials["worker"].to_pylist()
    numbers = {name: number for number, name in enumerate(dict.fromkeys(filter(None, names)), 1)}
    workers = [f"worker {numbers[name]}" if name else None for name in names]
    field = trials.schema.field(place)
    return trials.set_column(place, field, pa.array(workers, field.type))


def _text(name: str, text: str) -> Entry:
    return _bytes(name, text.encode())


def _bytes(name: str, blob: bytes) -> Entry:
    return Entry(name=name, open=lambda: io.BytesIO(blob))


def _weights(trial_id: str, store: WeightStore) -> Entry:
    def opened() -> IO[bytes]:
        filesystem, folder = open_filesystem(store.uri)
        stream: IO[bytes] = filesystem.open_input_stream(f"{folder}/{trial_id}{SUFFIX}")
        return stream

    return Entry(name=f"weights/{trial_id}{SUFFIX}", open=opened)


def _describe(path: str, size: int, counts: Mapping[str, int], kept: Mapping[str, int]) -> str:
    number = plural(counts["finished"] + counts["stopped"], "trial")
    line = f"Wrote {path} ({size_text(size)}): {number}"
    if kept:
        line += (
            f", with the weights of {len(kept)} ({size_text(sum(kept.values()))}; use --no-weights "
            "to leave them out)"
        )
    return f"{line}."


def _unfinished(manifest: Manifest, counts: Mapping[str, int], is_running: bool) -> list[str]:
    """Return a warning with the number of missing trials, if the sweep is not complete."""
    total = num_planned(manifest, counts)
    done = counts["finished"] + counts["stopped"]
    missing = total - done if total is not None else counts["failed"] + counts["interrupted"]
    if missing <= 0:
        return []
    state = "is running" if is_running else "is not complete"
    of = f" of {total}" if total is not None else ""
    return [f"Warning: the sweep {state}: {missing}{of} trials have no result yet."]
