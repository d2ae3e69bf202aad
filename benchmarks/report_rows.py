"""Time ``report`` for a sweep with a million step rows.

``python -m benchmarks report_rows``.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.processes import run, spread, sweep
from results.storage.reading import read_sweep
from results.storage.store import SweepStore, TrialResult

TRIALS, STEPS, PART = 10_000, 100, 500


def fill(out: Path) -> None:
    """Run a sweep of one trial, and add 10,000 trials of 100 steps to its results."""
    sweep("noop", out, "--space", str(_one(out.parent)), "--engine", "local")
    manifest = read_sweep(str(out), "noop", "bench").manifest
    store = SweepStore(str(out), "noop", "bench", manifest.params)
    now = datetime.now(UTC)
    common: dict[str, Any] = {
        "seed": 0,
        "status": "finished",
        "model": "none",
        "model_fingerprint": "1",
        "data": "none",
        "data_fingerprint": "1",
        "version": "1",
        "started": now,
        "seconds": 1.0,
        "num_steps": STEPS,
    }
    for first in range(1, TRIALS + 1, PART):
        results = []
        for number in range(first, first + PART):
            params = {"param.x": number, "param.a": 0.0, "param.b": 0.0, "param.c": 0.0}
            own = {"trial_id": f"{number:016x}", "metric.value": number / TRIALS}
            steps = [
                {"trial_id": own["trial_id"], "seed": 0, "at": at, "metric.value": at / STEPS}
                for at in range(STEPS)
            ]
            results.append(TrialResult(trial=common | params | own, steps=steps, samples=None))
        store.add(results)
    store.compact()


def _one(folder: Path) -> Path:
    space = folder / "space.py"
    space.write_text("GRID = {'x': [0]}\n")
    return space


def main() -> None:
    """Run the benchmark and print the times."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--turns", type=int, default=5)
    options = parser.parse_args()
    program = [sys.executable, "-m", "orchestrator"]
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        fill(out)
        report = [*program, "report", "--out", str(out)]
        times = [run(report).seconds for _ in range(options.turns)]
        bare = [run([*program, "--help"]).seconds for _ in range(options.turns)]
    print(f"report over {TRIALS * STEPS:,} step rows {spread(times)} s")
    print(f"--help alone {spread(bare)} s")


if __name__ == "__main__":
    main()
