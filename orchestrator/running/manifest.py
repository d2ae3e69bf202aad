"""``sweep.json``: what a table needs, and where the results come from."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from orchestrator.environment import provenance
from orchestrator.environment.describe import describe_environment
from orchestrator.planning.errata import plan_errata
from orchestrator.planning.plan import PlannedRow
from orchestrator.planning.planned_claims import Published, plan_claims, plan_published
from orchestrator.running.recorded import RecordedSweep
from results.storage.filesystem import redact
from search_spaces.space import Table

if TYPE_CHECKING:
    from orchestrator.running.plan import Plan

#: Where results come from: kept from the earlier run if a run finds every trial done.
ORIGIN = ("versions", "git", "hardware", "environment")

#: What a table needs: a replay has it from the sweep that it runs again.
TABLE = (
    *("columns", "metric", "paired", "front", "shown_samples", "step_unit", "signatures"),
    *("space", "search", "seeds", "tables", "claims", "published", "errata", "tolerance"),
)


def make_manifest(
    plan: Plan, types: Mapping[str, str], started: datetime, seconds: float
) -> dict[str, Any]:
    """The content of ``sweep.json``; ``types`` are those of the task's parameters."""
    task = plan.task
    published = Published(space=plan.space, planned=plan.planned, task=task)
    claims = plan_claims(published) if plan.space.is_report else []
    sources = {"model": plan.factory.model, "data": plan.factory.data}
    return {
        "task": task.name,
        "version": task.version,
        "name": plan.name,
        "space": plan.space.name,
        "request": plan.identity.record(),
        "command": ["python", "-m", "orchestrator", *map(redact, sys.argv[1:])],
        "versions": provenance.versions(),
        "git": provenance.git(),
        "hardware": provenance.hardware(),
        "environment": describe_environment(task.name, plan.space),
        "started": started.isoformat(),
        "seconds": round(seconds, 3),
        "engine": plan.request.engine,
        "search": plan.search() if plan.space.search else None,
        "keep": plan.keep if task.has_weights else None,
        "params": dict(types),
        "columns": [dataclasses.asdict(column) for column in task.columns],
        "metric": dataclasses.asdict(task.metric),
        "paired": [dataclasses.asdict(each) for each in task.per_sample],
        "front": task.pareto_front,
        "scoring_params": list(task.scoring_params),
        "shown_samples": list(task.shown_samples) or None,
        "step_unit": task.step_unit,
        "tolerance": task.tolerance,
        "signatures": dict(task.signatures()),
        "tables": plan_tables(plan) if plan.space.is_report else [],
        "claims": claims,
        "published": plan_published(published),
        "errata": plan_errata(published, claims) if plan.space.is_report else [],
        "seeds": sorted({*plan.seeds_before, *plan.seeds}),
        "num_trials": len(plan.trials) or plan.request.trials * len(plan.seeds),
        **{name: dataclasses.asdict(source) for name, source in sources.items()},
    }


def replay_manifest(made: Mapping[str, Any], recorded: RecordedSweep) -> dict[str, Any]:
    """``sweep.json`` of a replay: its own origin, the recorded sweep's tables and claims."""
    before = recorded.manifest
    space = (before.get("environment") or {}).get("space") or {"name": before.get("space")}
    return {
        **made,
        **{key: before[key] for key in TABLE if key in before},
        "environment": {**made["environment"], "space": space},
        "replay_of": {"name": before["name"], "digest": recorded.digest},
    }


def plan_tables(plan: Plan) -> list[dict[str, Any]]:
    """The tables of a REPORT; a row has published numbers if it runs as published."""
    return [
        {
            "title": table.title,
            "note": _note(table, rows),
            "source": table.source,
            "rows": [
                {
                    "label": None if row.changed else row.row.label,
                    "params": row.trials[0].param_values(),
                    "report": {} if row.changed else dict(row.row.report),
                    "published": {} if row.changed else dict(row.row.published),
                }
                for row in rows
            ],
        }
        for table, rows in zip(plan.space.tables, plan.planned, strict=True)
    ]


def _note(table: Table, rows: Sequence[PlannedRow]) -> str:
    """The table's note; where ``--set`` changes its rows, that they are not the published ones."""
    changed = {name for row in rows for name in row.changed}
    if not changed:
        return table.note
    names = " and ".join(f"--set {name}" for name in sorted(changed))
    every = all(row.changed for row in rows)
    return (
        f"No published numbers beside {'the' if every else 'some'} rows: they are another "
        f"configuration, by {names}."
    )
