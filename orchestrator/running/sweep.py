"""One sweep from request to manifest: plan, reuse, run, record."""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from orchestrator.execution.coordinator import Coordinator, full_packs, most_packs
from orchestrator.execution.engine import Engine
from orchestrator.execution.halting import Budget, describe_halt, handle_ctrl_c
from orchestrator.execution.placement import Gpus
from orchestrator.execution.stages import StageCache
from orchestrator.planning import task_calls
from orchestrator.planning.claim_checks import check_claims
from orchestrator.planning.discovery import load_task
from orchestrator.planning.labels import Configuration, EarlierTrial, varying_params
from orchestrator.planning.plan import (
    PlannedRow,
    Space,
    TrialFactory,
    distinct_stages,
    distinct_trials,
    param_types,
    parse_settings,
    plan_rows,
    resolve_space,
)
from orchestrator.planning.space_checks import check_number, check_published_numbers, check_seeds
from orchestrator.running.final import check_final, score_final
from orchestrator.running.manifest import ORIGIN, make_manifest, replay_manifest
from orchestrator.running.naming import Identity, choose_name
from orchestrator.running.recorded import RecordedSweep
from orchestrator.running.request_checks import (
    check_can_start,
    check_effect,
    check_options,
    find_address,
    sample_search,
)
from orchestrator.running.sweep_weights import SweepWeights
from orchestrator.saving.checkpoints import Checkpoints
from orchestrator.saving.keeping import Keep, choose_keep
from orchestrator.search.history import (
    PastConfiguration,
    PastTrial,
    open_history,
    read_curves,
    read_history,
)
from orchestrator.search.invalid import invalid_row
from orchestrator.search.options import DEFAULT_PRUNER, DEFAULT_SAMPLER, TRIALS, describe
from orchestrator.search.proposers import Capped, Listed, Proposer, Recorded
from orchestrator.view.live import SweepView
from orchestrator.view.quiet import chatter_to
from results.render.planned_view import PlannedTrials
from results.render.sweep_tables import render
from results.storage.filesystem import redact
from results.storage.reading import Sweep, copy_trials, known_trials, read_sweep
from results.storage.run_lock import run_lock
from results.storage.store import SweepStore, TrialResult, check_name
from results.tables.search import describe_lines
from results.tables.summary import MAX_ROWS, format_plain
from results.text import plural, print_line
from tasks.contract import RequestError, StoreError, Task, Trial

if TYPE_CHECKING:
    from orchestrator.search.function import InvalidConfigurationError


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """What a user asked for on the command line."""

    task: str
    space: str | None = None  # the task's REPORT, or the only space it has
    trials: int = TRIALS  # configurations of a search
    seeds: int | tuple[int, ...] = 1  # how many, from 0 on; or which
    sampler: str = DEFAULT_SAMPLER
    pruner: str = DEFAULT_PRUNER
    engine: str = "ray"
    address: str | None = None
    model: str | None = None
    data: str | None = None
    settings: Sequence[str] = ()
    cpus_per_trial: int | None = None  # as many as the machine has for each slot
    gpus_per_trial: Gpus = 1.0
    name: str | None = None
    out: str = "runs"
    cache: str | None = None  # where stages' values outlive the sweep
    budget: float | None = None  # seconds
    budget_trials: int | None = None  # trials that this run may start
    deadline: float | None = None  # seconds that a step or a shared stage may take
    final: str | None = None  # the split to score the best rows on, once
    rerun: bool = False
    retry_failed: bool = False
    dry_run: bool = False
    keep: str | None = None  # whose weights: best, none, all, or a number of configurations
    all_rows: bool = False  # of a grid or a search in the table, not only the best
    given: Mapping[str, object] = field(default_factory=dict)  # options of a search that were given


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The request, understood: everything that can be wrong with it has been checked."""

    request: Request
    task: Task
    space: Space
    factory: TrialFactory
    seeds: tuple[int, ...]
    name: str
    planned: list[list[PlannedRow]]
    identity: Identity
    keep: Keep
    notice: str = ""  # a line on the name, where the user might expect another
    manifest_before: Mapping[str, Any] = field(default_factory=dict)  # of the runs it continues
    recorded: RecordedSweep | None = None  # the sweep whose trials this one runs again

    @property
    def seeds_before(self) -> tuple[int, ...]:
        """The seeds of the runs that this one continues."""
        return tuple(self.manifest_before.get("seeds", ()))

    def search(self) -> dict[str, Any]:
        """How a search chooses, as ``sweep.json`` records it."""
        request = self.request
        return describe(request.trials, request.sampler, request.pruner)

    def warnings(self) -> list[str]:
        """What runs but means little, as the task says of this model and data."""
        warn = getattr(self.task, "warnings", None)
        return list(warn(self.factory.model, self.factory.data)) if warn else []

    @cached_property
    def trials(self) -> list[Trial]:
        """The distinct trials of the space's rows; none, for a search."""
        return distinct_trials(self.planned)


