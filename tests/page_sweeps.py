"""Sweeps with everything that a page shows, written by the store itself."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

from sweeps_with_figures import picture
from toy_results import manifest

from results.storage.reading import Sweep, read_sweep
from results.storage.store import SweepStore, TrialResult

START = datetime(2026, 1, 1, tzinfo=UTC)
RATES, LOSSES, SEEDS, STEPS = (1e-4, 1e-3, 1e-2), ("siglip", "info nce"), (0, 1), 5
PARAMS = {"lr": "float", "loss": "str"}
FAILED = "0000000000000005"
COLUMNS = [
    {"key": "param.lr", "label": "lr", "format": "scientific", "pick": "last"},
    {"key": "param.loss", "label": "loss", "format": "text", "pick": "last"},
    {"key": "metric.r1", "label": "R@1", "format": "percent", "pick": "last"},
    {"key": "metric.speed", "label": "speed", "format": "number", "pick": "last"},
]


def trial(number: int, lr: float, loss: str, seed: int, *, pictures: bool = False) -> TrialResult:
    """Trial ``number`` of the sweep; the one of ``FAILED`` failed."""
    trial_id = f"{number:016x}"
    is_failed = trial_id == FAILED
    hits = 4 + RATES.index(lr) * 2 + (loss == "siglip")
    row: dict[str, Any] = {
        "trial_id": trial_id,
        "seed": seed,
        "status": "failed" if is_failed else "finished",
        "reason": "<b>out of memory</b>" if is_failed else None,
        "log": "Traceback: <script>alert(1)</script>" if is_failed else None,
        "reused_from": None,
        "model": "m",
        "model_fingerprint": "m",
        "data": "d",
        "data_fingerprint": "d",
        "started": START + timedelta(seconds=number),
        "ended": START + timedelta(seconds=number + 2),
        "seconds": 1.5,
        "num_steps": 0 if is_failed else STEPS,
        "param.lr": lr,
        "param.loss": loss,
        "metric.r1": None if is_failed else hits / 10 + seed / 100,
        "metric.speed": None if is_failed else 10.0 - hits,
    }
    of = {"trial_id": trial_id, "seed": seed}
    steps = [
        {**of, "at": at, "seconds": 0.3, "metric.r1": hits * at / (10 * STEPS), "metric.speed": 1.0}
        for at in range(1, STEPS + 1)
    ]
    ranks = [1] * hits + [2] * (10 - hits)
    samples: dict[str, Any] = {"direction": ["i2t"] * 10, "query": list(range(10)), "rank": ranks}
    if pictures:
        samples["picture"] = [picture("red")] * 10
    if is_failed:
        return TrialResult(trial=row, steps=[], samples=None)
    return TrialResult(trial=row, steps=steps, samples=samples)


def write_sweep(root: str, name: str = "s", *, pictures: bool = False, **changes: Any) -> Sweep:
    """A grid of 6 configurations with two seeds each, one of the 12 trials failed."""
    store = SweepStore(root, "toy", name, PARAMS)
    shown = {"shown_samples": ["direction", "picture"]} if pictures else {}
    content = {
        "name": name,
        "params": PARAMS,
        "columns": COLUMNS,
        "seeds": list(SEEDS),
        "front": ["r1", "speed"],
        "num_trials": 12,
        "step_unit": "epoch",
        **shown,
    }
    store.write_manifest(manifest(**(content | changes)))
    grid = itertools.product(RATES, LOSSES, SEEDS)
    store.add([trial(n, *each, pictures=pictures) for n, each in enumerate(grid)])
    return read_sweep(root, "toy", name)
