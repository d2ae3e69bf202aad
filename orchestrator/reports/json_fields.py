"""The fields of the JSON documents of ``list``, ``report``, ``compare``, ``check`` and ``show``.

Numbers are unrounded, in the units of the Parquet tables.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from results.claims.verdicts import VERDICTS
from results.compare.cells import CellComparison
from results.export import Document, Export
from results.export.records import records_of
from results.render.claims_table import ClaimsTable
from results.storage.reading import Sweep
from results.storage.weights import weights_of
from results.tables.details import DetailTable
from results.tables.overview import Overview

Fields = dict[str, Any]


def overview_fields(found: Sequence[Overview]) -> Fields:
    """The fields of ``list``."""
    return {"sweeps": [_overview(each) for each in found]}


def _overview(one: Overview) -> Fields:
    record = one.record()
    return {"task": record.pop("task"), "name": record.pop("sweep"), **record}


def report_fields(sweeps: Sequence[Sweep], documents: Sequence[Document]) -> Fields:
    """The fields of ``report``, and of ``sweep`` when it has run."""
    pairs = zip(sweeps, documents, strict=True)
    return {"sweeps": [{**_identity(s), "tables": table_fields(d)} for s, d in pairs]}


def _identity(sweep: Sweep) -> Fields:
    manifest = sweep.manifest
    counts = Counter(row["status"] for row in sweep.current_rows())
    return {
        "task": manifest.task,
        "name": manifest.name,
        "path": sweep.path,
        "metric": manifest.metric.name,
        "direction": manifest.metric.direction,
        "trials_by_status": dict(counts),
    }


def table_fields(document: Document) -> list[Fields]:
    """The tables of a document, each with its rows as records."""
    return [_table(each) for each in document.tables]


def _table(export: Export) -> Fields:
    table = export.table
    return {
        "name": export.name,
        "title": table.title,
        "notes": list(table.caption),
        "records": records_of(export),
    }


def claims_fields(sweep: Sweep, claims: ClaimsTable, document: Document) -> Fields:
    """The fields of ``check``."""
    counts = Counter(claim.verdict for claim in claims.claims)
    return {
        "sweep": sweep.manifest.full_name,
        "verdicts": {verdict: counts[verdict] for verdict in VERDICTS},
        "tables": table_fields(document),
    }


def difference_fields(found: CellComparison, names: Sequence[str], tolerance: float) -> Fields:
    """The fields of ``check --against`` and ``replay``."""
    return {
        "sweep": names[0],
        "against": names[1],
        "tolerance": tolerance,
        "num_trials": found.num_trials,
        "num_differences": found.num_differences,
        "differences": rows_as_records(found.table, ("configuration", "what", "first", "second")),
    }


def rows_as_records(table: DetailTable, names: Sequence[str]) -> list[Fields]:
    """The rows of a table of text under other names than its headings."""
    return [dict(zip(names, row, strict=True)) for row in table.rows]


def sweep_fields(sweep: Sweep, trials: Sequence[Mapping[str, Any]]) -> Fields:
    """The fields of ``show``: the content of ``sweep.json``, and the trials that are shown."""
    return {"sweep": {**_identity(sweep), **_origin(sweep)}, "trials": list(trials)}


def _origin(sweep: Sweep) -> Fields:
    manifest = sweep.manifest
    return {
        "command": list(manifest.command),
        "started": manifest.first_started or manifest.started,
        "seconds": manifest.earlier_seconds + manifest.seconds,
        "num_runs": manifest.num_runs,
        "engine": manifest.engine,
        "model": manifest.model,
        "data": manifest.data,
        "commit": manifest.git.commit if manifest.git else None,
        "versions": dict(manifest.versions),
        "hardware": dict(manifest.hardware),
    }


def trial_fields(sweep: Sweep, trial: Mapping[str, Any]) -> Fields:
    """The fields of ``show NAME TRIAL``: its row, all steps, and the size of its weights."""
    kept = weights_of(sweep, [trial]).get(trial["trial_id"])
    return {
        "sweep": {**_identity(sweep), **_origin(sweep)},
        "trial": dict(trial),
        "steps": sweep.steps_of(trial["trial_id"]),
        "weights_bytes": kept[1] if kept else None,
    }