def make_plan(request: Request) -> Plan:
    """Check the request and work out its trials. Imports no torch and no Ray.

    Raises:
        RequestError: if anything about it is wrong.
    """
    seeds = check_seeds(request.seeds)
    for option, number in (("--seeds", len(seeds)), ("--trials", request.trials)):
        if number < 1:
            value = request.seeds if option == "--seeds" else number
            raise RequestError(f"{option} must be at least 1, but is {value}")
    check_options(request)
    task = load_task(request.task)
    space = resolve_space(request.task, request.space)
    if space.search is None:
        check_effect(request.given, request.space or space.name)
    metrics = [c.key.removeprefix("metric.") for c in task.columns if c.key.startswith("metric.")]
    check_published_numbers(space.tables, task.columns)
    check_claims(space.claims, space.published, space.errata, space.tables, metrics)
    listed = sum(len(table.rows) for table in space.tables)
    check_number(request.trials if space.search else listed, len(seeds))
    fixed = parse_settings(task, request.settings)
    model, data = task_calls.resolve(
        task,
        task.default_model if request.model is None else request.model,
        task.default_data if request.data is None else request.data,
    )
    factory = TrialFactory(task=task, model=model, data=data, fixed=fixed)
    if space.search is not None:
        planned: list[list[PlannedRow]] = []
        first = factory.trial({}, 0)  # the defaults must fit this model and data
    else:
        planned = plan_rows(space, factory, seeds)
        first = next(row.trials[0] for table in planned for row in table)
    task_calls.try_methods(task, first)
    if request.final is not None:
        check_final(task, first, request.final, request.keep)
    identity = _identity(request, space, factory)
    chosen = choose_name(
        identity,
        given=None if request.name is None else check_name(request.name),
        defaults={
            "model": task.default_model,
            "data": task.default_data,
            "sampler": DEFAULT_SAMPLER,
            "pruner": DEFAULT_PRUNER,
        },
        out=request.out,
        task=task.name,
    )
    return Plan(
        request=request,
        task=task,
        space=space,
        factory=factory,
        seeds=tuple(seeds),
        name=check_name(chosen.name),
        planned=planned,
        identity=identity,
        keep=choose_keep(request.keep, task, chosen.manifest),
        notice=chosen.notice,
        manifest_before=chosen.manifest or {},
    )


def _identity(request: Request, space: Space, factory: TrialFactory) -> Identity:
    chosen = {"sampler": request.sampler, "pruner": request.pruner}
    return Identity(
        space=space.name,
        file=space.file,
        file_hash=space.file_hash,
        settings=factory.fixed,
        search=chosen if space.search is not None else {},
        model=factory.model,
        data=factory.data,
    )


# --- dry run --------------------------------------------------------------------------------------


