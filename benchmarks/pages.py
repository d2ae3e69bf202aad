"""First paint of a sweep's web page, with 1,000 trials and a million step rows.

``python -m benchmarks pages``.
"""

from __future__ import annotations

import argparse
import math
import random
import shutil
import tempfile
import time
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks.processes import spread
from benchmarks.served import server
from results.storage.manifest import Manifest
from results.storage.store import SweepStore, TrialResult

CONFIGURATIONS, SEEDS, STEPS, SAMPLES = 500, 2, 1000, 20
PARAMS = {"lr": "float", "depth": "int", "decay": "float", "loss": "str"}
START = datetime(2026, 1, 1, tzinfo=UTC)


def fill(out: Path) -> None:
    """Write a search over four parameters with two seeds, samples and a curve per trial."""
    labels = [{"key": f"param.{name}", "label": name, "format": "scientific"} for name in PARAMS]
    content: dict[str, Any] = {
        **{"task": "bench", "name": "pages", "space": "search", "command": [], "versions": {}},
        **{"git": None, "hardware": {}, "started": START.isoformat(), "seconds": 1.0},
        **{"engine": "local", "params": PARAMS, "seeds": list(range(SEEDS)), "tables": []},
        "model": {"name": "m", "fingerprint": "m"},
        "data": {"name": "d", "fingerprint": "d"},
        "metric": {"name": "r1", "label": "R@1", "direction": "maximize"},
        "columns": [*labels, {"key": "metric.r1", "label": "R@1", "format": "percent"}],
        "paired": [{"metric": "r1", "unit": "query", "value": "rank", "at_most": 1, "where": {}}],
        "num_trials": CONFIGURATIONS * SEEDS,
    }
    store = SweepStore(str(out), "bench", "pages", PARAMS)
    store.write_manifest(Manifest.from_json(content))
    chance = random.Random(0)
    for number in range(CONFIGURATIONS):
        store.add(_configuration(number, chance))
    store.compact()


def _configuration(number: int, chance: random.Random) -> list[TrialResult]:
    params: dict[str, Any] = {
        "param.lr": 10 ** chance.uniform(-5, -1),
        "param.depth": chance.randint(1, 4),
        "param.decay": chance.uniform(0, 0.1),
        "param.loss": chance.choice(["infonce", "siglip"]),
    }
    mean = 0.5 + 0.3 * math.exp(-((math.log10(params["param.lr"]) + 3) ** 2))
    return [_trial(number, seed, params, mean + chance.gauss(0, 0.02)) for seed in range(SEEDS)]


def _trial(number: int, seed: int, params: dict[str, Any], value: float) -> TrialResult:
    trial_id = f"{number * SEEDS + seed:016x}"
    began = START + timedelta(seconds=number)
    trial: dict[str, Any] = {
        **{"trial_id": trial_id, "seed": seed, "status": "finished", "num_steps": STEPS},
        **{"model": "m", "model_fingerprint": "m", "data": "d", "data_fingerprint": "d"},
        **{"started": began, "ended": began + timedelta(seconds=3), "seconds": 3.0},
        **params,
        "metric.r1": value,
    }
    steps = [
        {"trial_id": trial_id, "seed": seed, "at": at, "metric.r1": value * at / STEPS}
        for at in range(1, STEPS + 1)
    ]
    hits = round(value * SAMPLES)
    ranks = [1] * hits + [2] * (SAMPLES - hits)
    samples: dict[str, Any] = {"query": list(range(SAMPLES)), "rank": ranks}
    return TrialResult(trial=trial, steps=steps, samples=samples)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--turns", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        fill(out)
        times = [_measure(out) for _ in range(options.turns)]
    print(f"first answer of a new server {spread([answer for answer, _ in times])} s")
    paints = [paint for _, paint in times if paint is not None]
    if paints:
        print(f"first paint in Chromium {spread(paints)} s")
    else:
        print("no first paint: it needs playwright and Chromium")


def _measure(out: Path) -> tuple[float, float | None]:
    """Return the seconds of the first answer, and in another server those to the first paint."""
    answer = _with_server(out, _answer)
    return answer, _with_server(out, _paint) if shutil.which("chromium") else None


def _with_server(out: Path, measure: Any) -> float:
    """Measure with a server that has shown nothing yet.

    Within the five seconds it prepares the page of the first sweep of its list, which is this one.
    """
    with server(out) as address:
        time.sleep(5)  # as somebody needs to open the address
        found: float = measure(f"{address}sweeps/bench/pages")
        return found


def _answer(address: str) -> float:
    began = time.perf_counter()
    with urllib.request.urlopen(address) as answer:
        answer.read()
    return time.perf_counter() - began


def _paint(address: str) -> float:
    """Return the first contentful paint, in seconds after the request began."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        page = browser.new_page()
        page.goto(address)
        page.locator(".charts[aria-busy=false]").first.wait_for(state="attached")
        milliseconds: float = page.evaluate(
            "performance.getEntriesByName('first-contentful-paint')[0].startTime"
        )
        browser.close()
    return milliseconds / 1000


if __name__ == "__main__":
    main()
