"""``sweep``: run a task over a space."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from orchestrator.cli.completion import (
    complete_pruner,
    complete_sampler,
    complete_setting,
    complete_sweep,
    complete_task,
    complete_tracker,
)
from orchestrator.cli.elsewhere import add_to_queue, start_in_background
from orchestrator.cli.entry import INTERRUPTED, CommandError
from orchestrator.cli.json_output import Json, Outcome
from orchestrator.cli.options import (
    Address,
    AllRows,
    CheckpointInterval,
    CpusPerTrial,
    Data,
    Engine,
    GpusPerTrial,
    Model,
    Out,
)
from orchestrator.cli.parsing import (
    parse_budget,
    parse_checkpoint_interval,
    parse_gpus,
    parse_seeds,
    parse_step_timeout,
    parse_zip,
)
from orchestrator.cli.requests import given, make_requests
from results.text import print_line
from tasks.contract import RequestError

if TYPE_CHECKING:
    from orchestrator.running.plan import Plan

Space = Annotated[
    str | None,
    typer.Option(
        help="Space: paper (default), grid, search, FILE.yaml, FILE.py, or FILE.py:grid if FILE "
        "defines several."
    ),
]
Trials = Annotated[
    int | None, typer.Option(help="For a search: number of configurations (default: 50).")
]
Seeds = Annotated[
    Any,
    typer.Option(
        parser=parse_seeds,
        metavar="N|LIST",
        help="Number of seeds (3 runs seeds 0, 1, 2), or a list such as 1,2 (7, for only seed 7).",
    ),
]
Sampler = Annotated[
    str | None,
    typer.Option(
        help="For a search: tpe (default), random, qmc, gp, cmaes, nsga2, auto (OptunaHub's), "
        "or module:Class.",
        autocompletion=complete_sampler,
    ),
]
Pruner = Annotated[
    str | None,
    typer.Option(
        help="For a search: halving (default), median, hyperband, wilcoxon or none.",
        autocompletion=complete_pruner,
    ),
]
LearnFrom = Annotated[
    list[str] | None,
    typer.Option(
        metavar="SWEEP",
        help="For a search: earlier sweep that the sampler learns from; repeat for several.",
        autocompletion=complete_sweep,
    ),
]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="Set a parameter in every row, or vary it: lr=1e-5,1e-3 for a grid, lr=1e-5..1e-2:log "
        "for a search; repeat for several.",
        autocompletion=complete_setting,
    ),
]
From = Annotated[
    str | None,
    typer.Option(
        "--from",
        metavar="FILE",
        help="Request to run: PATH/sweep.json of a sweep, or a YAML file. Other options override "
        "it.",
    ),
]
Zip = Annotated[
    list[str] | None,
    typer.Option(
        "--zip",
        metavar="NAME,NAME",
        help="Parameters whose lists of values vary together; repeat for further groups.",
    ),
]
Name = Annotated[
    str | None, typer.Option(help="Name of the sweep (default: the name of the space).")
]
Cache = Annotated[
    str | None,
    typer.Option(
        envvar="ORCHESTRATOR_CACHE",
        help="Folder or URI that keeps the values of shared stages for later sweeps.",
    ),
]
BudgetOption = Annotated[
    str | None,
    typer.Option(
        metavar="TIME|Ntrials",
        help="Stop after this time or number of trials (30m, 2h, 20trials) and print the table.",
    ),
]
StepTimeout = Annotated[
    str | None,
    typer.Option(
        metavar="TIME", help="Fail any step or shared stage that takes longer, such as 90s or 10m."
    ),
]
Deadline = Annotated[str | None, typer.Option(hidden=True, help="Earlier name of --step-timeout.")]
Keep = Annotated[
    str | None,
    typer.Option(
        metavar="best|none|all|N",
        help="Weights to keep: those of the best configuration and its ties (best, the default), "
        "of the N best of each table, all, or none.",
    ),
]
Final = Annotated[
    str | None,
    typer.Option(
        metavar="SPLIT",
        help="When the sweep is complete, score the best row and its ties on this split, such as "
        "test; each look at the split is recorded.",
    ),
]
Notify = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        envvar="ORCHESTRATOR_NOTIFY",
        help="Webhook that gets a JSON message at the end, at the first failed trial, and when the "
        "budget is reached.",
    ),
]
Track = Annotated[
    list[str] | None,
    typer.Option(
        metavar="TRACKER",
        help="Also send each trial to tensorboard, mlflow, wandb, trackio, aim, optuna or a "
        "plug-in; repeat for several.",
        autocompletion=complete_tracker,
    ),
]
Rerun = Annotated[bool, typer.Option("--rerun", help="Run finished trials again.")]
RetryFailed = Annotated[bool, typer.Option("--retry-failed", help="Run failed trials again.")]
RetryCancelled = Annotated[
    bool, typer.Option("--retry-cancelled", help="Run the trials that `cancel` cancelled.")
]
Verbose = Annotated[
    bool,
    typer.Option("--verbose", "-v", help="Also print log messages: packs, workers, shared stages."),
]
Metric = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME",
        help="Main metric of FILE.py:FUNCTION, or of a task that offers several (default: the one "
        "that it declares). Repeat for a search with several metrics: NAME, NAME:minimize or "
        "NAME:maximize.",
    ),
]
Maximize = Annotated[
    bool | None,
    typer.Option(
        "--maximize/--minimize", help="Whether a higher --metric is better.", show_default=False
    ),
]
Background = Annotated[
    bool,
    typer.Option(
        "--background",
        help="Run in a separate process that survives this terminal; watch it with `attach`.",
    ),
]
Queue = Annotated[
    bool,
    typer.Option(
        "--queue",
        help="Add the sweep to your queue, whose sweeps run one after the other in the background.",
    ),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Print every trial and shared stage; run nothing.")
]


def sweep(
    context: typer.Context,
    task: Annotated[
        list[str] | None,
        typer.Argument(
            help="Tasks to sweep, one after the other: names, or FILE.py:FUNCTION.",
            autocompletion=complete_task,
        ),
    ] = None,
    space: Space = None,
    from_: From = None,
    zip_: Zip = None,
    metric: Metric = None,
    maximize: Maximize = None,
    trials: Trials = None,
    seeds: Seeds = 1,
    sampler: Sampler = None,
    pruner: Pruner = None,
    learn_from: LearnFrom = None,
    engine: Engine = "ray",
    address: Address = None,
    model: Model = None,
    data: Data = None,
    set_: Set = None,
    cpus_per_trial: CpusPerTrial = None,
    gpus_per_trial: GpusPerTrial = "1",
    name: Name = None,
    out: Out = "runs",
    cache: Cache = None,
    budget: BudgetOption = None,
    step_timeout: StepTimeout = None,
    deadline: Deadline = None,
    checkpoint_interval: CheckpointInterval = None,
    keep: Keep = None,
    final: Final = None,
    notify: Notify = None,
    track: Track = None,
    rerun: Rerun = False,
    retry_failed: RetryFailed = False,
    retry_cancelled: RetryCancelled = False,
    dry_run: DryRun = False,
    background: Background = False,
    queue: Queue = False,
    all_rows: AllRows = False,
    verbose: Verbose = False,
    json_: Json = False,
) -> int | Outcome:
    """Run a task's sweep and print its tables. Run the same command again to resume."""
    from orchestrator.running.plan import make_plan
    from orchestrator.running.preview import plan_fields, print_plan
    from orchestrator.running.sweep import DETACHED, run_sweep
    from results.tables.summary import MAX_ROWS

    if background and queue:
        raise RequestError("--background starts the sweep now, --queue later; remove one of them")
    seconds, max_trials = parse_budget(budget)
    values = {
        "space": space,
        "zipped": parse_zip(zip_),
        "metric": tuple(metric) if metric else None,
        "maximize": maximize,
        "trials": trials,
        "seeds": seeds,
        "sampler": sampler,
        "pruner": pruner,
        "learn_from": tuple(learn_from or ()),
        "engine": engine,
        "address": address,
        "model": model,
        "data": data,
        "settings": tuple(set_ or ()),
        "cpus_per_trial": cpus_per_trial,
        "gpus_per_trial": parse_gpus(gpus_per_trial),
        "name": name,
        "out": out,
        "cache": cache,
        "budget": seconds,
        "budget_trials": max_trials,
        "step_timeout": parse_step_timeout(step_timeout, deadline),
        "checkpoint_interval": parse_checkpoint_interval(checkpoint_interval),
        "keep": keep,
        "final": final,
        "notify": notify,
        "track": tuple(track or ()),
        "rerun": rerun,
        "retry_failed": retry_failed,
        "retry_cancelled": retry_cancelled,
        "dry_run": dry_run,
        "all_rows": all_rows,
        "verbose": verbose,
    }
    plans = [make_plan(each) for each in make_requests(task or [], from_, values, given(context))]
    status, ended = 0, []
    for line in dict.fromkeys(line for plan in plans for line in plan.warnings()):
        print_line(Console(stderr=True), f"Warning: {line}.")
    if dry_run and json_:
        return Outcome(fields={"plans": [plan_fields(plan) for plan in plans]})
    if background and not dry_run:
        return start_in_background(plans[0], json_)
    if queue and not dry_run:
        return add_to_queue(plans, json_)
    try:
        for plan in plans:
            if dry_run:
                print_plan(plan, Console())
            else:
                ended_with = run_sweep(plan, show_tables=not json_, can_detach=True)
                if ended_with == DETACHED:
                    return start_in_background(plan, json_)
                status = max(status, ended_with)
            ended.append(plan)
            if status == 130:
                break
    except KeyboardInterrupt:  # the second Ctrl-C: Typer would exit without a message
        raise CommandError("Interrupted", INTERRUPTED, 130) from None
    return _outcome(ended, status, None if all_rows else MAX_ROWS) if json_ else status


def _outcome(plans: Sequence[Plan], status: int, max_rows: int | None) -> Outcome:
    from orchestrator.reports.json_fields import report_fields
    from results.export import sweep_document
    from results.storage.reading import read_sweep

    sweeps = [read_sweep(plan.request.out, plan.task.name, plan.name) for plan in plans]
    documents = [sweep_document(sweep, max_rows) for sweep in sweeps]
    return Outcome(status=status, fields=report_fields(sweeps, documents))