def print_plan(plan: Plan, console: Console) -> None:
    """Every trial and every distinct stage, and how many are done already."""
    if plan.notice:
        console.print(Text(plan.notice))
    if plan.space.announcement:
        console.print(Text(plan.space.announcement), soft_wrap=True)
    if plan.space.search is not None:
        _print_search(plan, console)
        return
    trials = plan.trials
    known = known_trials(plan.request.out, plan.task.name)
    varying = varying_params(trials, plan.task.columns)
    done = [_is_done(known.get(trial.id)) for trial in trials]
    console.print(PlannedTrials(trials, varying, done))
    stages = distinct_stages(plan.task, trials)
    counted = f"{plural(len(trials), 'trial')}, {sum(done)} of them done"
    shared = plural(len(stages), "distinct stage") if stages else "no shared stages"
    print_line(console, f"{counted}; {shared}{':' if stages else ''}")
    for stage in stages:
        print_line(console, f"  {stage.label}")
    again = _missing_weights(plan) if all(done) else []
    if again:
        number = plural(len(again), "trial")
        print_line(console, f"--keep {plan.keep} runs {number} again, because of missing weights")


def _missing_weights(plan: Plan) -> list[Trial]:
    """The finished trials that run again for the sake of their weights."""
    try:
        sweep = read_sweep(plan.request.out, plan.task.name, plan.name)
    except StoreError:  # the trials are those of another sweep
        return []
    return SweepWeights(plan).to_run_again(sweep)


def _print_search(plan: Plan, console: Console) -> None:
    """How a search will choose, and some of what it can choose from."""
    sample, request = sample_search(plan), plan.request
    total = request.trials * len(plan.seeds)
    lines = [
        f"{plan.task.name} {plan.name}: up to {plural(total, 'trial')} "
        f"({plural(request.trials, 'configuration')} x {plural(len(plan.seeds), 'seed')}), "
        "chosen by Optuna while they run",
        *(f"  {line}" for line in describe_lines(plan.search())),
        f"{len(sample.trials)} of {len(sample.trials) + len(sample.refused)} random "
        "configurations can run, for example",
    ]
    params = {param[6:] for param in (c.key for c in plan.task.columns) if param[:6] == "param."}
    for trial in sample.trials[:3]:
        values = trial.param_values().items()
        lines.append("  " + ", ".join(f"{n}={format_plain(v)}" for n, v in values if n in params))
    if sample.refused:
        lines.append(f"The others fail, for example: {sample.refused[0]}")
    for line in lines:
        print_line(console, line)


def _is_done(known: tuple[str, Mapping[str, Any]] | None) -> bool:
    return known is not None and known[1]["status"] == "finished"


# --- the run --------------------------------------------------------------------------------------


