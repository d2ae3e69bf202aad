"""Results of a toy task, for tests of the store and its readers."""

from __future__ import annotations

from typing import Any

from results.storage.manifest import Manifest
from results.storage.store import TrialResult

PARAMS = {"lr": "float"}


def result(number: int, lr: float = 0.1, seed: int = 0, hits: int = 5) -> TrialResult:
    row: dict[str, Any] = {
        "trial_id": f"t{number}",
        "seed": seed,
        "status": "finished",
        "reason": None,
        "reused_from": None,
        "model_fingerprint": "m",
        "data_fingerprint": "d",
        "num_steps": 1,
        "param.lr": lr,
        "metric.r1": hits / 10,
    }
    steps = [{"trial_id": f"t{number}", "seed": seed, "at": 1, "metric.r1": hits / 10}]
    ranks = [1] * hits + [2] * (10 - hits)
    samples: dict[str, Any] = {"direction": ["i2t"] * 10, "query": list(range(10)), "rank": ranks}
    return TrialResult(trial=row, steps=steps, samples=samples)


def manifest(**changes: Any) -> Manifest:
    """The manifest of a sweep with one parameter and one metric, and these keys changed."""
    content = {
        "task": "toy",
        "name": "s",
        "space": "grid",
        "command": ["sweep"],
        "versions": {},
        "git": None,
        "hardware": {},
        "started": "2026-01-01T00:00:00",
        "seconds": 0.0,
        "engine": "local",
        "params": {"lr": "float"},
        "model": {"name": "m", "fingerprint": "m"},
        "data": {"name": "d", "fingerprint": "d"},
        "metric": {"name": "r1", "label": "R@1", "direction": "maximize"},
        "columns": [
            {"key": "param.lr", "label": "lr", "format": "scientific", "pick": "last"},
            {"key": "metric.r1", "label": "R@1", "format": "percent", "pick": "last"},
        ],
        "paired": [
            {
                "metric": "r1",
                "unit": "query",
                "value": "rank",
                "at_most": 1,
                "where": {"direction": "i2t"},
            }
        ],
        "seeds": [0],
        "tables": [],
    }
    return Manifest.from_json(content | changes)
