"""Small sweeps of the real tasks and spaces with invented results. Nothing is trained.

Every number is a function of the trial's position in its sweep, so the tables are the same on every
machine. Ids and fingerprints are invented too, because the real ones change with every version.
"""

from __future__ import annotations

import dataclasses
import hashlib
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from orchestrator.request import Request
from orchestrator.running.plan import Plan, make_plan
from orchestrator.running.run import Run
from results.statistics import estimate
from results.storage.manifest import Manifest
from results.storage.manifest_parts import GitState
from results.storage.reading import Sweep, read_sweep
from results.storage.store import TrialResult
from tasks.contract import Source

MODEL, DATA = "a1b2c3d4e5f60718", "0f1e2d3c4b5a6978"
NUM_UNITS = 120
STEPS = 3
CONDITIONS = {"seen": ("000", "001", "010", "100"), "unseen": ("011", "101", "110", "111")}
CAPTIONS = ("a red circle above a blue square", "two small green triangles", "a large yellow ring")


_PICTURE = b"\x89PNG"  # never decoded: without colors a terminal shows no picture


@dataclass(frozen=True)
class GoldenSweep:
    """A sweep to make: its request, and the trials that did not finish."""

    task: str
    name: str
    space: str = "paper"
    seeds: int = 1
    trials: int = 12  # of a search
    better: float = 0.0  # what is added to every score
    zero: bool = False  # whether nothing was learned
    status: Mapping[tuple[int, int], str] | None = None  # (configuration, seed) -> not finished


class _Draw:
    """The trial that a search function gets, with values drawn from a seed."""

    def __init__(self, number: int) -> None:
        self._random = random.Random(number)

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        return self._random.choice(list(choices))

    def suggest_int(self, name: str, low: int, high: int, log: bool = False) -> int:
        return self._random.randint(low, high)

    def suggest_float(self, name: str, low: float, high: float, log: bool = False) -> float:
        if log:
            return float(np.exp(self._random.uniform(np.log(low), np.log(high))))
        return self._random.uniform(low, high)


def make_sweep(out: Path, made: GoldenSweep) -> Sweep:
    """Write a sweep as a run does, and read it."""
    settings = () if made.task == "captioning" else ("precision=float32",)
    request = Request(
        task=made.task,
        space=made.space,
        seeds=made.seeds,
        trials=made.trials,
        settings=settings,
        name=made.name,
        out=str(out),
        engine="local",
    )
    plan = make_plan(request)
    run = Run(plan)
    manifest = dataclasses.replace(
        run.manifest(83.0),
        command=("python", "-m", "orchestrator", "sweep", made.task, "--space", made.space),
        versions={"python": "3.11.9", "ray": "2.60.0", "optuna": "5.0.0", "torch": "2.13.0"},
        git=GitState(commit="0123456789abcdef", dirty=True),
        environment=None,
        hardware={"cpus": 2, "cpu": "an x86 processor", "memory_gib": 7.6, "gpus": []},
        started="2026-01-02T03:04:05+00:00",
        version="1",
        model=Source(name=plan.factory.model.name.rsplit("/", 1)[-1], fingerprint=MODEL),
        data=Source(name=plan.factory.data.name, fingerprint=DATA),
    )
    run.store.write_manifest(manifest)
    run.store.add([_result(each, made, manifest) for each in _trials(plan, made)])
    return read_sweep(str(out), made.task, made.name)


def _trials(plan: Plan, made: GoldenSweep) -> list[tuple[int, int, Mapping[str, Any]]]:
    """(configuration, seed, parameters), in the order of the space."""
    found: list[tuple[int, int, Mapping[str, Any]]] = []
    if plan.space.search is None:
        keys: dict[str, int] = {}
        for trial in plan.trials:
            params = trial.param_values()
            found.append((keys.setdefault(repr(params), len(keys)), trial.seed, params))
        return found
    for number in range(made.trials):
        values = plan.space.search(_Draw(number))
        for seed in plan.seeds:
            found.append((number, seed, plan.factory.trial(values, seed).param_values()))
    return found


def trial_id(made: GoldenSweep, number: int, seed: int) -> str:
    """An id that depends only on the position in the sweep."""
    return hashlib.sha256(f"{made.task} {made.name} {number} {seed}".encode()).hexdigest()[:16]