class _Run:
    """What one run of a plan holds together."""

    def __init__(self, plan: Plan) -> None:
        self.plan, self.request = plan, plan.request
        self.started = datetime.now(UTC)
        self.budget = Budget(plan.request.budget)
        types = {
            name: {str: "str", float: "float", int: "int", bool: "bool"}[kind]
            for name, (kind, _) in param_types(plan.task.Params).items()
        }
        self.types = types
        self.failed_before: list[dict[str, Any]] = []  # listed trials that are not run again
        self.num_invalid = 0  # configurations of a search that this run found cannot run
        self.on_taken_over: Callable[[EarlierTrial], None] = lambda trial: None
        self._curves: dict[str, dict[str, dict[int, float]]] = {}  # of other sweeps
        self.known = self._read_known()  # refused before we write
        metrics = [c.key for c in plan.task.columns if c.key.startswith("metric.")]
        self.store = SweepStore(plan.request.out, plan.task.name, plan.name, types, metrics)
        folder = f"{plan.request.out.rstrip('/')}/.checkpoints"
        if plan.space.search is not None or plan.recorded is not None:
            # By sweep: a search finds its interrupted trials, a replay nobody else's.
            folder += f"/{plan.task.name}/{plan.name}"
        self.weights = SweepWeights(plan)
        self.checkpoints = Checkpoints(folder, self.weights.target)
        kept = f"{plan.request.out.rstrip('/')}/.stages/{plan.task.name}/{plan.name}"
        self.cache = StageCache(plan.request.cache, kept)
        self.coordinators: list[Coordinator] = []
        self.is_complete = False  # whether no trial is left to run

    def _read_known(self) -> dict[str, tuple[str, dict[str, Any]]]:
        """The trials that ended before; for a replay, only its own."""
        names = () if self.plan.recorded is None else (self.plan.name,)
        return known_trials(self.request.out, self.plan.task.name, names)

    def num_running(self) -> int:
        """Trials that a worker runs now."""
        return sum(each.num_running() for each in self.coordinators)

    def num_left(self) -> int | None:
        """Trials that this run may still start, if ``--budget`` limits them."""
        most = self.request.budget_trials
        tallies = [each.tally for each in self.coordinators]
        started = sum(tally.finished + tally.stopped + tally.failed for tally in tallies)
        return None if most is None else most - started

    def reuse(self, trials: Sequence[Trial]) -> list[Trial]:
        """Take over what other sweeps hold; the trials that are still to run."""
        if self.request.rerun:
            for trial in trials:
                self.checkpoints.drop(trial.id)
            return list(trials)
        todo: list[Trial] = []
        stops = self.plan.recorded.stops if self.plan.recorded else {}
        self.failed_before = []
        elsewhere: dict[str, list[str]] = {}
        for trial in trials:
            sweep, row = self.known.get(trial.id, ("", {}))
            status = row.get("status")
            if (
                status is None
                or (status == "stopped" and trial.id not in stops)
                or (status == "failed" and self.request.retry_failed)
            ):  # a listed trial runs to its end
                todo.append(trial)
                continue
            if status == "failed":
                self.failed_before.append(row)
            if sweep != self.plan.name:
                elsewhere.setdefault(sweep, []).append(trial.id)
        for sweep, ids in elsewhere.items():
            self.store.add_tables(copy_trials(self.request.out, self.plan.task.name, sweep, ids))
        return todo

    def results_before(self) -> dict[str, str]:
        """The statuses of trials that have a result here, which a ``--rerun`` must not spoil."""
        trials = open_history(self.request.out, self.plan.task.name, self.plan.name).trials
        if not trials.num_rows:
            return {}
        ids, statuses = (trials[name].to_pylist() for name in ("trial_id", "status"))
        pairs = zip(ids, statuses, strict=True)
        return {trial_id: status for trial_id, status in pairs if status != "interrupted"}

    def earlier(self, todo: Sequence[Trial]) -> list[EarlierTrial]:
        """The listed trials that do not run again, with their results."""
        left = {trial.id for trial in todo}
        metric = self.plan.task.metric.name
        return [
            _earlier(trial, self.known[trial.id][1], metric)
            for trial in self.plan.trials
            if trial.id not in left
        ]

    def known_elsewhere(self, trial: Trial) -> PastTrial | None:
        """A finished trial of another sweep, taken over from there."""
        sweep, row = self.known.get(trial.id, ("", {}))
        if self.request.rerun or row.get("status") != "finished" or sweep == self.plan.name:
            return None
        self.reuse([trial])
        metric = self.plan.task.metric.name
        self.on_taken_over(_earlier(trial, row, metric))
        if sweep not in self._curves:
            tables = open_history(self.request.out, self.plan.task.name, sweep)
            self._curves[sweep] = read_curves(tables, metric)
        return PastTrial(
            id=trial.id,
            status="finished",
            value=float(row[f"metric.{metric}"]),
            steps=self._curves[sweep].get(trial.id, {}),
        )

    def add_invalid(self, error: InvalidConfigurationError) -> None:
        """A row for a configuration that cannot run, in place of its trials'."""
        self.num_invalid += 1
        row = invalid_row(error, self.plan.factory, self.plan.seeds[0])
        self.store.add([TrialResult(trial=row, steps=[], samples=None)])

    def proposer(self, todo: Sequence[Trial]) -> Proposer:
        """The list of a grid or of recorded trials, or the study of a search."""
        if self.plan.recorded is not None:
            return Recorded(todo, self.plan.recorded.stops)
        if self.plan.space.search is None:
            return Listed(todo)
        from orchestrator.search.study import AdaptiveStudy

        study = AdaptiveStudy(
            search=self.plan.space.search,
            factory=self.plan.factory,
            seeds=self.plan.seeds,
            num_configurations=self.request.trials,
            direction=self.plan.task.metric.direction,
            sampler=self.request.sampler,
            pruner=self.request.pruner,
            known=self.known_elsewhere,
            on_invalid=self.add_invalid,
        )
        study.replay(self._past())
        return study

    def _past(self) -> list[PastConfiguration]:
        """Configurations of this search that ran before; a ``--rerun`` forgets them."""
        interrupted = self.checkpoints.interrupted()
        if self.request.rerun:
            for one in interrupted:
                self.checkpoints.drop(one.trial_id)
            return []
        return read_history(
            open_history(self.request.out, self.plan.task.name, self.plan.name),
            self.plan.task.metric.name,
            interrupted,
            retry_failed=self.request.retry_failed,
        )

    def to_run_again(self) -> list[Trial]:
        """Of a complete sweep: the trials whose weights are asked for, and were not kept."""
        if not self.is_complete or self.budget() or self.num_left() == 0:
            return []
        plan = self.plan
        self.known = self._read_known()
        return self.weights.to_run_again(read_sweep(self.request.out, plan.task.name, plan.name))

    def manifest(self, seconds: float) -> dict[str, Any]:
        """``sweep.json`` after so many seconds."""
        made = make_manifest(self.plan, self.types, self.started, seconds)
        if self.plan.recorded is not None:
            made = replay_manifest(made, self.plan.recorded)
        if self.is_complete and not self.coordinators:  # no trial ran in this environment
            before = self.plan.manifest_before
            made |= {key: before[key] for key in ORIGIN if key in before}
        return made


