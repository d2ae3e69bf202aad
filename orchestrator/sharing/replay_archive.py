"""``replay``: runs the trials of an archive again and compares all numbers."""

from __future__ import annotations

import dataclasses

from rich.console import Console

from orchestrator.environment.differences import environment_differences
from orchestrator.functions.recorded import load_recorded_task
from orchestrator.planning import task_calls
from orchestrator.planning.spaces import Space
from orchestrator.request import Request
from orchestrator.running.naming import read_manifest
from orchestrator.running.plan import Plan
from orchestrator.running.recorded import RecordedSweep, recorded_trial
from orchestrator.running.recorded_plan import recorded_plan
from orchestrator.running.request_checks import check_options
from orchestrator.running.sweep import run_sweep
from orchestrator.saving.keep_policy import choose_keep
from results.archive.sweep import ArchivedSweep, read_archive
from results.compare.cells import CellComparison, compare_cells, stated_tolerance
from results.render.sweep_tables import DetailView
from results.storage.manifest import Manifest
from results.storage.reading import read_sweep
from results.storage.store import check_name
from results.text import plural, print_line
from tasks.contract import RequestError, Source, StoreError, Task, Trial

_WITH_RESULT = ("finished", "stopped")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Replayed:
    """The sweep that ran again, and how it differs from the archived one."""

    status: int  # 0 if all numbers agree, 1 if not, 130 if the run was interrupted
    full_name: str  # of the new sweep
    names: tuple[str, str]  # of the two sweeps, as they are printed
    tolerance: float
    comparison: CellComparison | None  # None if the run was interrupted


def replay_archive(path: str, request: Request, tolerance: float | None = None) -> Replayed:
    """Run an archive's trials again, compare all numbers, and print what differs.

    Args:
        path: the archive.
        request: the options of the new sweep; ``task`` is ignored.
        tolerance: absolute and relative tolerance; None for the task's.

    Raises:
        RequestError: if the file is not an archive, an option is wrong, or model or data differ.
        StoreError: if the archive is damaged, or this version of the task makes other trials.
    """
    archived = read_archive(path)
    request = dataclasses.replace(
        request, task=archived.archive.task, retry_failed=True, retry_cancelled=True
    )
    plan = plan_replay(archived, request)
    errors = Console(stderr=True)
    for line in (*_left_out(archived), *environment_differences(archived.manifest)):
        print_line(errors, line)
    status = run_sweep(plan)
    replayed = read_sweep(request.out, plan.task.name, plan.name)
    if tolerance is None:
        tolerance = stated_tolerance(archived, replayed)
    names = (f"archived {archived.archive.name}", plan.name)
    result = Replayed(
        status=status,
        full_name=replayed.manifest.full_name,
        names=names,
        tolerance=tolerance,
        comparison=None,
    )
    if status == 130:
        return result
    found = compare_cells(archived, replayed, names, tolerance)
    Console().print("", DetailView(found.table), sep="\n")
    return dataclasses.replace(result, status=int(found.num_differences > 0), comparison=found)


def plan_replay(archived: ArchivedSweep, request: Request) -> Plan:
    """Return a plan with exactly the trials that have a result in the archive.

    Raises:
        RequestError, StoreError: in the same cases as ``replay_archive``.
    """
    check_options(request)
    task = load_recorded_task(archived.manifest, "replay")
    model, data = _resolve_sources(task, archived.manifest, request)
    rows = [row for row in archived.current_rows() if row["status"] in _WITH_RESULT]
    if not rows:
        raise RequestError(f"{archived.archive.path} has no finished trial to run again")
    last = _last_steps(archived)
    trials: list[Trial] = []
    stops: dict[str, int] = {}
    for row in rows:
        trial = dataclasses.replace(recorded_trial(task, row), model=model, data=data)
        if task_calls.normalize(task, trial).id != trial.id:
            raise StoreError(
                f"trial {row['trial_id']} would run with other parameters on this machine; use the "
                "code and versions that ran it"
            )
        trials.append(trial)
        if row["status"] == "stopped":
            stops[trial.id] = last.get(row["trial_id"], 0)
    task_calls.try_methods(task, trials[0])
    name = check_name(request.name or f"{archived.archive.name[:93]}-replay")
    before = _check_free(archived, request, name)
    return dataclasses.replace(
        recorded_plan(task, trials, dataclasses.replace(request, name=name), "replay"),
        space=Space(name="replay"),
        keep=choose_keep(request.keep, task, before),
        notice=f"The results go to {task.name}/{name}.",
        manifest_before=before,
        recorded=RecordedSweep(
            manifest=archived.manifest, digest=archived.archive.digest, stops=stops
        ),
    )


def _last_steps(archived: ArchivedSweep) -> dict[str, int]:
    """Return the last step of each trial, by id."""
    if not archived.steps.num_rows:
        return {}
    found = archived.steps.group_by("trial_id").aggregate([("at", "max")])
    return dict(zip(found["trial_id"].to_pylist(), found["at_max"].to_pylist(), strict=True))


def _check_free(archived: ArchivedSweep, request: Request, name: str) -> Manifest | None:
    """Return the manifest of an earlier run of this replay, or None.

    Raises:
        RequestError: if another sweep has the name.
    """
    before = read_manifest(request.out, archived.archive.task, name)
    if before is None:
        return None
    if before.replay_of is None or before.replay_of.digest != archived.archive.digest:
        raise RequestError(
            f"the sweep {archived.archive.task}/{name} exists and is not a replay of "
            f"{archived.archive.path}; use another --name"
        )
    return before


# --- the same model, data and versions ------------------------------------------------------------


def _resolve_sources(task: Task, manifest: Manifest, request: Request) -> tuple[Source, Source]:
    """Return model and data on this machine, and check that their content is as recorded."""
    recorded = {"model": manifest.model, "data": manifest.data}
    given = {"model": request.model, "data": request.data}
    _refuse_code(manifest.model.name, given["model"])
    names = {what: given[what] or source.name for what, source in recorded.items()}
    try:
        found = task_calls.resolve(task, names["model"], names["data"])
    except RequestError as error:
        not_given = [f"--{what}" for what in given if given[what] is None]
        if not not_given:
            raise
        raise RequestError(
            f"{error} (the name is recorded in the archive; pass {' and '.join(not_given)} for "
            "this machine)"
        ) from None
    for (what, wanted), here in zip(recorded.items(), found, strict=True):
        if here.fingerprint != wanted.fingerprint:
            raise RequestError(
                f"the {what} {here.name} has the content hash {here.fingerprint}, but the sweep "
                f"ran on {wanted.name} with {wanted.fingerprint}; pass the same {what} with "
                f"--{what}"
            )
    return found


def _refuse_code(recorded: str, given: str | None) -> None:
    """Refuse a model name from the archive that would run code; the user must pass it."""
    for part in recorded.split("+"):
        module, colon, function = part.partition(":")
        if (
            given is None
            and colon
            and all(w.isidentifier() for w in [*module.split("."), function])
        ):
            raise RequestError(
                f"the archive's model {recorded} would run code on this machine, {part}; if you "
                f"trust it, add --model {recorded}"
            )


def _left_out(archived: ArchivedSweep) -> list[str]:
    """Describe how many trials of the archive do not run again, and why."""
    rows = archived.rows()
    current = archived.current_rows()
    without = sum(row["status"] not in _WITH_RESULT for row in current)
    lines = []
    if without:
        lines.append(f"{plural(without, 'trial')} without a result will not run again.")
    if len(current) < len(rows):
        other = plural(len(rows) - len(current), "trial")
        lines.append(f"{other} of another model, data or task version will not run again.")
    return lines
