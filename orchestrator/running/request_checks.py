"""Checks the options of a request before anything is loaded or written."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from orchestrator.cgroups import available_cpus
from orchestrator.engines.ray.address import check_address, check_reachable
from orchestrator.execution.placement import initial_gpus, processes_per_trial
from orchestrator.hardware import num_gpus
from orchestrator.planning import task_calls
from orchestrator.planning.metric_params import check_metric_params
from orchestrator.running.learned import check_learns
from orchestrator.running.notify import check_url
from orchestrator.search.options import (
    MIN_WILCOXON_SEEDS,
    PRUNERS,
    SEED_PRUNERS,
    check_name,
    parse_sampler,
)
from orchestrator.tracking.finding import check_trackers
from results.extras import require
from results.redaction import redact
from results.storage.filesystem import check_output_folder
from results.text import listed, plural
from tasks.contract import RequestError, Task, Trial

if TYPE_CHECKING:
    from orchestrator.planning.objectives import Objective
    from orchestrator.request import Request
    from orchestrator.running.plan import Plan
    from orchestrator.search.function import SearchSample


def find_address(request: Request) -> str | None:
    """Return the Ray address from --address or RAY_ADDRESS; None to start a local Ray."""
    address = request.address or os.environ.get("RAY_ADDRESS")
    return None if address == "local" else address


def check_options(request: Request) -> None:
    """Check the values of options, and that they do not contradict each other.

    Raises:
        RequestError: at the first problem.
    """
    for option in ("model", "data", "name", "cache", "out", "space", "address"):
        value = getattr(request, option)
        if isinstance(value, str) and not value.strip():
            raise RequestError(f"--{option} must not be empty; remove it to use the default")
    if "optuna" in request.track and "://" in request.out:
        raise RequestError(
            f"--track optuna needs a local --out, but it is {redact(request.out)}; give a folder, "
            "or remove --track optuna"
        )
    check_output_folder("--out", request.out)
    if request.cache is not None:
        check_output_folder("--cache", request.cache)
    check_url(request.notify)
    check_trackers(request.track)
    parse_sampler(request.sampler)
    check_name("pruner", request.pruner, PRUNERS)
    if request.rerun and request.retry_failed:
        raise RequestError("--rerun also runs failed trials again; remove --retry-failed")
    if request.rerun and request.retry_cancelled:
        raise RequestError("--rerun also runs cancelled trials; remove --retry-cancelled")
    if request.engine == "local" and request.address is not None:
        raise RequestError("--address requires --engine ray; remove one of the two")
    gpus = initial_gpus(request.gpus_per_trial)
    is_shared = gpus < 1 or request.gpus_per_trial == "auto"
    if request.engine == "local" and (request.cpus_per_trial is not None or is_shared):
        raise RequestError(
            "--cpus-per-trial, and --gpus-per-trial below 1 or auto, require --engine ray; the "
            "local engine uses all CPUs and the first GPU, which OMP_NUM_THREADS and "
            "CUDA_VISIBLE_DEVICES change"
        )
    address, cores = find_address(request), available_cpus()
    if request.engine == "ray" and address:
        check_address(address)
    elif (request.cpus_per_trial or 1) > cores:
        raise RequestError(
            f"--cpus-per-trial is {request.cpus_per_trial}, but this machine has {cores}; use at "
            f"most {cores}"
        )
    if request.engine not in ("ray", "local"):
        raise RequestError(f"--engine takes ray or local, but got {request.engine!r}")
    if request.cpus_per_trial is not None and request.cpus_per_trial < 1:
        raise RequestError(f"--cpus-per-trial must be at least 1, but is {request.cpus_per_trial}")
    if not (0 < gpus <= 1 or (math.isfinite(gpus) and gpus == int(gpus) > 0)):
        raise RequestError(
            f"--gpus-per-trial takes a fraction of 1, or a whole number, but got {gpus:g}"
        )


def check_gpus(request: Request, task: Task, trials: Sequence[Trial]) -> None:
    """Check that trials can use the number of GPUs of ``--gpus-per-trial``.

    Raises:
        RequestError: if one of them cannot.
    """
    number = processes_per_trial(request.gpus_per_trial)
    if number == 1:
        return
    for trial in trials:
        try:
            task_calls.check_gpus(task, trial, number)
        except RequestError as error:
            raise RequestError(f"--gpus-per-trial {number}: {error}") from None


def check_search(request: Request, num_seeds: int, objectives: Sequence[Objective]) -> None:
    """Check that sampler and pruner suit the number of seeds and metrics.

    Raises:
        RequestError: if they do not.
    """
    sampler, pruner = request.sampler, request.pruner
    check_learns(sampler, request.learn_from)
    if sampler == "nsga2" and not objectives:
        raise RequestError(
            "--sampler nsga2 searches for the Pareto front of several metrics; name them, as in "
            "--metric NAME --metric NAME, or use another sampler"
        )
    if pruner != "none" and objectives:
        raise RequestError(
            f"--pruner {pruner} compares one metric, but this search optimizes "
            f"{listed([each.name for each in objectives])}; remove it, or name one metric"
        )
    if pruner in SEED_PRUNERS and num_seeds < MIN_WILCOXON_SEEDS:
        raise RequestError(
            f"--pruner {pruner} compares configurations seed by seed, which shows nothing before "
            f"the fourth seed, but --seeds is {num_seeds}; use at least --seeds "
            f"{MIN_WILCOXON_SEEDS}, or another pruner"
        )


def check_search_options(given: Mapping[str, object], space: str) -> None:
    """Refuse search options for a space that lists its trials.

    Raises:
        RequestError: at the first such option.
    """
    advice = {
        "trials": "add --space search, or start only some of the listed trials with --budget",
        "metric": "add --space search",
        "learn-from": "add --space search",
        "sampler": "add --space search",
        "pruner": "add --space search",
    }
    for option, value in given.items():
        if value is not None:
            raise RequestError(
                f"--{option} {redact(str(value))} has no effect: the space {space!r} lists all its "
                "trials; " + advice[option].replace("--budget", f"--budget {value}trials")
            )


def check_can_start(plan: Plan) -> None:
    """Check what only a real run needs: Ray, the cluster, and a working search function.

    Raises:
        RequestError: if one of them is missing or does not work.
    """
    address = find_address(plan.request)
    if plan.request.engine == "ray":
        require("--engine ray", "ray", " (or use --engine local)")
    if plan.request.engine == "ray" and address:
        check_reachable(address)
    number = processes_per_trial(plan.request.gpus_per_trial)
    if plan.request.engine == "local" and number > max(1, found := num_gpus()):
        where = "in CUDA_VISIBLE_DEVICES" if "CUDA_VISIBLE_DEVICES" in os.environ else "here"
        fix = f"use at most {found}" if found > 1 else "remove it"
        raise RequestError(
            f"--gpus-per-trial is {number}, but the local engine finds {plural(found, 'GPU')} "
            f"{where}; {fix}"
        )
    if plan.space.search is not None:
        sample_search(plan)


def sample_search(plan: Plan) -> SearchSample:
    """Check the plan's search function by sampling random configurations, and return them.

    Raises:
        RequestError: if the search function or the sampler fails, or Optuna is missing.
    """
    require("a search", "optuna")
    from orchestrator.search.function import check_search_function
    from orchestrator.search.samplers import check_sampler

    check_sampler(plan.request.sampler, [each.direction for each in plan.objectives])
    assert plan.space.search is not None
    if plan.request.learn_from:
        _ = plan.learned
    sample = check_search_function(plan.space.search, plan.factory, plan.request.pruner)
    check_gpus(plan.request, plan.task, sample.trials)
    metrics = [each.name for each in plan.objectives] or [plan.task.metric.name]
    check_metric_params(plan.task, metrics, sample.trials)
    return sample
