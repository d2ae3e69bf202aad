"""Kill -9 the driver more than a hundred times, in each phase of a sweep, and check what is left.

After every kill no finished trial is lost or duplicated, no part is half written, and no step in a
checkpoint is computed again. After the last kill the table equals that of an undisturbed run.
(Workers, stages and nodes are killed in ``test_ray_faults``.)
"""

from __future__ import annotations

import os
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import safetensors.numpy
from forked_commands import run_killed

from orchestrator.saving.checkpoints import decode
from results.storage.reading import read_sweep

KILLS = 10  # of each phase
TRIALS, STEPS = 10, 4

#: phase -> (audit event, pattern of its arguments, its last occurrence, seconds until the kill)
PHASES: dict[str, tuple[str, str, int, float]] = {
    "before the first row": ("open", r"/notes/(begin|start|stage)", 8, 0),
    "while a stage value is written": ("open", r"/\.stages/.*\.tmp", 1, 0),
    "before a stage value has its name": ("os.rename", r"/\.stages/", 1, 0),
    "while a row's steps are written": ("open", r"/(steps|samples)/.*\.tmp", 4, 0),
    "while a row is written": ("open", r"/trials/.*\.tmp", 4, 0),
    "before a row has its name": ("os.rename", r"/(steps|trials)/.*-trials-.*\.tmp", 8, 0),
    "while a checkpoint is written": ("open", r"/\.checkpoints/.*\.tmp", 20, 0),
    "before a checkpoint has its name": ("os.rename", r"/\.checkpoints/", 20, 0),
    "between steps": ("open", r"/notes/step", 30, 0.0005),
    "during compaction": ("os.rename", r"-compacted-", 2, 0.0003),
    "during the report": ("os.rename", r"sweep\.json", 2, 0.004),
    "at any moment": ("open", r".", 60, 0.05),
}


# A pack has three trials, so that rows, steps and checkpoints alternate.
SPACE = f"GRID = {{'level': list(range({TRIALS})), 'stage': [0]}}\n"
MEMORY = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
OPTIONS = (f"--set=steps={STEPS}", f"--set=scratch={MEMORY // 4}")
EVERY_STEP = "--checkpoint-interval=0s"
#: Phases in which a trial's first step alone has a checkpoint: its steps take milliseconds.
FIRST_STEP = {"between steps", "at any moment"}


def rows_of(folder: Path) -> dict[str, dict[str, Any]]:
    """Finished rows without their times, by parameters; checks for duplicates and damage."""
    if not (folder / "out/fragile/s/sweep.json").exists():
        return {}
    sweep = read_sweep(str(folder / "out"), "fragile", "s")
    rows = {}
    for row in sweep.rows():
        assert row["status"] == "finished"
        steps = [(step["at"], step["metric.total"]) for step in sweep.steps_of(row["trial_id"])]
        assert [at for at, _ in steps] == list(range(1, STEPS + 1))
        cells = {k: v for k, v in row.items() if k.startswith(("metric.", "best.", "num_"))}
        key = f"{row['param.level']}.{row['seed']}"
        assert key not in rows
        rows[key] = {**cells, "steps": steps}
    assert not sweep.damaged
    return rows


def saved_steps(folder: Path) -> dict[str, int]:
    """The last step in each checkpoint, all of which must be readable."""
    files = (folder / "out" / ".checkpoints").glob("*.safetensors")
    return {file.stem: decode(file.read_bytes(), "cpu")[1][-1].step.at for file in files}


def kept_stages(folder: Path) -> list[str]:
    """The stage values that are kept, all of which must be complete."""
    files = sorted((folder / "out" / ".stages").glob("**/*.safetensors"))
    for file in files:
        assert safetensors.numpy.load(file.read_bytes())["numbers"].shape == (50_000,)
    return [file.stem for file in files]


def num_stages_computed(folder: Path) -> int:
    """How often the stage was computed so far."""
    return len(list((folder / "notes").glob("stage.*")))


def computed(folder: Path) -> Counter[tuple[str, int]]:
    """How often each (trial, step) was computed so far."""
    names = [path.name.split(".")[1] for path in (folder / "notes").glob("step.*")]
    return Counter((name.partition("-")[0], int(name.partition("-")[2])) for name in names)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("undisturbed")
    assert not run_killed(folder, SPACE, OPTIONS, None)
    rows = rows_of(folder)
    assert len(rows) == TRIALS
    assert set(computed(folder).values()) == {1}
    return rows


@pytest.mark.parametrize("phase", PHASES)
def test_killed_driver_loses_and_repeats_nothing(
    undisturbed: dict[str, Any], tmp_path: Path, phase: str
) -> None:
    event, match, last, then = PHASES[phase]
    draw = random.Random(phase)
    options = OPTIONS if phase in FIRST_STEP else (*OPTIONS, EVERY_STEP)
    kills = tries = 0
    while kills < KILLS:
        tries += 1
        assert tries < 10 * KILLS, f"only {kills} kills hit this phase"
        folder = tmp_path / str(tries)
        finished: dict[str, Any] = {}
        killed, here = True, 0
        while killed:  # repeat the same command until it finishes
            saved = saved_steps(folder)
            before, num_before = computed(folder), num_stages_computed(folder)
            kept = kept_stages(folder)
            count = draw.randint(1, last)
            kill = {"event": event, "match": match, "count": count, "then": then * draw.random()}
            killed = run_killed(folder, SPACE, options, kill if here < 8 else None)
            kills, here = kills + killed, here + killed
            rows = rows_of(folder)
            assert finished.items() <= rows.items()  # finished trials are still finished
            finished = rows
            assert not kept or num_stages_computed(folder) == num_before
            again = computed(folder) - before
            assert not [key for key in again if key[1] <= saved.get(key[0], 0)]
        assert finished == undisturbed
        assert not saved_steps(folder)
        assert not (folder / "out" / ".stages").exists()
        for table in ("trials", "steps"):
            assert len(list((folder / "out/fragile/s" / table).glob("*.parquet"))) == 1
