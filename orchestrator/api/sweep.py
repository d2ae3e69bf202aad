"""``orc.sweep``: run a sweep from Python."""

from __future__ import annotations

import dataclasses
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from orchestrator.api.results import Sweep
from orchestrator.request import OPTION_NAMES, Request
from orchestrator.running.plan import make_plan
from orchestrator.running.sweep import run_sweep
from results.storage.reading import read_sweep
from tasks.contract import Scalar, Task

if TYPE_CHECKING:
    from orchestrator.planning.inline_space import InlineSpace

_INTERRUPTED = 130


def sweep(
    task: str | Task | Callable[..., Any] | Request,
    space: str | InlineSpace | None = None,
    *,
    set: Mapping[str, Scalar] | None = None,
    seeds: int | Sequence[int] = 1,
    metric: str | None = None,
    maximize: bool | None = None,
    trials: int | None = None,
    sampler: str | None = None,
    pruner: str | None = None,
    model: str | None = None,
    data: str | None = None,
    engine: Literal["ray", "local"] = "ray",
    address: str | None = None,
    cpus_per_trial: int | None = None,
    gpus_per_trial: float | Literal["auto"] = 1.0,
    name: str | None = None,
    out: str | os.PathLike[str] = "runs",
    cache: str | None = None,
    budget: float | None = None,
    budget_trials: int | None = None,
    step_timeout: float | None = None,
    checkpoint_interval: float | None = None,
    keep: str | int | None = None,
    final: str | None = None,
    rerun: bool = False,
    retry_failed: bool = False,
    verbose: bool = False,
) -> Sweep:
    """Run a sweep and return its results. The same call again continues or extends it.

    It does what the command ``orchestrator sweep`` does, and shows the same progress; in a notebook
    below the cell. Ctrl-C, or interrupting the kernel, lets running steps end and saves them. Only
    the main thread gets these signals, and only there can a step be timed out.

    Args:
        task: a task's name, ``"FILE.py:FUNCTION"``, a function, or a ``Request`` that has all else.
        space: what to try: ``{"lr": [1e-5, 1e-3]}`` is a grid, a list of such dicts several grids,
            and a function of an Optuna trial a search. A name or a file is as for ``--space``.
        set: parameters that are the same in every trial.
        seeds: how many, from 0 on, or which.
        metric, maximize: the metric of a function that does not declare it, and its direction.
        trials, sampler, pruner: of a search: configurations to try, and names as for the command.
        model, data: names as for the command.
        engine: ``"ray"``, or ``"local"`` for this process.
        address: of a Ray cluster; by default ``$RAY_ADDRESS``, otherwise a Ray of this machine.
        cpus_per_trial, gpus_per_trial: of a worker of Ray.
        name: of the sweep; by default made of the space and the settings.
        out: folder or URI of all results.
        cache: folder or URI that keeps shared stages for later sweeps; by default
            ``$ORCHESTRATOR_CACHE``.
        budget, budget_trials: seconds, or trials, after which to stop; the same call continues.
        step_timeout: seconds that a step or a shared stage may take.
        checkpoint_interval: seconds between two checkpoints of a trial; 0 saves every step.
        keep: whose weights are kept: ``"best"``, ``"none"``, ``"all"``, or so many of the best
            configurations.
        final: the split to score the best rows on when the sweep is complete.
        rerun, retry_failed: whether finished, or failed, trials run again.
        verbose: whether to show what otherwise only the log has.

    Returns:
        The sweep with all results so far. Failed trials are rows with a reason.

    Raises:
        RequestError: if the request is wrong; nothing has run then.
        StoreError: if results cannot be written or read.
        KeyboardInterrupt: if it was interrupted; the same call continues it.
    """
    if isinstance(task, Request):
        return _run(task)
    optional = {
        "trials": trials,
        "sampler": sampler,
        "pruner": pruner,
        "checkpoint_interval": checkpoint_interval,
    }
    chosen: dict[str, Any] = {name: each for name, each in optional.items() if each is not None}
    request = Request(
        task=task,
        space=space,
        settings=set or {},
        seeds=seeds if isinstance(seeds, int) else tuple(seeds),
        metric=metric,
        maximize=maximize,
        model=model,
        data=data,
        engine=engine,
        address=address,
        cpus_per_trial=cpus_per_trial,
        gpus_per_trial=gpus_per_trial,
        name=name,
        out=os.fspath(out),
        cache=cache or os.environ.get("ORCHESTRATOR_CACHE"),
        budget=budget,
        budget_trials=budget_trials,
        step_timeout=step_timeout,
        keep=None if keep is None else str(keep),
        final=final,
        rerun=rerun,
        retry_failed=retry_failed,
        verbose=verbose,
        given={name: each for name, each in chosen.items() if name != "checkpoint_interval"},
        **chosen,
    )
    return _run(request)


def _run(request: Request) -> Sweep:
    plan = make_plan(dataclasses.replace(request, call=request.call or describe_call(request)))
    for line in plan.warnings():
        warnings.warn(f"{line}.", stacklevel=3)
    if run_sweep(plan, show_tables=False) == _INTERRUPTED:
        raise KeyboardInterrupt("the sweep was interrupted; the same call continues it")
    return Sweep(read_sweep(request.out, plan.task.name, plan.name), plan.task)


_HIDDEN = ("task", "given", "call")


def describe_call(request: Request) -> str:
    """The call of ``sweep`` that makes a request, for ``sweep.json``."""
    parts = [_text(request.task)]
    for field in dataclasses.fields(Request):
        value = getattr(request, field.name)
        default = {} if field.name == "settings" else field.default
        if field.name not in _HIDDEN and value != default:
            parts.append(f"{OPTION_NAMES.get(field.name, field.name)}={_text(value)}")
    return f"orc.sweep({', '.join(parts)})"


def _text(value: object) -> str:
    if isinstance(value, Task):
        return repr(value.name)
    return str(getattr(value, "__name__", None) or repr(value))
