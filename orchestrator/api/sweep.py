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
    zip: Sequence[Sequence[str]] = (),
    seeds: int | Sequence[int] = 1,
    metric: str | Sequence[str] | None = None,
    maximize: bool | None = None,
    trials: int | None = None,
    sampler: str | None = None,
    pruner: str | None = None,
    learn_from: str | Sequence[str] = (),
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
    notify: str | None = None,
    track: str | Sequence[str] = (),
    rerun: bool = False,
    retry_failed: bool = False,
    retry_cancelled: bool = False,
    verbose: bool = False,
) -> Sweep:
    """Run a sweep and return its results. Call it again to resume or extend the sweep.

    It does the same as the command ``sweep``, and shows the same progress; in a notebook, below the
    cell. On Ctrl-C, or if you interrupt the kernel, the running steps end and are saved. Call it in
    the main thread: other threads do not receive these signals and ignore ``step_timeout``.

    Args:
        task: the name of a task, ``"FILE.py:FUNCTION"``, a function, or a ``Request`` without
            further arguments.
        space: the values to try. A dict of lists is a grid: ``{"lr": [1e-5, 1e-3]}``. A list of
            such dicts is several grids. A dict with a range is a search:
            ``{"lr": {"min": 1e-5, "max": 1e-2, "log": True}}``. A function of an Optuna trial is a
            search, too. Names and files work as in ``--space``.
        set: parameters that are the same in every trial.
        zip: groups of parameters whose lists vary together, such as ``[("lr", "epochs")]``.
        seeds: number of seeds, or a list of seeds.
        metric: the metric of a function (default: the one that the function declares). A list, such
            as ``["accuracy", "seconds:minimize"]``, is for a search that optimizes several metrics.
        maximize: whether a higher ``metric`` is better (default: as the function declares).
        trials: for a search: number of configurations (default: 50).
        sampler: for a search: ``"tpe"`` (default), ``"random"``, ``"qmc"``, ``"gp"``, ``"cmaes"``,
            ``"nsga2"``, ``"auto"`` (OptunaHub's), or ``"module:Class"``.
        pruner: for a search: ``"halving"`` (default), ``"median"``, ``"hyperband"``,
            ``"wilcoxon"`` or ``"none"``.
        learn_from: for a search: earlier sweeps that the sampler learns from, such as
            ``"toy/grid"``.
        model: Hugging Face id or folder.
        data: data set, such as ``"folder:DIR"``.
        engine: ``"ray"``, or ``"local"`` to run everything in this process.
        address: Ray address (default: ``$RAY_ADDRESS``, otherwise a local Ray).
        cpus_per_trial: CPU cores per worker (default: split evenly).
        gpus_per_trial: GPUs per worker: 1, a fraction, or ``"auto"``; 2 and more for tasks that
            compute a trial on several GPUs.
        name: name of the sweep (default: from the space and the settings).
        out: folder or URI for the results.
        cache: folder or URI that keeps shared stages for later sweeps (default:
            ``$ORCHESTRATOR_CACHE``).
        budget: seconds after which the sweep stops. Call it again to resume.
        budget_trials: number of trials after which the sweep stops. Call it again to resume.
        step_timeout: maximum seconds of a step or a shared stage.
        checkpoint_interval: seconds between two checkpoints of a trial. 0 saves every step.
        keep: trials whose weights are kept: ``"best"``, ``"none"``, ``"all"``, or a number of
            configurations.
        final: split on which to score the best rows when the sweep is complete.
        notify: URL of a webhook that gets a message when the sweep ends, see ``sweep --notify``
            (default: ``$ORCHESTRATOR_NOTIFY``). The results do not record it.
        track: experiment tracker that gets each trial as a run, such as ``"mlflow"``, or several.
        rerun: whether to run finished trials again.
        retry_failed: whether to run failed trials again.
        retry_cancelled: whether to run cancelled trials.
        verbose: whether to print the lines of the log as well.

    Returns:
        The sweep with all results so far. Failed trials are rows with a reason.

    Raises:
        RequestError: if the request is invalid. Nothing has run.
        StoreError: if results cannot be written or read.
        KeyboardInterrupt: if it was interrupted. Call it again to resume.
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
        zipped=tuple(map(tuple, zip)),
        seeds=seeds if isinstance(seeds, int) else tuple(seeds),
        metric=metric,
        maximize=maximize,
        learn_from=(learn_from,) if isinstance(learn_from, str) else tuple(learn_from),
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
        notify=notify or os.environ.get("ORCHESTRATOR_NOTIFY"),
        track=(track,) if isinstance(track, str) else tuple(track),
        rerun=rerun,
        retry_failed=retry_failed,
        retry_cancelled=retry_cancelled,
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
        raise KeyboardInterrupt("the sweep was interrupted; call it again to resume")
    return Sweep(read_sweep(request.out, plan.task.name, plan.name), plan.task)


_HIDDEN = ("task", "given", "call")
_SECRET = ("notify",)


def describe_call(request: Request) -> str:
    """Return the call of ``sweep`` that makes this request, for ``sweep.json``."""
    parts = [_text(request.task)]
    for field in dataclasses.fields(Request):
        value = getattr(request, field.name)
        default = {} if field.name == "settings" else field.default
        if field.name not in _HIDDEN and value != default:
            text = "'***'" if field.name in _SECRET else _text(value)
            parts.append(f"{OPTION_NAMES.get(field.name, field.name)}={text}")
    return f"orc.sweep({', '.join(parts)})"


def _text(value: object) -> str:
    if isinstance(value, Task):
        return repr(value.name)
    return str(getattr(value, "__name__", None) or repr(value))
