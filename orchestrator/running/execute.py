"""Run trials on an engine, watched by the view."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator, Sequence

from rich.console import Console

from orchestrator.engines.protocol import Engine
from orchestrator.execution.coordinator import Coordinator
from orchestrator.execution.halting import handle_ctrl_c
from orchestrator.execution.packing import full_packs, most_packs
from orchestrator.execution.stages import StageCache
from orchestrator.planning.plan import distinct_stages
from orchestrator.request import Request
from orchestrator.running.plan import Plan
from orchestrator.running.request_checks import check_can_start, find_address
from orchestrator.running.run import Run
from orchestrator.search.proposers import Capped, Listed, Proposer
from orchestrator.view.live import SweepView
from orchestrator.view.quiet import chatter_to
from results.storage.reading import Sweep, read_sweep
from results.text import plural
from tasks.contract import Trial


def run_trials(plan: Plan) -> Sweep | None:
    """Run a plan's trials and print no table; the sweep, or None if it was interrupted."""
    check_can_start(plan)
    run = Run(plan)
    run.store.write_manifest(run.manifest(0.0))
    execute(run, plan.trials)
    if run.budget.interrupted:
        return None
    return read_sweep(plan.request.out, plan.task.name, plan.name)


def execute(run: Run, to_run: Sequence[Trial], *, again: bool = False) -> None:
    """Run these trials, or a search; ``again`` if they have finished, but have no weights."""
    plan = run.plan
    engine = _make_engine(plan.request)
    width = Console().size.width
    with _log_file() as log, chatter_to(log) as stdout:
        console = Console(file=stdout, width=width if stdout.isatty() else None)
        study = Listed(to_run) if again else run.proposer(to_run)
        most = run.num_left()
        proposer = Capped(study, most) if most else study
        earlier = run.earlier.listed(to_run) if plan.trials else getattr(study, "earlier", [])
        num_listed = len(earlier) if plan.trials else 0  # a study counts its own
        view = SweepView(
            console,
            plan.task,
            total=lambda: proposer.total() + num_listed,
            trials=plan.trials,
            to_run=to_run,
            stages=distinct_stages(plan.task, to_run),
            earlier=earlier,
            num_workers=lambda: getattr(engine, "num_slots", 1),
            max_started=most,
        )
        run.earlier.on_taken_over, run.weights.keeper.say = view.add_earlier, view.say
        if again:
            view.say(f"{plural(len(to_run), 'trial')} to run again, because of missing weights")
        elif plan.trials and len(to_run) < len(plan.trials):
            num_failed = len(run.earlier.failed)
            num_done = len(plan.trials) - len(to_run) - num_failed
            if num_done:
                view.say(f"{plural(num_done, 'finished trial')} reused")
            if num_failed:
                view.say(f"failed earlier, and not run again without --retry-failed: {num_failed}")
        with view, handle_ctrl_c(run.budget, run.num_running, view.say):
            view.phase("starting Ray" if plan.request.engine == "ray" else "starting")
            try:
                searches = plan.space.search is not None and not again
                most_side_by_side = None if searches else most_packs(plan.task, to_run)
                engine.start(most_side_by_side, view.wait_for_nodes, run.budget)
                _warn_of_unshared_out(run, engine, view)
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
                    full_packs=None if searches else full_packs(plan.task, to_run),
                    results_before=run.earlier.statuses(),
                    halt=run.budget,
                )
                run.coordinators.append(coordinator)
                with coordinator:
                    engine.run(coordinator)
            finally:
                engine.close()
    run.is_complete = coordinator.is_complete() and study.is_over()
    run.budget.trials_spent = isinstance(proposer, Capped) and proposer.cut()
    run.store.add_stages([{"run": run.started, **stage} for stage in coordinator.stages.rows()])
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


def _warn_of_unshared_out(run: Run, engine: Engine, view: SweepView) -> None:
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


def _export_journal(run: Run, proposer: Proposer) -> None:
    """A journal that optuna-dashboard opens, beside the tables of a local search."""
    if run.plan.space.search is None or "://" in run.request.out:
        return
    from orchestrator.search.journal import export_journal
    from orchestrator.search.study import AdaptiveStudy

    assert isinstance(proposer, AdaptiveStudy)
    path = os.path.join(run.store.path, "optuna-journal.log")
    direction = run.plan.task.metric.direction
    export_journal(proposer.study.get_trials(deepcopy=False), direction, path, run.plan.name)