def _result(
    trial: tuple[int, int, Mapping[str, Any]], made: GoldenSweep, manifest: Manifest
) -> TrialResult:
    number, seed, params = trial
    status = (made.status or {}).get((number, seed), "finished")
    row: dict[str, Any] = {
        "trial_id": trial_id(made, number, seed),
        "seed": seed,
        "status": status,
        "reason": "RuntimeError: CUDA out of memory; `batch_size` times `num_captions` texts need "
        "19.2 GiB, the device has 7.9 GiB free"
        if status == "failed"
        else None,
        "log": "Traceback (most recent call last):\n  RuntimeError" if status == "failed" else None,
        "reused_from": f"{made.task}/earlier" if number == 1 and made.space == "grid" else None,
        "model": manifest.model.name,
        "model_fingerprint": MODEL,
        "data": manifest.data.name,
        "data_fingerprint": DATA,
        "version": "1",
        "seconds": 2.0 + number + seed / 4,
        "num_steps": {"finished": STEPS, "stopped": 1, "interrupted": 2, "failed": 0}[status],
        **{f"param.{name}": value for name, value in params.items()},
    }
    if status == "failed":
        return TrialResult(trial=row, steps=[], samples=None)
    rng = np.random.default_rng([number, seed])
    score = 0.0 if made.zero else min(0.97, 0.25 + 0.6 * abs(np.sin(number + 1)) + made.better)
    samples = SAMPLES[made.task](rng, score)
    metrics = _metrics(rng, score, samples, manifest)
    row |= metrics
    steps = [
        {
            "trial_id": row["trial_id"],
            "seed": seed,
            "at": at,
            "seconds": 0.5,
            **{key: value * at / STEPS for key, value in metrics.items()},
        }
        for at in range(1, row["num_steps"] + 1)
    ]
    return TrialResult(trial=row, steps=steps, samples=samples if status == "finished" else None)


def _metrics(
    rng: np.random.Generator, score: float, samples: Any, manifest: Manifest
) -> dict[str, float]:
    """A value for every column of an ordinary trial, the main one from the samples."""
    values: dict[str, float] = {}
    for column in manifest.columns:
        kind, _, name = column.key.partition(".")
        if kind == "metric" and not name.startswith("itc_"):  # only of trials that re-rank
            share = float(np.clip(score + rng.normal(0, 0.02), 0, 1)) if score else 0.0
            scale = {"score": 40.0, "integer": 300.0, "number": 6.0}.get(column.format, 1.0)
            low, high = name.endswith("_low"), name.endswith("_high")
            values[column.key] = scale * (0.1 if low else 0.9 if high else share)
    main = manifest.metric.name
    spec = manifest.paired_of(main)
    assert spec is not None
    kept = np.ones(len(samples[spec.unit]), bool)
    for name, wanted in spec.where.items():
        kept &= np.asarray(samples[name]) == wanted
    found = np.asarray(samples[spec.value], dtype=float)[kept]
    values[f"metric.{main}"] = estimate(found[:, None], spec.aggregate).mean
    return values


def _retrieval(rng: np.random.Generator, score: float) -> dict[str, list[Any]]:
    hits = rng.random(NUM_UNITS) < score
    return {
        "direction": ["i2t"] * NUM_UNITS,
        "query": list(range(NUM_UNITS)),
        "rank": [1.0 if hit else 9.0 for hit in hits],
        "hit1": hits.astype(float).tolist(),
    }


def _captioning(rng: np.random.Generator, score: float) -> dict[str, list[Any]]:
    """Matched and counted n-grams of orders 1 to 4, and both lengths, of each caption."""
    right = rng.random((NUM_UNITS, 10)) < score
    matched = [[int(row[:n].sum()) for n in (10, 9, 8, 7)] for row in right]
    statistics = [[*found, 10, 9, 8, 7, 10, 10] for found in matched]
    return {
        "image": list(range(NUM_UNITS)),
        "cider_d": (right.mean(axis=1) * 10).round(3).tolist(),
        "caption": [CAPTIONS[i % 3] for i in range(NUM_UNITS)],
        "references": [[CAPTIONS[(i + 1) % 3], CAPTIONS[(i + 2) % 3]] for i in range(NUM_UNITS)],
        "bleu_statistics": statistics,
    }


def _diffusion(rng: np.random.Generator, score: float) -> dict[str, list[Any]]:
    groups = [group for group in CONDITIONS for _ in range(NUM_UNITS)]
    right = (rng.random(2 * NUM_UNITS) < score).astype(float).tolist()
    return {
        "group": groups,
        "condition": [CONDITIONS[g][i % 4] for i, g in enumerate(groups)],
        "sample": list(range(NUM_UNITS)) * 2,
        "right": right,
        "all_right": right,
        "share_right": right,
        "distance": rng.random(2 * NUM_UNITS).round(3).tolist(),
        "picture": [_PICTURE] * (2 * NUM_UNITS),
    }


SAMPLES = {"retrieval": _retrieval, "captioning": _captioning, "diffusion": _diffusion}
