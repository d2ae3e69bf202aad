"""The output of ``--dry-run``: trials and shared stages, and which of them are done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from rich.console import Console
from rich.text import Text

from orchestrator.planning.labels import varying_params
from orchestrator.planning.plan import distinct_stages
from orchestrator.running.learned import describe_learned
from orchestrator.running.plan import Plan
from orchestrator.running.request_checks import sample_search
from orchestrator.running.sweep_weights import SweepWeights
from results.render.planned_view import PlannedTrials
from results.storage.reading import known_trials, read_sweep
from results.tables.search import describe_lines
from results.tables.summary import format_plain
from results.text import plural, print_line
from tasks.contract import StoreError, Trial


def print_plan(plan: Plan, console: Console) -> None:
    """Print every trial and every distinct stage, and how many trials are done."""
    for notice in _notices(plan):
        console.print(Text(notice), soft_wrap=True)
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
        print_line(console, f"--keep {plan.keep} runs {number} again, because weights are missing")


def plan_fields(plan: Plan) -> dict[str, Any]:
    """Return the plan for JSON: trials with their ids, and the labels of the distinct stages.

    A search has no trials before it runs, so it has its options and random configurations.

    Raises:
        RequestError: if the search function or the sampler fails, or Optuna is missing.
    """
    known = known_trials(plan.request.out, plan.task.name)
    sample = sample_search(plan) if plan.space.search is not None else None
    search = plan.search() if plan.space.search is not None else None
    return {
        "task": plan.task.name,
        "name": plan.name,
        "notices": _notices(plan),
        "search": search,
        "max_trials": len(plan.seeds) * plan.request.trials if search else len(plan.trials),
        "trials": [
            {
                "trial_id": trial.id,
                "seed": trial.seed,
                "params": trial.param_values(),
                "is_done": _is_done(known.get(trial.id)),
            }
            for trial in plan.trials
        ],
        "sampled": None if sample is None else [each.param_values() for each in sample.trials],
        "refused": None if sample is None else sample.refused,
        "stages": [stage.label for stage in distinct_stages(plan.task, plan.trials)],
    }


def _notices(plan: Plan) -> list[str]:
    """Return what the user may not expect of the plan, and which space it takes."""
    return [*plan.notices(), *filter(None, [plan.space.announcement])]


def _missing_weights(plan: Plan) -> list[Trial]:
    """Return the finished trials that run again because ``--keep`` asks for their weights."""
    try:
        sweep = read_sweep(plan.request.out, plan.task.name, plan.name)
    except StoreError:  # the trials are those of another sweep
        return []
    return SweepWeights(plan).to_run_again(sweep)


def _print_search(plan: Plan, console: Console) -> None:
    """Print the options of a search and some random configurations."""
    sample, request = sample_search(plan), plan.request
    total = request.trials * len(plan.seeds)
    lines = [
        f"{plan.task.name} {plan.name}: up to {plural(total, 'trial')} "
        f"({plural(request.trials, 'configuration')} x {plural(len(plan.seeds), 'seed')}), "
        "sampled by Optuna while they run",
        *(f"  {line}" for line in describe_lines(replace(plan.search(), learned_from={}))),
        *([f"  {describe_learned(plan.learned)}"] if request.learn_from else []),
        f"{len(sample.trials)} of {len(sample.trials) + len(sample.refused)} random "
        "configurations can run, for example",
    ]
    params = {param[6:] for param in (c.key for c in plan.task.columns) if param[:6] == "param."}
    for trial in sample.trials[:3]:
        values = trial.param_values().items()
        lines.append("  " + ", ".join(f"{n}={format_plain(v)}" for n, v in values if n in params))
    if sample.refused:
        lines.append(f"The others are invalid, for example: {sample.refused[0]}")
    for line in lines:
        print_line(console, line)


def _is_done(known: tuple[str, Mapping[str, Any]] | None) -> bool:
    return known is not None and known[1]["status"] == "finished"
