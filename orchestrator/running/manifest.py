"""Makes ``sweep.json``: what the tables need, and where the results come from."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from orchestrator.environment import provenance
from orchestrator.environment.describe import describe_environment
from orchestrator.functions.task import FunctionTask
from orchestrator.planning.errata import plan_errata
from orchestrator.planning.plan import PlannedRow
from orchestrator.planning.planned_claims import PublishedRows, plan_claims, plan_published
from orchestrator.request import Request
from orchestrator.running.notify import hide_url
from orchestrator.running.recorded import RecordedSweep
from results.redaction import redact
from results.storage.manifest import Manifest
from results.storage.manifest_parts import (
    Environment,
    ReplaySource,
    ReportRow,
    ReportTable,
    SpaceText,
)
from search_spaces.space import Table
from tasks.contract import Task

if TYPE_CHECKING:
    from orchestrator.running.plan import Plan

#: Fields on the origin of results. A run that finds every trial done keeps the earlier values.
ORIGIN = ("versions", "git", "hardware", "environment", "sources")
RUNS = ("started", "seconds", "engine", "first_started", "earlier_seconds", "num_runs")

#: Fields that the tables need. A replay copies them from the sweep that it runs again.
TABLE = (
    *("columns", "metric", "paired", "front", "shown_samples", "step_unit", "signatures"),
    *("space", "search", "seeds", "tables", "claims", "published", "errata", "tolerance"),
)


def _scoring_params(task: Task) -> tuple[str, ...]:
    """Return the parameters that change what the main metric measures, such as CLIPScore's CLIP."""
    needed = task.metric_params.get(task.metric.name)
    return (*task.scoring_params, *([needed] if needed is not None else []))


def make_manifest(
    plan: Plan, types: Mapping[str, str], started: datetime, seconds: float
) -> Manifest:
    """Return the content of ``sweep.json``. ``types`` are the types of the task's parameters."""
    task, before = plan.task, plan.manifest_before
    published = PublishedRows(space=plan.space, planned=plan.planned, task=task)
    claims = plan_claims(published) if plan.space.is_report else []
    return Manifest(
        task=task.name,
        version=task.version,
        name=plan.name,
        space=plan.space.name,
        request=plan.identity.record(),
        sources=plan.sources,
        function=task.reference if isinstance(task, FunctionTask) else None,
        command=command_of(plan.request),
        versions=provenance.versions(),
        git=provenance.git(),
        hardware=provenance.hardware(),
        environment=describe_environment(task.name, plan.space),
        started=started.isoformat(),
        seconds=round(seconds, 3),
        engine=plan.request.engine,
        first_started=None if before is None else before.first_started or before.started,
        earlier_seconds=0.0 if before is None else before.earlier_seconds + before.seconds,
        num_runs=1 if before is None else before.num_runs + 1,
        search=plan.search() if plan.space.search else None,
        keep=plan.keep if task.has_weights else None,
        params=dict(types),
        columns=tuple(task.columns),
        metric=task.metric,
        paired=tuple(task.per_sample),
        front=task.pareto_front,
        scoring_params=_scoring_params(task),
        shown_samples=tuple(task.shown_samples) or None,
        step_unit=task.step_unit,
        tolerance=task.tolerance,
        signatures=dict(task.signatures()),
        tables=tuple(plan_tables(plan)) if plan.space.is_report else (),
        claims=tuple(claims),
        published=plan_published(published),
        errata=tuple(plan_errata(published, claims)) if plan.space.is_report else (),
        seeds=tuple(sorted({*plan.seeds_before, *plan.seeds})),
        num_trials=len(plan.trials) or plan.request.trials * len(plan.seeds),
        model=plan.factory.model,
        data=plan.factory.data,
    )


def command_of(request: Request) -> tuple[str, ...]:
    """How to run the sweep again: the command, or the call of a program or notebook."""
    if request.call:
        return (redact(request.call),)
    return ("python", "-m", "orchestrator", *hide_url(sys.argv[1:]))


def replay_manifest(made: Manifest, recorded: RecordedSweep) -> Manifest:
    """Return the manifest of a replay: its own origin, and the archive's tables and claims."""
    before = recorded.manifest
    space = before.environment.space if before.environment else None
    environment = made.environment or Environment()
    return dataclasses.replace(
        made,
        **{key: getattr(before, key) for key in TABLE if key in before.as_read},
        environment=dataclasses.replace(environment, space=space or SpaceText(name=before.space)),
        replay_of=ReplaySource(name=before.name, digest=recorded.digest),
    )


def with_origin_of(made: Manifest, before: Manifest) -> Manifest:
    """Return the manifest with the origin that an earlier run recorded."""
    recorded = [key for key in ORIGIN if key in before.as_read]
    return dataclasses.replace(made, **{key: getattr(before, key) for key in (*recorded, *RUNS)})


def plan_tables(plan: Plan) -> list[ReportTable]:
    """Return the tables of a REPORT. Rows that ``--set`` changes get no published numbers.

    Numbers of metrics that the task does not have on this data (``Task.for_data``) are left out.
    """
    metrics = {column.key.removeprefix("metric.") for column in plan.task.columns}

    def known(numbers: Mapping[str, float]) -> dict[str, float]:
        return {k: number for k, number in numbers.items() if k.rpartition(".")[2] in metrics}

    return [
        ReportTable(
            title=table.title,
            note=_note(table, rows),
            source=table.source,
            rows=tuple(
                ReportRow(
                    label=None if row.changed else row.row.label,
                    params=row.trials[0].param_values(),
                    report={} if row.changed else known(row.row.report),
                    published={} if row.changed else known(row.row.published),
                )
                for row in rows
            ),
        )
        for table, rows in zip(plan.space.tables, plan.planned, strict=True)
    ]


def _note(table: Table, rows: Sequence[PlannedRow]) -> str:
    """Return the table's note, or an explanation if ``--set`` changes its rows."""
    changed = {name for row in rows for name in row.changed}
    if not changed:
        return table.note
    names = " and ".join(f"--set {name}" for name in sorted(changed))
    every = all(row.changed for row in rows)
    return (
        f"{'The' if every else 'Some'} rows have no published numbers, because {names} makes them "
        "another configuration."
    )
