"""Sweeps with curves and pictures, for tests of figures."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from typing import Any

from PIL import Image
from toy_results import manifest

from results.storage.store import SweepStore, TrialResult

COLUMN = {"format": "percent", "pick": "last"}
MANIFEST: dict[str, Any] = {
    "columns": [
        {**COLUMN, "key": "metric.score", "label": "score"},
        {**COLUMN, "key": "metric.a", "label": "of a", "chart": "parts"},
        {**COLUMN, "key": "metric.b", "label": "of b", "chart": "parts"},
    ],
    "metric": {"name": "score", "label": "score", "direction": "maximize"},
    "paired": [],
    "shown_samples": ["kind", "picture"],
    "step_unit": "epoch",
}


def picture(color: str) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (8, 8), color).save(out, format="PNG")
    return out.getvalue()


def result(name: str, score: float, num_steps: int = 2, pictures: bool = True) -> TrialResult:
    blank = dict.fromkeys(("reason", "log", "reused_from"))
    trial = {
        **blank,
        "trial_id": name,
        "seed": 0,
        "model_fingerprint": "m",
        "data_fingerprint": "d",
        "status": "finished",
        "param.lr": score,
        "metric.score": score,
        "ended": datetime.now(UTC),
        "num_steps": num_steps,
    }
    of = {"trial_id": name, "seed": 0}
    values = {"metric.score": score, "metric.a": 0.1, "metric.b": 0.2}
    steps = [{**of, "at": at + 1, "seconds": 0.1, **values} for at in range(num_steps)]
    samples: dict[str, Any] = {"kind": ["x", "x"], "picture": [picture("red"), picture("blue")]}
    return TrialResult(trial=trial, steps=steps, samples=samples if pictures else None)


def make_store(root: str, **changes: Any) -> SweepStore:
    store = SweepStore(root, "toy", "s", {"lr": "float"})
    store.write_manifest(manifest(**(MANIFEST | changes)))
    return store