def _earlier(trial: Trial, row: Mapping[str, Any], metric: str) -> EarlierTrial:
    value = row.get(f"metric.{metric}")
    return EarlierTrial(configuration=Configuration.of(trial), status=row["status"], value=value)


def run_sweep(plan: Plan) -> int:
    """Run what is not yet known and print the table; the process's exit status."""
    check_can_start(plan)
    if plan.notice:
        Console().print(Text(plan.notice))
    if plan.space.announcement:
        Console().print(Text(plan.space.announcement), soft_wrap=True)
    run = _Run(plan)
    with run_lock(run.store.filesystem, run.store.path):
        return _run(run)


def _run(run: _Run) -> int:
    plan = run.plan
    run.cache.prepare()
    todo = run.reuse(plan.trials)
    run.is_complete = not todo and plan.space.search is None
    began = time.monotonic()
    run.store.write_manifest(run.manifest(0.0))
    run.weights.see_earlier(run.manifest(0.0))
    if todo or plan.space.search is not None:
        num_resumed = len(run.checkpoints.trial_ids() & {trial.id for trial in todo})
        if num_resumed:
            verb = "continues from its" if num_resumed == 1 else "continue from their"
            noun = "checkpoint" if num_resumed == 1 else "checkpoints"
            print_line(Console(), f"{plural(num_resumed, 'trial')} {verb} {noun}")
        _work(run, todo)
    again = run.to_run_again()
    if again:
        _work(run, again, again=True)
    run.store.compact()  # also what an earlier run, killed at its end, has left in parts
    seconds = time.monotonic() - began
    if run.coordinators:
        run.store.write_manifest(run.manifest(seconds))
    elif not run.failed_before:
        Console().print("Every trial of this sweep is done already; --rerun runs them again.")
    if run.is_complete:
        run.cache.delete_kept()
    status = _conclude(run, todo)
    return status if status == 130 or run.request.final is None else max(status, _final(run))


def _final(run: _Run) -> int:
    """Score the best rows on the split that ``--final`` names, once the sweep is complete."""
    split, plan = run.request.final, run.plan
    assert split is not None
    if not run.is_complete:
        print_line(Console(), f"--final {split} waits until the sweep is complete.")
        return 0
    return score_final(plan, read_sweep(run.request.out, plan.task.name, plan.name), split)


def run_trials(plan: Plan) -> Sweep | None:
    """Run a plan's trials and print no table; the sweep, or None if it was interrupted."""
    check_can_start(plan)
    run = _Run(plan)
    run.store.write_manifest(run.manifest(0.0))
    _work(run, plan.trials)
    if run.budget.interrupted:
        return None
    return read_sweep(plan.request.out, plan.task.name, plan.name)


