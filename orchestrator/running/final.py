"""``--final test``: scores the best rows of a complete sweep once, on a held-out split.

Each trial of the best row and of rows tied with it becomes a trial on the other split that starts
from the kept weights. The scores are recorded in ``looks.json``.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime

from rich.console import Console
from rich.text import Text

from orchestrator.running.final_rows import final_row
from orchestrator.running.final_trials import initial_states, run_finals
from orchestrator.running.notify import hide_url
from orchestrator.running.plan import Plan
from orchestrator.running.print_results import INTERRUPTED
from orchestrator.running.recorded import recorded_trial
from orchestrator.running.run import Run
from orchestrator.saving.keep_policy import best_rows
from results.render.sweep_tables import DetailView
from results.storage.reading import Sweep
from results.storage.weights import weights_of
from results.tables.looks import Look, describe_number, final_table, read_looks, write_looks
from results.tables.summary import SummaryRow, SummaryTable, summarize
from results.text import plural, print_line
from tasks.contract import RequestError


def score_final(run: Run, sweep: Sweep, split: str) -> int:
    """Score the best rows of a run on a split, print both scores, and record the look.

    Returns:
        The exit status.

    Raises:
        RequestError: if the best rows have no weights.
        StoreError: if a file cannot be read or written.
    """
    plan = run.plan
    chosen = _choose(plan, sweep)
    looks = read_looks(sweep)
    look = Look(
        split=split,
        began=datetime.now(UTC).isoformat(),
        command=["python", "-m", "orchestrator", *hide_url(sys.argv[1:])],
        trials=list(dict.fromkeys(t for _, row in chosen for t in row.trial_ids)),
    )
    looks.append(look)
    rows = {row["trial_id"]: row for row in sweep.rows()}
    task = plan.task
    finals = {t: task.final(recorded_trial(task, rows[t]), split) for t in look.trials}
    states = initial_states(task, sweep, [rows[t] for t in finals], finals)
    notice = describe_number(looks, len(looks) - 1)
    if notice:
        Console().print(Text(notice, style="bold yellow"), soft_wrap=True)
    write_looks(sweep, looks)
    print_line(Console(), f"Scoring {plural(len(look.trials), 'trial')} on {split}.")
    found = run_finals(run, sweep, finals, states, rows)
    if found is None:
        print_line(Console(stderr=True), "Interrupted. The look is recorded without values.")
        return INTERRUPTED
    look.rows = [final_row(plan, sweep, table, row, finals, found) for table, row in chosen]
    look.ended = datetime.now(UTC).isoformat()
    write_looks(sweep, looks)
    table = final_table(sweep, looks)
    assert table is not None
    Console().print(Text(), DetailView(table), sep="\n")
    return 0


def _choose(plan: Plan, sweep: Sweep) -> list[tuple[SummaryTable, SummaryRow]]:
    """Return the best row of each table and the rows tied with it, if they have weights."""
    maximize = plan.task.metric.direction == "maximize"
    chosen = [
        (table, row)
        for table in summarize(sweep, None)
        for row in best_rows(table, maximize=maximize)
        if row.trial_ids
    ]
    if not chosen:
        raise RequestError(
            "--final requires a configuration of which all seeds finished, but none has; see the "
            "failed trials with `show`"
        )
    if not plan.task.has_weights:
        return chosen
    rows = [row for row in sweep.rows() if row["status"] == "finished"]
    kept = weights_of(sweep, rows).keys()
    with_weights = [(table, row) for table, row in chosen if kept >= set(row.trial_ids)]
    num_missing = len(chosen) - len(with_weights)
    advice = "run the command with --keep best to run them again and keep their weights"
    if any(not any(table is other for other, _ in with_weights) for table, _ in chosen):
        raise RequestError(f"--final: the weights of the best row were not kept; {advice}")
    if num_missing:
        line = f"Left out {plural(num_missing, 'tied row')} without weights; {advice}."
        print_line(Console(stderr=True), line)
    return with_weights
