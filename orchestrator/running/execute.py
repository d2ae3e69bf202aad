"""Runs trials on an engine and shows their progress."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext

from rich.console import Console

from orchestrator.control.steering import Cancellation
from orchestrator.engines.protocol import Engine
from orchestrator.execution.coordinator import Coordinator
from orchestrator.execution.halting import handle_ctrl_c
from orchestrator.execution.listener import TrialListener
from orchestrator.execution.packing import max_num_packs
from orchestrator.execution.placement import processes_per_trial
from orchestrator.execution.stages import StageCache
from orchestrator.planning.plan import distinct_stages
from orchestrator.request import Request
from orchestrator.running.logs import logging_to, run_log
from orchestrator.running.plan import Plan
from orchestrator.running.request_checks import check_can_start, find_address
from orchestrator.running.run import Run
from orchestrator.search.searchers import FixedTrials, MaxTrials, Searcher
from orchestrator.view.browser import Actions
from orchestrator.view.live import SweepView
from orchestrator.view.log_tail import tail
from orchestrator.view.notebook import in_notebook, notebook_console
from orchestrator.view.output import redirect_output
from results.storage.reading import Sweep, read_sweep
from results.text import plural
from tasks.contract import Trial


def run_trials(plan: Plan, within: Run | None = None) -> Sweep | None:
    """Run a plan's trials without printing tables; return the sweep, or None if interrupted.

    ``within`` is a run that waits for these trials: pausing or stopping it pauses or stops them.
    """
    check_can_start(plan)
    run = Run(plan)
    if within is not None:
        run.follow(within)
    progress = None if run.control is None else run.control.progress()
    run.store.write_manifest(run.manifest(0.0))
    try:
        execute(run, plan.trials)
    finally:
        if run.control is not None and progress is not None:
            run.control.disconnect(progress)  # that of the sweep
    if run.budget.interrupted:
        return None
    return read_sweep(plan.request.out, plan.task.name, plan.name)


def execute(run: Run, to_run: Sequence[Trial], *, again: bool = False) -> None:
    """Run these trials, or a search.

    ``again`` means that the trials have finished, and run again only to get their weights.
    """
    width = Console().size.width
    with run_log(run) as log, redirect_output(log) as stdout:
        terminal = Console(file=stdout, width=width if stdout.isatty() else None)
        console = notebook_console() if in_notebook() else terminal
        study = FixedTrials(to_run) if again else run.searcher(to_run)
        most = run.num_left()
        searcher = MaxTrials(study, most) if most else study
        engine = _make_engine(run.request)
        view = _make_view(run, to_run, console, engine, study, searcher)
        say = view.print_line if run.request.verbose else None
        _use_keys(run, view, log)
        with (
            logging_to(log, say),
            view,
            handle_ctrl_c(run.budget, run.num_running, view.print_line),
            _controlled(run, view),
            run.tracking.printing(view.print_line),
            _live_journal(run, study),
        ):
            _announce(run, to_run, view, again)
            listed = None if run.plan.space.search is not None and not again else to_run
            # Trials that run again for their weights are in the trackers already.
            listener = None if again else run.tracking
            coordinator = _run_engine(run, engine, view, searcher, listed, listener)
    run.is_complete = coordinator.is_complete() and study.is_exhausted()
    run.num_left_out = getattr(study, "num_left_out", lambda: run.num_left_out)()
    run.budget.trials_spent = isinstance(searcher, MaxTrials) and searcher.is_limit_reached()
    run.store.add_stages([{"run": run.started, **stage} for stage in coordinator.stages.rows()])


def _use_keys(run: Run, view: SweepView, log: str) -> None:
    """Let the user steer the run with keys. ``log`` is the file with the log of the run."""

    def cancel(trial_id: str) -> str:
        reason, digits = "cancelled in the terminal of the sweep", trial_id[:8]
        run.steering.cancel(
            Cancellation(
                trial=trial_id,
                reason=reason,
                answer=lambda answer: view.show_message(f"{digits} {answer.message}"),
            )
        )
        return f"{digits} is cancelled after its current step"

    def read_log(trial_id: str) -> list[str]:
        return tail(f"{run.store.path}/logs/{trial_id}.log") or tail(log)

    actions = Actions(toggle_pause=run.toggle_pause, cancel=cancel, detach=run.detach)
    view.use_keys(actions, read_log, lambda: run.steering.is_paused)


@contextmanager
def _controlled(run: Run, view: SweepView) -> Iterator[None]:
    """Let other processes watch the run, and print what they ask for."""
    if run.control is not None:
        run.control.connect(view.progress, run.is_held, view.print_line)
    yield
    if run.control is not None:
        run.control.disconnect(view.progress())


def _make_view(
    run: Run,
    to_run: Sequence[Trial],
    console: Console,
    engine: Engine,
    study: Searcher,
    searcher: Searcher,
) -> SweepView:
    """Make the view, and let it show reused trials and messages about weights."""
    plan = run.plan
    earlier = run.earlier.reused(to_run) if plan.trials else getattr(study, "earlier", [])
    num_listed = len(earlier) if plan.trials else 0  # a study counts them itself
    view = SweepView(
        console,
        plan.task,
        total=lambda: searcher.total() + num_listed,
        trials=plan.trials,
        to_run=to_run,
        stages=distinct_stages(plan.task, to_run),
        earlier=earlier,
        num_workers=lambda: getattr(engine, "num_workers", 1),
        max_started=run.num_left(),
    )
    view.on_failed = run.notifier.trial_failed
    run.earlier.on_reuse, run.weights.keeper.print_line = view.add_earlier, view.print_line
    return view


def _announce(run: Run, to_run: Sequence[Trial], view: SweepView, again: bool) -> None:
    """Print how many of the planned trials do not run, or run again."""
    if again:
        view.print_line(
            f"{plural(len(to_run), 'trial')} will run again, because weights are missing"
        )
        return
    num_failed = len(run.earlier.failed)
    num_cancelled = run.earlier.num_cancelled
    num_done = len(run.plan.trials) - len(to_run) - num_failed - num_cancelled
    if run.plan.trials and num_done:
        view.print_line(f"{plural(num_done, 'finished trial')} reused")
    if run.plan.trials and num_failed:
        failed = plural(num_failed, "trial")
        view.print_line(f"{failed} failed earlier; add --retry-failed to run failed trials again")
    if num_cancelled:
        cancelled = plural(num_cancelled, "trial")
        view.print_line(f"{cancelled} cancelled; add --retry-cancelled to run cancelled trials")


def _run_engine(
    run: Run,
    engine: Engine,
    view: SweepView,
    searcher: Searcher,
    trials: Sequence[Trial] | None,
    listener: TrialListener | None,
) -> Coordinator:
    """Start the engine and run it until all trials are done or the sweep is halted.

    ``trials`` are all trials that can run; None for a search.
    """
    task, is_ray = run.plan.task, run.request.engine == "ray"
    view.set_phase("starting Ray" if is_ray else "starting")
    try:
        max_packs = None if trials is None else max_num_packs(task, trials)
        engine.start(max_packs, view.wait_for_nodes, run.budget)
        _warn_of_unshared_out(run, engine, view)
        view.set_phase("starting the first worker" if is_ray else "")
        coordinator = Coordinator(
            task=task,
            searcher=searcher,
            store=run.store,
            checkpoints=run.checkpoints,
            cache=run.cache,
            keeper=run.weights.keeper,
            num_workers=engine.num_workers,
            worker_memory=engine.worker_memory,
            view=view,
            step_timeout=run.request.step_timeout,
            checkpoint_interval=run.request.checkpoint_interval,
            trials=trials,
            results_before=run.earlier.statuses(),
            should_halt=run.budget,
            steering=run.steering,
            listener=listener,
        )
        run.coordinators.append(coordinator)
        with coordinator:
            engine.run(coordinator)
    finally:
        engine.close()
    return coordinator


def _warn_of_unshared_out(run: Run, engine: Engine, view: SweepView) -> None:
    """Warn if some nodes do not share the folder of the results."""
    if "://" in run.request.out:
        return
    num_nodes = engine.num_nodes_without_shared_storage(f"{run.store.path}/sweep.json")
    if num_nodes:
        cannot = "node cannot" if num_nodes == 1 else "nodes cannot"
        view.print_line(
            f"{num_nodes} {cannot} access {run.request.out}. Results are complete, but checkpoints "
            "there are lost with the node, and weights of trials there are not kept. Use an --out "
            "that all nodes share, such as s3://BUCKET/PATH, to keep both."
        )
        run.weights.keeper.is_reported = True
        # Nobody would delete stage values that are kept on those nodes.
        run.cache = StageCache(run.request.cache)


def _make_engine(request: Request) -> Engine:
    if request.engine == "local":
        from orchestrator.engines.local import LocalEngine

        return LocalEngine(processes_per_trial(request.gpus_per_trial))
    from orchestrator.engines.ray.engine import RayEngine

    return RayEngine(
        address=find_address(request),
        cpus_per_trial=request.cpus_per_trial,
        gpus_per_trial=request.gpus_per_trial,
    )


def _live_journal(run: Run, searcher: Searcher) -> AbstractContextManager[object]:
    """Write the journal that optuna-dashboard reads, if a search writes to a local folder."""
    if run.plan.space.search is None or "://" in run.request.out:
        return nullcontext()
    from orchestrator.search.live_journal import LiveJournal
    from orchestrator.search.optuna_searcher import OptunaSearcher

    if not isinstance(searcher, OptunaSearcher):  # trials that run again for their weights
        return nullcontext()
    path = os.path.join(run.store.path, "optuna-journal.log")
    return LiveJournal(searcher.study, searcher.directions, path, run.plan.name)