def _failed_earlier(run: _Run) -> str:
    """How many trials of this request failed before this run, why, and what to do about it."""
    failed, total = run.failed_before, len(run.plan.trials)
    first = failed[0]
    count = f"{len(failed)} of {total} trials" if total > len(failed) else f"{len(failed)} trials"
    if len(failed) == total:
        count = {1: "The only trial", 2: "Both trials"}.get(total, f"All {total} trials")
    out = "" if run.request.out == "runs" else f" --out {redact(run.request.out)}"
    reason = str(first.get("reason") or "unknown").strip().rstrip(".")
    return (
        f"{count} failed in an earlier run and did not run again. The first reason: {reason}. "
        f"See its log with `show {run.plan.task.name}/{run.plan.name} {first['trial_id']}{out}`; "
        "add --retry-failed to run failed trials again."
    )


def _conclude(run: _Run, todo: Sequence[Trial]) -> int:
    plan, errors = run.plan, Console(stderr=True)
    sweep = read_sweep(run.request.out, plan.task.name, plan.name)
    rows = sweep.current_rows()
    any_step = run.is_complete or any(row["num_steps"] for row in rows)
    if any_step:
        Console().print(render(sweep, None if plan.request.all_rows else MAX_ROWS))
    halted = run.budget.interrupted or run.budget.spent()
    if halted and not run.is_complete:
        stages = distinct_stages(plan.task, todo)
        # Asked of the disk: a worker may have written a value that the driver did not hear of.
        kept = run.cache.num_kept(stages)
        num_kept = kept if stages else sum(each.num_kept for each in run.coordinators)
        line = describe_halt(run.budget.interrupted, any_step, num_kept, len(stages))
        errors.print(line, highlight=False, soft_wrap=True)
        if run.budget.interrupted:
            return 130
    again = {k: v for each in run.coordinators for k, v in each.failed_again.items()}
    if again:
        line = f"{plural(len(again), 'trial')} failed when run again; the tables show the earlier "
        line += f"results. The first reason: {next(iter(again.values()))}."
        Console().print(Text(line, style="bold red"), soft_wrap=not errors.is_terminal)
    if run.failed_before and any_step:
        Console().print(Text(_failed_earlier(run)), soft_wrap=True)
    wanted = {trial.id for trial in plan.trials}
    failed = [
        row
        for row in rows
        if row["status"] == "failed" and (not wanted or row["trial_id"] in wanted)
    ]
    Console().print(Text(f"Results: {sweep.path}", style="dim"), soft_wrap=True)
    _save_figures(sweep, errors)
    for line in run.weights.finish(sweep, run.is_complete):
        Console().print(Text(line, style="dim"), soft_wrap=True)
    failed_now = run.num_invalid + sum(each.tally.failed for each in run.coordinators)
    return 1 if failed or failed_now else 0


def _save_figures(sweep: Sweep, errors: Console) -> None:
    """Curves and contact sheets next to the results; a figure that fails costs one line."""
    from results.figures.saved import save_figures

    try:
        line = save_figures(sweep)
    except Exception as error:  # whatever a damaged font or a full disk brings up
        why = " ".join(redact(f"{type(error).__name__}: {error}").split())
        errors.print(Text(f"The figures could not be drawn ({why})."), soft_wrap=True)
        return
    if line:
        Console().print(Text(line, style="dim"), soft_wrap=True)


