"""``sweep``: run a task over a space."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.console import Console

from orchestrator.cli.completion import (
    complete_pruner,
    complete_sampler,
    complete_setting,
    complete_task,
)
from orchestrator.cli.entry import INTERRUPTED, fail
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
    check_tasks,
    parse_budget,
    parse_checkpoint_interval,
    parse_gpus,
    parse_seeds,
    parse_step_timeout,
)
from results.text import print_line

Space = Annotated[
    str | None,
    typer.Option(
        help="Space: paper (the default), grid, search, FILE.py, or FILE.py:grid for one of a file."
    ),
]
Trials = Annotated[
    int | None, typer.Option(help="Number of configurations of a search (default: 50).")
]
Seeds = Annotated[
    Any,
    typer.Option(
        parser=parse_seeds,
        metavar="N|LIST",
        help="Seeds of each configuration: 3 for 0, 1, 2; or a list such as 1,2 (7, for one).",
    ),
]
Sampler = Annotated[
    str | None,
    typer.Option(
        help="Sampler of a search: tpe (the default), random, qmc or nsga2.",
        autocompletion=complete_sampler,
    ),
]
Pruner = Annotated[
    str | None,
    typer.Option(
        help="Pruner of a search: halving (the default), median, hyperband or none.",
        autocompletion=complete_pruner,
    ),
]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="Fix a parameter in every row; repeat for several.",
        autocompletion=complete_setting,
    ),
]
Name = Annotated[
    str | None, typer.Option(help="Name of the sweep (default: the name of the space).")
]
Cache = Annotated[
    str | None,
    typer.Option(
        envvar="ORCHESTRATOR_CACHE",
        help="Folder or URI that keeps costly shared stages for later sweeps.",
    ),
]
BudgetOption = Annotated[
    str | None,
    typer.Option(
        metavar="TIME|N",
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
        help="Trials whose weights are kept: the best with its ties (the default), all, the N best "
        "configurations of each table, or none.",
    ),
]
Final = Annotated[
    str | None,
    typer.Option(
        metavar="SPLIT",
        help="When the sweep is complete, score the best row and its ties on this split, such as "
        "test; each look is recorded.",
    ),
]
Rerun = Annotated[bool, typer.Option("--rerun", help="Run finished trials again.")]
RetryFailed = Annotated[bool, typer.Option("--retry-failed", help="Run failed trials again.")]
Verbose = Annotated[
    bool,
    typer.Option(
        "--verbose", "-v", help="Also print what goes to the log: packs, workers, shared stages."
    ),
]
Metric = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help="Metric of a function FILE.py:FUNCTION (default: as it declares)."
    ),
]
Maximize = Annotated[
    bool | None,
    typer.Option(
        "--maximize/--minimize", help="Whether a higher --metric is better.", show_default=False
    ),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Print every trial and shared stage; run nothing.")
]


def sweep(
    task: Annotated[
        list[str],
        typer.Argument(
            help="Tasks to sweep, one after the other: names, or FILE.py:FUNCTION.",
            autocompletion=complete_task,
        ),
    ],
    space: Space = None,
    metric: Metric = None,
    maximize: Maximize = None,
    trials: Trials = None,
    seeds: Seeds = 1,
    sampler: Sampler = None,
    pruner: Pruner = None,
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
    rerun: Rerun = False,
    retry_failed: RetryFailed = False,
    dry_run: DryRun = False,
    all_rows: AllRows = False,
    verbose: Verbose = False,
) -> int:
    """Run a task's sweep and print its tables. Run the same command again to resume."""
    from orchestrator.request import Request
    from orchestrator.running.plan import make_plan
    from orchestrator.running.preview import print_plan
    from orchestrator.running.sweep import run_sweep

    check_tasks(task)
    seconds, most = parse_budget(budget)
    of_search = {"trials": trials, "sampler": sampler, "pruner": pruner}
    given: dict[str, Any] = {k: v for k, v in of_search.items() if v is not None}
    plans = [
        make_plan(
            Request(
                task=each,
                space=space,
                metric=metric,
                maximize=maximize,
                seeds=seeds,
                **given,
                given=given,
                engine=engine,
                address=address,
                model=model,
                data=data,
                settings=tuple(set_ or ()),
                cpus_per_trial=cpus_per_trial,
                gpus_per_trial=parse_gpus(gpus_per_trial),
                name=name,
                out=out,
                cache=cache,
                budget=seconds,
                budget_trials=most,
                deadline=parse_step_timeout(step_timeout, deadline),
                checkpoint_interval=parse_checkpoint_interval(checkpoint_interval),
                keep=keep,
                final=final,
                rerun=rerun,
                retry_failed=retry_failed,
                dry_run=dry_run,
                all_rows=all_rows,
                verbose=verbose,
            )
        )
        for each in dict.fromkeys(task)
    ]
    status = 0
    for line in dict.fromkeys(line for plan in plans for line in plan.warnings()):
        print_line(Console(stderr=True), f"Warning: {line}.")
    try:
        for plan in plans:
            if dry_run:
                print_plan(plan, Console())
            else:
                status = max(status, run_sweep(plan))
            if status == 130:
                break
    except KeyboardInterrupt:  # the second one: typer would end without a word
        fail(INTERRUPTED, 130)
    return status
