"""``run_sweep``: reuses known results, runs the other trials, and prints the tables."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from rich.console import Console
from rich.text import Text

from orchestrator.control.drivers import read_drivers
from orchestrator.running.execute import execute
from orchestrator.running.final import score_final
from orchestrator.running.learned import describe_learned
from orchestrator.running.notify import Event
from orchestrator.running.plan import Plan
from orchestrator.running.print_results import INTERRUPTED, print_results
from orchestrator.running.request_checks import check_can_start
from orchestrator.running.run import Run
from orchestrator.running.tracked import tracked
from results.redaction import redact
from results.storage.reading import read_sweep
from results.storage.run_lock import run_lock
from results.tables.overview import overview
from results.text import plural, print_line
from tasks.contract import StoreError

#: Returned instead of an exit status: the sweep has halted to go on in the background.
DETACHED = -1


def run_sweep(plan: Plan, *, show_tables: bool = True, can_detach: bool = False) -> int:
    """Run the trials that have no result yet, print the tables, and return the exit status.

    With ``can_detach``, it may return ``DETACHED`` after the user has pressed d.
    """
    check_can_start(plan)
    for notice in plan.notices():
        Console().print(Text(notice))
    if plan.space.announcement:
        Console().print(Text(plan.space.announcement), soft_wrap=True)
    if plan.request.learn_from:
        print_line(Console(), describe_learned(plan.learned))
    run = Run(plan)
    run.can_detach = can_detach
    for other in read_drivers(run.store.filesystem, run.store.path):
        if other.is_alive():
            print_line(
                Console(stderr=True),
                f"Warning: {other.sweep} is running already ({other.describe()}). Both runs write "
                f"to it and compute the same trials; `attach {other.sweep}` shows the other one.",
            )
    lock = run_lock(run.store.filesystem, run.store.path)
    with lock, run.listener() as run.control, tracked(run), _notifying(run):
        return _run(run, show_tables)


@contextmanager
def _notifying(run: Run) -> Iterator[None]:
    """Send how the run ended to the webhook of ``--notify``. Nothing if no trial ran."""
    try:
        yield
        if run.request.notify and run.coordinators and not run.is_detached:
            with suppress(StoreError):  # a bucket that does not answer; the results are there
                _notify_end(run)
    except Exception as error:
        text = redact(f"{run.notifier.sweep} ended with an error: {error}")
        run.notifier.send("error", text, {"reason": redact(str(error))})
        raise
    finally:
        run.notifier.close()


def _notify_end(run: Run) -> None:
    line = overview(run.request.out, run.plan.task.name, run.plan.name)
    event: Event
    if run.is_complete:
        event, how = "finished", "is complete"
    elif run.budget.interrupted:
        event, how = "interrupted", "was interrupted"
    else:
        event, how = "budget_reached", "has reached its budget"
    counts = {
        status: sum(getattr(each.stats, status) for each in run.coordinators)
        for status in ("finished", "stopped", "failed", "cancelled")
    }
    failed = f", {counts['failed']} failed" if counts["failed"] else ""
    best = f", best {line.best}" if line.best_value is not None else ""
    text = f"{run.notifier.sweep} {how}: {line.trials} trials{failed}{best}"
    more = {"trials_by_status": counts, "metric": line.metric, "best": line.best_value}
    run.notifier.send(event, text, more)


def _run(run: Run, show_tables: bool) -> int:
    plan = run.plan
    run.cache.prepare()
    to_run = run.reuse_results()
    run.is_complete = not to_run and plan.space.search is None
    began = time.monotonic()
    run.store.write_manifest(run.manifest(0.0))
    run.weights.load_earlier(run.manifest(0.0))
    if to_run or plan.space.search is not None:
        num_resumed = len(run.checkpoints.trial_ids() & {trial.id for trial in to_run})
        if num_resumed:
            print_line(Console(), f"Resuming {plural(num_resumed, 'trial')} from checkpoints")
        execute(run, to_run)
    if run.is_detached:
        run.store.compact()
        run.store.write_manifest(run.manifest(time.monotonic() - began))
        return DETACHED
    again = run.to_run_again()
    if again:
        execute(run, again, again=True)
    run.store.compact()  # also merges parts that an earlier, killed run has left
    seconds = time.monotonic() - began
    if run.coordinators:
        run.store.write_manifest(run.manifest(seconds))
    elif run.earlier.num_cancelled:
        cancelled = plural(run.earlier.num_cancelled, "trial")
        print_line(Console(), f"{cancelled} cancelled; add --retry-cancelled to run them.")
    elif not run.earlier.failed:
        Console().print("Every trial of this sweep is already done; use --rerun to run them again.")
    if run.is_complete:
        run.cache.delete_kept()
    run.sweep = read_sweep(plan.request.out, plan.task.name, plan.name)
    status = print_results(run, run.sweep, to_run, show_tables=show_tables)
    if status == INTERRUPTED or run.request.final is None:
        return status
    return max(status, _final(run))


def _final(run: Run) -> int:
    """Score the best rows on the split that ``--final`` names, if the sweep is complete."""
    split = run.request.final
    assert split is not None
    if not run.is_complete:
        print_line(Console(), f"The sweep is not complete, so --final {split} did not run.")
        return 0
    if run.budget.interrupted:  # after the last trial
        print_line(Console(stderr=True), f"Interrupted, so --final {split} did not run.")
        return INTERRUPTED
    assert run.sweep is not None
    return score_final(run, run.sweep, split)