def _work(run: _Run, todo: Sequence[Trial], *, again: bool = False) -> None:
    """Run these trials, or a search; ``again`` if they have finished, but have no weights."""
    plan = run.plan
    engine = _make_engine(plan.request)
    width = Console().size.width
    with _log_file() as log, chatter_to(log) as stdout:
        console = Console(file=stdout, width=width if stdout.isatty() else None)
        study = Listed(todo) if again else run.proposer(todo)
        most = run.num_left()
        proposer = Capped(study, most) if most else study
        earlier = run.earlier(todo) if plan.trials else getattr(study, "earlier", [])
        num_listed = len(earlier) if plan.trials else 0  # a study counts its own
        view = SweepView(
            console,
            plan.task,
            total=lambda: proposer.total() + num_listed,
            trials=plan.trials,
            to_run=todo,
            stages=distinct_stages(plan.task, todo),
            earlier=earlier,
            num_workers=lambda: getattr(engine, "num_slots", 1),
            max_started=most,
        )
        run.on_taken_over, run.weights.keeper.say = view.add_earlier, view.say
        if again:
            view.say(f"{plural(len(todo), 'trial')} to run again, because of missing weights")
        elif plan.trials and len(todo) < len(plan.trials):
            num_failed = len(run.failed_before)
            num_done = len(plan.trials) - len(todo) - num_failed
            if num_done:
                view.say(f"{plural(num_done, 'finished trial')} reused")
            if num_failed:
                view.say(f"failed earlier, and not run again without --retry-failed: {num_failed}")
        with view, handle_ctrl_c(run.budget, run.num_running, view.say):
            view.phase("starting Ray" if plan.request.engine == "ray" else "starting")
            try:
                searches = plan.space.search is not None and not again
                most_side_by_side = None if searches else most_packs(plan.task, todo)
                engine.start(most_side_by_side, view.wait_for_nodes, run.budget)
                _tell_blind(run, engine, view)
                view.phase("starting the first worker" if plan.request.engine == "ray" else "")
                coordinator = Coordinator(
                    task=plan.task,
                    proposer=proposer,
                    store=run.store,
                    checkpoints=run.checkpoints,
                    cache=run.cache,
                    keeper=run.weights.keeper,
                    num_slots=engine.num_slots,
                    slot_bytes=engine.slot_bytes,
                    view=view,
                    deadline=plan.request.deadline,
                    full_packs=None if searches else full_packs(plan.task, todo),
                    results_before=run.results_before(),
                    halt=run.budget,
                )
                run.coordinators.append(coordinator)
                with coordinator:
                    engine.run(coordinator)
            finally:
                engine.close()
    run.is_complete = coordinator.is_complete() and study.is_over()
    run.budget.trials_spent = isinstance(proposer, Capped) and proposer.cut()
    run.store.add_stages([{"run": run.started, **stage} for stage in coordinator.stages.values()])
    if not again:
        _export_journal(run, study)


@contextlib.contextmanager
def _log_file() -> Iterator[str]:
    """A file for what other programs print. After an error it stays: it may say why."""
    with tempfile.NamedTemporaryFile(prefix="orchestrator-", suffix=".log", delete=False) as log:
        try:
            yield log.name
        except KeyboardInterrupt:
            os.unlink(log.name)
            raise
    os.unlink(log.name)


def _tell_blind(run: _Run, engine: Engine, view: SweepView) -> None:
    """Say what it means that results lie where not every machine sees them."""
    if "://" in run.request.out:
        return
    blind = engine.num_blind_nodes(f"{run.store.path}/sweep.json")
    if blind:
        view.say(
            f"{blind} of the cluster's machines do not see {run.request.out}: results come here, "
            "but checkpoints stay on each, and a lost machine's trials start again; weights of "
            "trials that run there are not kept. An --out that all see, such as s3://BUCKET/PATH, "
            "keeps both."
        )
        run.weights.keeper.is_reported = True
        run.cache = StageCache(run.request.cache)  # a value could be kept where nobody deletes it


def _make_engine(request: Request) -> Engine:
    if request.engine == "local":
        from orchestrator.engines.local import LocalEngine

        return LocalEngine()
    from orchestrator.engines.ray.engine import RayEngine

    return RayEngine(
        address=find_address(request),
        cpus_per_trial=request.cpus_per_trial,
        gpus_per_trial=request.gpus_per_trial,
    )


def _export_journal(run: _Run, proposer: Proposer) -> None:
    """A journal that optuna-dashboard opens, beside the tables of a local search."""
    if run.plan.space.search is None or "://" in run.request.out:
        return
    from orchestrator.search.journal import export_journal
    from orchestrator.search.study import AdaptiveStudy

    assert isinstance(proposer, AdaptiveStudy)
    path = os.path.join(run.store.path, "optuna-journal.log")
    direction = run.plan.task.metric.direction
    export_journal(proposer.study.get_trials(deepcopy=False), direction, path, run.plan.name)
