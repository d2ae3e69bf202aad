"""Compare 32 trainings of retrieval heads on real photos with scripts for Ray Tune and Syne Tune.

``python -m benchmarks heads DIR``, where DIR has Flickr8k photos in Karpathy's layout. Each side is
a process that is timed from start to end, and the sides take turns. Syne Tune runs if it is
installed.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.encoders import model_name
from benchmarks.processes import has_syne_tune, peer, printed, spread, sweep

if TYPE_CHECKING:
    from tasks.contract import Trial

# This file is also the search space of the sweeps.
GRID = {
    "start": ["random"],
    "head": ["linear"],
    "embed_dim": [256],
    "lr": [3e-4, 1e-3, 3e-3, 1e-2],
    "weight_decay": [1e-3, 1e-1],
    "temperature": [0.05, 0.07, 0.1, 0.2],
    "epochs": [5],
    "batch_size": [50],
    "augment": [False],
}


def make_trials(folder: str, model: str) -> list[Trial]:
    """Return the trials of the grid."""
    from orchestrator.planning.discovery import load_task
    from orchestrator.planning.plan import TrialFactory, distinct_trials, plan_rows
    from orchestrator.planning.spaces import resolve_space

    task = load_task("retrieval")
    source, data = task.resolve(model, f"karpathy:{folder}")
    factory = TrialFactory(task=task, model=source, data=data, fixed={})
    return distinct_trials(plan_rows(resolve_space("retrieval", __file__), factory, [0]))


def main() -> None:
    """Run the benchmark and print the times and ratios."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("photos", help="Flickr8k in Karpathy's layout")
    parser.add_argument("--turns", type=int, default=3)
    options = parser.parse_args()
    photos = str(Path(options.photos).resolve())
    peers = {"distinct": ("heads", "distinct"), "expert": ("heads", "expert")}
    naive = {"naive": "heads"}
    if has_syne_tune():
        peers["Syne Tune expert"] = ("syne_heads", "expert")
        naive["Syne Tune naive"] = "syne_heads"
    seconds: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        model = model_name(root)
        data = ("--data", f"karpathy:{photos}", "--model", model, "--space", __file__)
        for turn in range(options.turns):
            for engine in ("ray", "local"):
                for state in ("cold", "kept"):
                    shutil.rmtree(root / "out", ignore_errors=True)
                    kept = ("--cache", str(root / f"cache-{engine}-{turn}"))
                    done = sweep("retrieval", root / "out", *data, *kept, "--engine", engine)
                    seconds.setdefault(f"ours, {engine}, {state}", []).append(done.seconds)
            for name, (module, kind) in peers.items():
                done = peer(module, kind, photos, model)
                seconds.setdefault(name, []).append(done.seconds)
        extrapolated = {
            name: printed(peer(module, "naive", photos, model)) for name, module in naive.items()
        }
    report(seconds, extrapolated)


def report(seconds: dict[str, list[float]], extrapolated: dict[str, float]) -> None:
    """Print the times, and their ratios in each turn."""
    for name, times in seconds.items():
        print(f"{name:20} {spread(times, '.1f')} s")
    for name, time in extrapolated.items():
        print(f"{name:20} {time:.0f} s, extrapolated from two of 32 trials")
    for engine in ("ray", "local"):
        cold, kept = (seconds[f"ours, {engine}, {state}"] for state in ("cold", "kept"))
        pairs = [("cold / distinct work", cold, seconds["distinct"])]
        for name in [name for name in seconds if name.endswith("expert")]:
            pairs.append((f"{name} / cold", seconds[name], cold))
            pairs.append((f"{name} / kept features", seconds[name], kept))
        for name, time in extrapolated.items():
            pairs.append((f"{name} / cold", [time] * len(cold), cold))
        for name, other, own in pairs:
            ratios = [a / b for a, b in zip(other, own, strict=True)]
            print(f"{engine}: {name} {spread(ratios)}")


if __name__ == "__main__":
    main()
