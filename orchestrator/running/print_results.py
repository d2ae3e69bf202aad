"""Prints the results of a run: its tables, failures, figures and kept weights."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from orchestrator.execution.halting import describe_halt
from orchestrator.planning.plan import distinct_stages
from orchestrator.running.run import Run
from results.extras import is_installed, missing
from results.redaction import redact
from results.render.sweep_tables import render
from results.storage.reading import Sweep
from results.tables.summary import MAX_ROWS
from results.text import plural, print_line
from tasks.contract import Trial

INTERRUPTED = 130  # exit status after Ctrl-C


def print_results(
    run: Run, sweep: Sweep, to_run: Sequence[Trial], *, show_tables: bool = True
) -> int:
    """Print the results of a run and return its exit status.

    Args:
        run: the run.
        sweep: its sweep, as it is now.
        to_run: the trials that were not finished when the run started.
        show_tables: whether to print the tables.
    """
    plan, errors = run.plan, Console(stderr=True)
    rows = sweep.current_rows()
    any_step = run.is_complete or any(row["num_steps"] for row in rows)
    if any_step and show_tables:
        Console().print(render(sweep, None if plan.request.all_rows else MAX_ROWS))
    halted = run.budget.interrupted or run.budget.spent()
    if halted and not run.is_complete:
        stages = distinct_stages(plan.task, to_run)
        # Count the files: a worker may have written a value without telling the driver.
        kept = run.cache.num_kept(stages)
        num_kept = kept if stages else sum(each.stages.num_kept for each in run.coordinators)
        line = describe_halt(run.budget.interrupted, any_step, num_kept, len(stages))
        errors.print(line, highlight=False, soft_wrap=True)
        if run.budget.interrupted:
            return INTERRUPTED
    again = {k: v for each in run.coordinators for k, v in each.failed_again.items()}
    if again:
        line = f"{plural(len(again), 'trial')} failed when run again; the tables show the earlier "
        line += f"results. First reason: {next(iter(again.values()))}."
        print_line(Console(), line, "bold red")
    if run.earlier.failed and any_step:
        print_line(Console(), _describe_failed_earlier(run))
    planned = {trial.id for trial in plan.trials}
    failed = [
        row
        for row in rows
        if row["status"] == "failed" and (not planned or row["trial_id"] in planned)
    ]
    print_line(Console(), f"Results: {sweep.path}", "dim")
    if any(each.stats.failed for each in run.coordinators):
        print_line(Console(), f"Logs of failed trials: {sweep.path}/logs", "dim")
    _save_figures(sweep, errors)
    for line in run.weights.finish(sweep, run.is_complete):
        print_line(Console(), line, "dim")
    failed_now = run.num_invalid + sum(each.stats.failed for each in run.coordinators)
    return 1 if failed or failed_now else 0


def _describe_failed_earlier(run: Run) -> str:
    """Describe how many trials failed in earlier runs, why, and how to run them again."""
    failed, total = run.earlier.failed, len(run.plan.trials)
    first = failed[0]
    count = f"{len(failed)} of {total} trials" if total > len(failed) else f"{len(failed)} trials"
    if len(failed) == total:
        count = {1: "The only trial", 2: "Both trials"}.get(total, f"All {total} trials")
    out = "" if run.request.out == "runs" else f" --out {redact(run.request.out)}"
    reason = str(first.get("reason") or "unknown").strip().rstrip(".")
    return (
        f"{count} failed in an earlier run and did not run again. First reason: {reason}. "
        f"See its log with `show {run.plan.task.name}/{run.plan.name} {first['trial_id']}{out}`; "
        "add --retry-failed to run failed trials again."
    )


def _save_figures(sweep: Sweep, errors: Console) -> None:
    """Save curves and contact sheets next to the results; print one line if that fails."""
    from results.figures.saved import save_figures

    if not is_installed("matplotlib"):
        print_line(Console(), f"No figures: {missing('drawing', 'matplotlib')}", "dim")
        return
    try:
        line = save_figures(sweep)
    except Exception as error:  # such as a damaged font or a full disk
        why = " ".join(redact(f"{type(error).__name__}: {error}").split())
        errors.print(Text(f"The figures could not be drawn ({why})."), soft_wrap=True)
        return
    if line:
        print_line(Console(), line, "dim")
