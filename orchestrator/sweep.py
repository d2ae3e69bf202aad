"""One sweep from request to manifest: plan, reuse, run, record."""

from __future__ import annotations

import os
import re
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from orchestrator import provenance
from orchestrator.checkpoints import Checkpoints
from orchestrator.checks import (
    check_can_start,
    check_effect,
    check_options,
    find_address,
    sample_search,
)
from orchestrator.claim_checks import check_claims
from orchestrator.claims import Published, plan_claims, plan_published
from orchestrator.coordinator import Budget, Coordinator, full_packs, most_packs
from orchestrator.discovery import load_task
from orchestrator.engine import Engine
from orchestrator.errata import plan_errata
from orchestrator.history import (
    PastConfiguration,
    PastTrial,
    open_history,
    read_curves,
    read_history,
)
from orchestrator.invalid import invalid_row
from orchestrator.labels import Configuration, EarlierTrial, varying_params
from orchestrator.live import SweepView
from orchestrator.placement import Gpus, whole
from orchestrator.plan import (
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
from orchestrator.proposers import Capped, Listed, Proposer
from orchestrator.quiet import chatter_to
from orchestrator.search_options import TRIALS, describe
from orchestrator.space_checks import check_number, check_seeds
from orchestrator.stages import StageCache
from results.reading import Sweep, copy_trials, known_trials, read_sweep
from results.roots import redact
from results.search import describe_lines
from results.store import SweepStore, TrialResult, check_name
from results.summary import format_plain
from results.tables import render
from tasks.contract import RequestError, Task, Trial

if TYPE_CHECKING:
    from orchestrator.search_function import InvalidConfigurationError


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """What a user asked for on the command line."""

    task: str
    space: str = "report"
    trials: int = TRIALS  # configurations of a search
    seeds: int | tuple[int, ...] = 1  # how many, from 0 on; or which
    sampler: str = "tpe"
    pruner: str = "halving"
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
    rerun: bool = False
    retry_failed: bool = False
    dry_run: bool = False
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

    def search(self) -> dict[str, Any]:
        """How a search chooses, as ``sweep.json`` records it."""
        request = self.request
        return describe(request.trials, request.sampler, request.pruner)

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
    if not seeds or request.trials < 1:
        raise RequestError(
            f"--seeds and --trials must be at least 1, but are {request.seeds} and {request.trials}"
        )
    check_options(request)
    if request.engine not in ("ray", "local"):
        raise RequestError(f"--engine takes ray or local, but got {request.engine!r}")
    if request.cpus_per_trial is not None and request.cpus_per_trial < 1:
        raise RequestError(f"--cpus-per-trial must be at least 1, but is {request.cpus_per_trial}")
    if not 0 < whole(request.gpus_per_trial) <= 1:
        raise RequestError(
            f"`0 < --gpus-per-trial <= 1` must hold, but got {request.gpus_per_trial:g}"
        )
    task = load_task(request.task)
    space = resolve_space(request.task, request.space)
    if space.search is None:
        check_effect(request.given, request.space)
    metrics = [c.key.removeprefix("metric.") for c in task.columns if c.key.startswith("metric.")]
    check_claims(space.claims, space.published, space.errata, space.tables, metrics)
    listed = sum(len(table.rows) for table in space.tables)
    check_number(request.trials if space.search else listed, len(seeds))
    fixed = parse_settings(task, request.settings)
    model, data = task.resolve(
        task.default_model if request.model is None else request.model,
        task.default_data if request.data is None else request.data,
    )
    factory = TrialFactory(task=task, model=model, data=data, fixed=fixed)
    if space.search is not None:
        planned: list[list[PlannedRow]] = []
        factory.trial({}, 0)  # the defaults must fit this model and data
    else:
        planned = plan_rows(space, factory, seeds)
    name = check_name(request.name or _default_name(request, task, space))
    return Plan(
        request=request,
        task=task,
        space=space,
        factory=factory,
        seeds=tuple(seeds),
        name=name,
        planned=planned,
    )


def _default_name(request: Request, task: Task, space: Space) -> str:
    """The space's name; another model's or data set's sweep does not mix with the default's."""
    parts = [space.name]
    for given, default in ((request.model, task.default_model), (request.data, task.default_data)):
        if given and given != default:
            words = re.sub(r"[^A-Za-z0-9.]+", "-", given.rstrip("/").rsplit("/", 1)[-1])
            parts.append(words.strip("-."))
    return "-".join(part for part in parts if part)[:100]


# --- dry run --------------------------------------------------------------------------------------


def print_plan(plan: Plan, console: Console) -> None:
    """Every trial and every distinct stage, and how many are done already."""
    if plan.space.search is not None:
        _print_search(plan, console)
        return
    trials = plan.trials
    known = known_trials(plan.request.out, plan.task.name)
    varying = varying_params(trials, plan.task.columns)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("trial", no_wrap=True)
    for column in (*varying, "seed", ""):
        table.add_column(column)
    for trial in trials:
        values = trial.param_values()
        state = "done" if _is_done(known.get(trial.id)) else ""
        table.add_row(trial.id, *(str(values[v]) for v in varying), str(trial.seed), state)
    console.print(table)
    stages = distinct_stages(plan.task, trials)
    done = sum(_is_done(known.get(t.id)) for t in trials)
    console.print(
        f"{len(trials)} trials, {done} of them done; {len(stages)} distinct stages:",
        highlight=False,
    )
    for stage in stages:
        console.print(Text(f"  {stage.label}"), soft_wrap=True)


def _print_search(plan: Plan, console: Console) -> None:
    """How a search will choose, and some of what it can choose from."""
    sample, request = sample_search(plan), plan.request
    total = request.trials * len(plan.seeds)
    lines = [
        f"{plan.task.name} {plan.name}: up to {total} trials "
        f"({request.trials} configurations x {len(plan.seeds)} seeds), "
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
        console.print(Text(line), soft_wrap=True)


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
        self.num_invalid = 0  # configurations of a search that this run found cannot run
        self.on_taken_over: Callable[[EarlierTrial], None] = lambda trial: None
        self._curves: dict[str, dict[str, dict[int, float]]] = {}  # of other sweeps
        self.known = known_trials(plan.request.out, plan.task.name)  # refused before we write
        metrics = [c.key for c in plan.task.columns if c.key.startswith("metric.")]
        self.store = SweepStore(plan.request.out, plan.task.name, plan.name, types, metrics)
        folder = f"{plan.request.out.rstrip('/')}/.checkpoints"
        if plan.space.search is not None:  # by sweep, so that it finds its interrupted trials
            folder += f"/{plan.task.name}/{plan.name}"
        self.checkpoints = Checkpoints(folder)

    def reuse(self, trials: Sequence[Trial]) -> list[Trial]:
        """Take over what other sweeps hold; the trials that are still to run."""
        if self.request.rerun:
            for trial in trials:
                self.checkpoints.drop(trial.id)
            return list(trials)
        todo: list[Trial] = []
        elsewhere: dict[str, list[str]] = {}
        for trial in trials:
            sweep, row = self.known.get(trial.id, ("", {}))
            status = row.get("status")
            if (
                status is None
                or status == "stopped"
                or (status == "failed" and self.request.retry_failed)
            ):  # a listed trial runs to its end
                todo.append(trial)
            elif sweep != self.plan.name:
                elsewhere.setdefault(sweep, []).append(trial.id)
        for sweep, ids in elsewhere.items():
            self.store.add_tables(copy_trials(self.request.out, self.plan.task.name, sweep, ids))
        return todo

    def earlier(self, todo: Sequence[Trial]) -> list[EarlierTrial]:
        """The listed trials that do not run again, with their results."""
        left = {trial.id for trial in todo}
        metric = self.plan.task.metric.name
        return [
            _earlier(trial, self.known[trial.id][1], metric)
            for trial in self.plan.trials
            if trial.id not in left
        ]

    def finished_before(self) -> frozenset[str]:
        """Trials of this sweep that have a result, which a failed ``--rerun`` must not spoil."""
        return frozenset(
            trial_id
            for trial_id, (sweep, row) in self.known.items()
            if sweep == self.plan.name and row["status"] == "finished"
        )

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
        """The list of a grid, or the study of a search."""
        if self.plan.space.search is None:
            return Listed(todo)
        from orchestrator.study import AdaptiveStudy

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

    def manifest(self, seconds: float) -> dict[str, Any]:
        """``sweep.json``: what a table needs, and where the results come from."""
        plan, task = self.plan, self.plan.task
        tables = [
            {
                "title": table.title,
                "note": table.note,
                "source": table.source,
                "rows": [
                    {
                        "label": row.row.label,
                        "params": row.trials[0].param_values(),
                        "report": dict(row.row.report),
                        "published": dict(row.row.published),
                    }
                    for row in rows
                ],
            }
            for table, rows in zip(plan.space.tables, plan.planned, strict=True)
        ]
        plain = {"model": plan.factory.model, "data": plan.factory.data}
        published = Published(space=plan.space, planned=plan.planned, task=task)
        claims = plan_claims(published) if plan.space.is_report else []
        return {
            "task": task.name,
            "name": plan.name,
            "space": plan.space.name,
            "command": ["python", "-m", "orchestrator", *map(redact, sys.argv[1:])],
            "versions": provenance.versions(),
            "git": provenance.git(),
            "hardware": provenance.hardware(),
            "started": self.started.isoformat(),
            "seconds": round(seconds, 3),
            "engine": self.request.engine,
            "search": plan.search() if plan.space.search else None,
            "params": self.types,
            "columns": [_asdict(column) for column in task.columns],
            "metric": _asdict(task.metric),
            "paired": [_asdict(paired) for paired in task.paired],
            "front": getattr(task, "front", None),
            "shown_samples": getattr(task, "shown_samples", None),
            "step_unit": getattr(task, "step_unit", "step"),
            "signatures": dict(task.signatures()) if hasattr(task, "signatures") else {},
            "tables": tables if plan.space.is_report else [],
            "claims": claims,
            "published": plan_published(published),
            "errata": plan_errata(published, claims) if plan.space.is_report else [],
            "seeds": list(plan.seeds),
            **{key: _asdict(value) for key, value in plain.items()},
        }


def _earlier(trial: Trial, row: Mapping[str, Any], metric: str) -> EarlierTrial:
    value = row.get(f"metric.{metric}")
    return EarlierTrial(configuration=Configuration.of(trial), status=row["status"], value=value)


def _asdict(value: Any) -> dict[str, Any]:
    import dataclasses

    return dataclasses.asdict(value)


def run_sweep(plan: Plan) -> int:
    """Run what is not yet known and print the table; the process's exit status."""
    check_can_start(plan)
    run = _Run(plan)
    StageCache(plan.request.cache).prepare()
    todo = run.reuse(plan.trials)
    began = time.monotonic()
    run.store.write_manifest(run.manifest(0.0))
    coordinator = None
    if todo or plan.space.search is not None:
        coordinator = _work(run, todo)
        run.store.add_stages(
            [{"run": run.started, **stage} for stage in coordinator.stages.values()]
        )
    run.store.compact()  # also what an earlier run, killed at its end, has left in parts
    seconds = time.monotonic() - began
    if coordinator is not None:
        run.store.write_manifest(run.manifest(seconds))
    elif not todo:
        Console().print("Every trial of this sweep is done already; --rerun runs them again.")
    sweep = read_sweep(plan.request.out, plan.task.name, plan.name)
    Console().print(render(sweep))
    num_failed = run.num_invalid + (coordinator.tally.failed if coordinator else 0)
    return _conclude(run, sweep.path, num_failed)


def _conclude(run: _Run, path: str, failed_now: int) -> int:
    console = Console(stderr=True)
    if run.budget.interrupted:
        console.print("Interrupted. The same command goes on from here.", highlight=False)
        return 130
    if run.budget.spent():
        console.print("The budget is spent. The same command goes on from here.", highlight=False)
    wanted = {trial.id for trial in run.plan.trials}
    sweep = read_sweep(run.request.out, run.plan.task.name, run.plan.name)
    failed = [
        row
        for row in sweep.rows()
        if row["status"] == "failed" and (not wanted or row["trial_id"] in wanted)
    ]
    Console().print(Text(f"Results: {path}", style="dim"), soft_wrap=True)
    _save_figures(sweep, console)
    return 1 if failed or failed_now else 0


def _save_figures(sweep: Sweep, errors: Console) -> None:
    """Curves and contact sheets next to the results; a figure that fails costs one line."""
    from results.saved_figures import save_figures

    try:
        line = save_figures(sweep)
    except Exception as error:  # whatever a damaged font or a full disk brings up
        why = " ".join(redact(f"{type(error).__name__}: {error}").split())
        errors.print(Text(f"The figures could not be drawn ({why})."), soft_wrap=True)
        return
    if line:
        Console().print(Text(line, style="dim"), soft_wrap=True)


def _work(run: _Run, todo: Sequence[Trial]) -> Coordinator:
    plan = run.plan
    engine = _make_engine(plan.request)
    width = Console().size.width
    with (
        tempfile.NamedTemporaryFile(prefix="orchestrator-", suffix=".log", delete=False) as log,
        chatter_to(log.name) as stdout,
    ):
        console = Console(file=stdout, width=width if stdout.isatty() else None)
        study = run.proposer(todo)
        most = plan.request.budget_trials
        proposer = Capped(study, most) if most else study
        view = SweepView(
            console,
            plan.task,
            total=lambda: proposer.total() + len(plan.trials) - len(todo),
            trials=plan.trials,
            to_run=todo,
            stages=distinct_stages(plan.task, todo),
            earlier=run.earlier(todo) if plan.trials else getattr(study, "earlier", []),
            num_workers=lambda: getattr(engine, "num_slots", 1),
            max_started=most,
        )
        run.on_taken_over = view.add_earlier
        if plan.trials and len(todo) < len(plan.trials):
            view.say(f"{len(plan.trials) - len(todo)} trials are done already and reused")
        with view, _interruptible(run.budget, view):
            view.phase("starting Ray" if plan.request.engine == "ray" else "starting")
            try:
                searches = plan.space.search is not None
                most_side_by_side = None if searches else most_packs(plan.task, todo)
                engine.start(most_side_by_side, view.wait_for_nodes, run.budget)
                _tell_blind(run, engine, view)
                view.phase("starting the first worker" if plan.request.engine == "ray" else "")
                coordinator = Coordinator(
                    task=plan.task,
                    proposer=proposer,
                    store=run.store,
                    checkpoints=run.checkpoints,
                    cache=StageCache(plan.request.cache),
                    num_slots=engine.num_slots,
                    slot_bytes=engine.slot_bytes,
                    view=view,
                    deadline=plan.request.deadline,
                    full_packs=None if searches else full_packs(plan.task, todo),
                    finished_before=run.finished_before(),
                    halt=run.budget,
                )
                with coordinator:
                    engine.run(coordinator)
            finally:
                engine.close()
    run.budget.trials_spent = isinstance(proposer, Capped) and proposer.cut()
    _export_journal(run, study)
    os.unlink(log.name)
    return coordinator


def _tell_blind(run: _Run, engine: Engine, view: SweepView) -> None:
    """Say what it means that results lie where not every machine sees them."""
    if "://" in run.request.out:
        return
    blind = engine.num_blind_nodes(f"{run.store.path}/sweep.json")
    if blind:
        view.say(
            f"{blind} of the cluster's machines do not see {run.request.out}: results come here, "
            "but checkpoints stay on each, and a lost machine's trials start again. An --out that "
            "all see, such as s3://BUCKET/PATH, keeps them."
        )


def _make_engine(request: Request) -> Engine:
    if request.engine == "local":
        from orchestrator.local_engine import LocalEngine

        return LocalEngine()
    from orchestrator.ray_engine import RayEngine

    return RayEngine(
        address=find_address(request),
        cpus_per_trial=request.cpus_per_trial,
        gpus_per_trial=request.gpus_per_trial,
    )


def _export_journal(run: _Run, proposer: Proposer) -> None:
    """A journal that optuna-dashboard opens, beside the tables of a local search."""
    if run.plan.space.search is None or "://" in run.request.out:
        return
    from orchestrator.journal import export_journal
    from orchestrator.study import AdaptiveStudy

    assert isinstance(proposer, AdaptiveStudy)
    path = os.path.join(run.store.path, "optuna-journal.log")
    direction = run.plan.task.metric.direction
    export_journal(proposer.study.get_trials(deepcopy=False), direction, path, run.plan.name)


@contextmanager
def _interruptible(budget: Budget, view: SweepView) -> Iterator[None]:
    """First Ctrl-C: stop asking and keep checkpoints. Second: stop at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handle(signum: int, frame: object) -> None:
        if budget.interrupted:
            raise KeyboardInterrupt
        budget.interrupted = True
        view.say("Stopping: running trials keep their last checkpoint; Ctrl-C again to stop now.")

    before: Callable[..., Any] | int | None = signal.signal(signal.SIGINT, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
