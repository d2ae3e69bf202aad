"""Kill -9 the driver at random moments while weights are written, replaced and deleted.

After every kill the best finished configuration has the weights of all its seeds, and every file
can be read and agrees with its row. At the end only the best configuration has weights.
"""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any

import pytest
from forked_commands import run_killed

from results.storage.reading import read_sweep
from results.storage.weights import find_weights, weights_of

KILLS = 5  # of each phase and kind of sweep
SEEDS = (0, 1)
MEMORY = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")

#: phase -> (audit event, pattern of its arguments, its last occurrence, seconds until the kill)
PHASES: dict[str, tuple[str, str, int, float]] = {
    "while weights are written": ("open", r"/weights/.*\.tmp", 12, 0),
    "before weights have their name": ("os.rename", r"/weights/", 12, 0),
    "while weights are deleted": ("open", r"/weights(/\w+\.safetensors)? ", 4, 0.0006),
    "at any moment": ("open", r"/(out|notes)/", 140, 0.01),
}

#: The configurations of a search end one after the other, so the best of two is replaced during the
#: sweep. Those of a grid end late: all of them run with the first seed before the second.
KINDS: dict[str, tuple[str, tuple[str, ...], int | None]] = {
    "search": (
        "def search(trial):\n    return {'level': trial.suggest_int('level', 0, 40)}\n",
        ("--trials=6", "--sampler=random", "--pruner=none"),
        2,
    ),
    "grid": (
        "GRID = {'level': list(range(6))}\n",
        (f"--set=scratch={MEMORY // 2}",),  # one trial per pack
        None,
    ),
}
#: Steps take long enough that results are durable before the next trials end.
STEPS = ("--set=steps=2", "--set=seconds=0.01")


def best_ids(rows: list[dict[str, Any]]) -> list[str]:
    """The trials of the best configuration with all seeds finished, or an empty list."""
    found: dict[int, dict[int, dict[str, Any]]] = {}
    for row in rows:
        if row["status"] == "finished":
            found.setdefault(row["param.level"], {})[row["seed"]] = row
    whole = [trials for trials in found.values() if trials.keys() == set(SEEDS)]
    if not whole:
        return []
    best = max(whole, key=lambda trials: sum(row["metric.total"] for row in trials.values()))
    return [row["trial_id"] for row in best.values()]


def check_best(folder: Path) -> list[str]:
    """The best trials, after a check that their weights exist and are valid."""
    if not (folder / "out/fragile/s/sweep.json").exists():
        return []
    sweep = read_sweep(str(folder / "out"), "fragile", "s")
    rows = {row["trial_id"]: row for row in sweep.rows()}
    best = best_ids(list(rows.values()))
    for trial_id in {*best, *weights_of(sweep, rows.values())}:
        store = find_weights(sweep, rows[trial_id])
        assert store is not None, f"no weights of {trial_id}, one of the best"
        weights = store.read(trial_id)
        assert weights is not None
        if rows[trial_id]["status"] == "finished":
            assert weights.arrays["total"][0] == rows[trial_id]["metric.total"]
    return best


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("phase", PHASES)
def test_every_kill_leaves_the_weights_of_the_best(tmp_path: Path, phase: str, kind: str) -> None:
    event, match, last, then = PHASES[phase]
    space, options, most = KINDS[kind]
    draw = random.Random(f"{phase} {kind}")
    kills = tries = with_best = 0  # with_best: kills after a configuration had finished
    while kills < KILLS or with_best < 2:
        tries += 1
        assert tries < 10 * KILLS, f"{kills} kills hit this phase, {with_best} beside a best"
        folder = tmp_path / str(tries)
        killed, here = True, 0
        while killed:
            kill = {
                "event": event,
                "match": match,
                "count": draw.randint(1, last),
                "then": then * draw.random(),
            }
            arguments = (f"--seeds={len(SEEDS)}", *STEPS, *options)
            killed = run_killed(folder, space, arguments, kill if here < 5 else None, most)
            kills, here = kills + killed, here + killed
            best = check_best(folder)
            with_best += bool(killed and best)
        assert best
        files = {path.name for path in (folder / "out/fragile/s/weights").iterdir()}
        assert files == {f"{trial_id}.safetensors" for trial_id in best}
