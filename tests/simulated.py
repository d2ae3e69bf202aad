"""Sweeps with known true scores, written as a run writes them. Nothing is trained."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from orchestrator.planning.planned_claims import PublishedRows
from orchestrator.request import Request
from orchestrator.running.plan import Plan, make_plan
from orchestrator.running.run import Run
from results.storage.reading import Sweep, read_sweep
from results.storage.store import TrialResult
from tasks.contract import Trial

Score = Callable[[Mapping[str, Any]], float]  # of a trial's parameters, its true share of hits


def published(task: str) -> PublishedRows:
    """The published numbers of a task's own space."""
    plan = make_plan(Request(task=task))
    return PublishedRows(space=plan.space, planned=plan.planned, task=plan.task)


def trial_result(trial: Trial, metrics: Mapping[str, float], samples: Any) -> TrialResult:
    """A finished trial as the coordinator passes it to the store."""
    row = {
        "trial_id": trial.id,
        "seed": trial.seed,
        "status": "finished",
        "model_fingerprint": trial.model.fingerprint,
        "data_fingerprint": trial.data.fingerprint,
        "version": trial.version,
        "num_steps": 1,
        **{f"param.{name}": value for name, value in trial.param_values().items()},
        **{f"metric.{name}": value for name, value in metrics.items()},
    }
    return TrialResult(trial=row, steps=[], samples=samples)


def write_plan(plan: Plan, results: Sequence[TrialResult]) -> Sweep:
    """Write the sweep of a plan with these results."""
    run = Run(plan)
    run.store.add(results)
    run.store.write_manifest(run.manifest(0.0))
    return read_sweep(plan.request.out, plan.task.name, plan.name)


def simulate_retrieval(
    out: Path, score: Score, *, num_units: int = 400, seeds: int = 1, **request: Any
) -> Sweep:
    """A retrieval sweep in which a query of a trial is found with the probability ``score``.

    Each query is equally difficult for every trial, so that paired tests have an effect.
    """
    plan = make_plan(Request(task="retrieval", out=str(out), seeds=seeds, **request))
    difficulty = np.random.default_rng(0).uniform(size=num_units)
    results = []
    for number, trial in enumerate(plan.trials):
        noise = np.random.default_rng([1, number]).normal(0, 0.1, num_units)
        hits = difficulty + noise < score(trial.param_values())
        samples = {
            "direction": ["i2t"] * num_units,
            "query": list(range(num_units)),
            "rank": [1.0 if hit else 9.0 for hit in hits],
            "hit1": hits.astype(float).tolist(),
        }
        results.append(trial_result(trial, {"i2t_r1": float(hits.mean())}, samples))
    return write_plan(plan, results)


def published_order(params: Mapping[str, Any]) -> float:
    """The shares of the paper's own rows."""
    if params["epochs"] == 0:
        return 0.53
    if params["start"] == "random":
        return 0.45
    if params["temperature"] == 0.7:
        return 0.27
    return {1e-5: 0.59, 6e-5: 0.59, 1e-3: 0.55, 1e-2: 0.38}[params["lr"]]


def simulate_diffusion(out: Path, *, seen: int, unseen: int, num_samples: int = 256) -> Sweep:
    """The diffusion report with this number of correct pictures in each group."""
    plan = make_plan(Request(task="diffusion", out=str(out)))
    right = {"seen": seen, "unseen": unseen}
    samples = {
        "group": [group for group in right for _ in range(num_samples)],
        "sample": list(range(num_samples)) * 2,
        "share_right": [float(i < number) for number in right.values() for i in range(num_samples)],
    }
    metrics = {f"{group}_attributes": number / num_samples for group, number in right.items()}
    return write_plan(plan, [trial_result(trial, metrics, samples) for trial in plan.trials])


def simulate(task: str, out: Path, *, seeds: int = 2, **request: Any) -> Sweep:
    """A sweep of any task whose metrics are drawn at random; every trial has two steps."""
    plan = make_plan(Request(task=task, out=str(out), seeds=seeds, **request))
    names = [c.key.removeprefix("metric.") for c in plan.task.columns if c.key[:7] == "metric."]
    results = []
    for number, trial in enumerate(plan.trials):
        values = np.random.default_rng(number).uniform(size=len(names)).tolist()
        found = trial_result(trial, dict(zip(names, values, strict=True)), None)
        metrics = {key: value for key, value in found.trial.items() if key[:7] == "metric."}
        of = {"trial_id": trial.id, "seed": trial.seed, "seconds": 0.5}
        steps = [{**of, "at": at, **metrics} for at in (1, 2)]
        row = {**found.trial, "num_steps": 2}
        results.append(TrialResult(trial=row, steps=steps, samples=None))
    return write_plan(plan, results)
