"""Stage values: kept whole or not at all, read back bit by bit, deleted without harm."""

from __future__ import annotations

import shutil
import threading
from collections import namedtuple
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from orchestrator.engines.local_stages import LocalStages
from orchestrator.execution.halting import describe_halt, describe_wait
from orchestrator.execution.stage_demand import StageDemand
from orchestrator.execution.stages import Origin, StageCache, StageFolder, compute, size_of
from orchestrator.planning.discovery import load_task
from orchestrator.planning.plan import TrialFactory
from tasks.contract import Stage, StoreError
from tasks.interrupt import Interrupted, check_interrupt, interruptible


def draw(*, number: int) -> Any:
    """A stage of each kind of value."""
    rng = np.random.default_rng(number)
    if number == 0:
        return pa.table({"caption": ["a dog", "ein Hund"], "row": [0, 1]})
    return {
        "features": rng.normal(size=(3, 4, 5)).astype(np.float16).transpose(2, 0, 1),
        "scalar": np.array(0.25),
        "none": np.zeros((0, 7), np.float32),
        "flags": np.array([True, False]),
    }


def stage(number: int) -> Stage:
    return Stage(function=draw, args={"number": number})


def test_a_kept_value_comes_back_bit_by_bit(tmp_path: Path) -> None:
    folder = StageFolder(str(tmp_path / "a" / "b"))
    for number in (0, 1):
        assert folder.load(stage(number)) is None
        assert folder.save(stage(number), draw(number=number))
    table, arrays = folder.load(stage(0)), folder.load(stage(1))
    assert table is not None
    assert arrays is not None
    assert table.equals(draw(number=0))
    assert arrays.keys() == draw(number=1).keys()
    for name, value in draw(number=1).items():
        assert arrays[name].dtype == value.dtype
        np.testing.assert_array_equal(arrays[name], value)


def test_a_value_without_a_safe_form_is_not_kept(tmp_path: Path) -> None:
    cache = StageCache(None, str(tmp_path))
    origin = cache.save(stage(1), {"words": ["a", "b"]}, 1.0)
    assert origin == Origin(source="computed", seconds=1.0, is_kept=False)
    assert not list(tmp_path.iterdir())


def test_a_value_that_would_fill_the_disk_is_not_kept_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(free=3_000))
    value = {"x": np.zeros(250)}  # 2000 bytes: more than a quarter of what is free
    origin = StageCache(None, str(tmp_path)).save(stage(1), value, 1.0)
    assert not origin.is_kept
    assert "the disk of" in origin.save_error
    assert StageCache(str(tmp_path)).save(stage(1), value, 1.0).is_kept  # asked for by name


def test_values_go_to_the_cache_alone_and_are_read_from_both(tmp_path: Path) -> None:
    kept, cache = str(tmp_path / "kept"), str(tmp_path / "cache")
    StageCache(None, kept).save(stage(1), draw(number=1), 1.0)
    both = StageCache(cache, kept)
    both.prepare()
    both.save(stage(0), draw(number=0), 1.0)
    assert [path.suffix for path in Path(kept).iterdir()] == [".safetensors"]
    found = both.load(stage(1))
    assert found is not None
    assert found[1].source == "kept"
    both.delete_kept()
    assert not Path(kept).exists()
    for number in (0, 1):  # what an interrupted run without a cache had kept is there, too
        found = both.load(stage(number))
        assert found is not None
        assert found[1] == Origin(source="cache", is_kept=True, num_bytes=size_of(found[0]))


def test_runs_that_write_and_delete_at_once_only_lose_values(tmp_path: Path) -> None:
    uri = str(tmp_path / ".stages" / "task" / "name")
    errors: list[BaseException] = []

    def write() -> None:
        folder = StageFolder(uri)
        for _ in range(100):
            try:
                folder.save(stage(1), draw(number=1))
            except StoreError:  # the folder was deleted in between: the value is not kept
                pass
            except BaseException as error:
                errors.append(error)
            value = folder.load(stage(1))
            if value is not None:
                np.testing.assert_array_equal(value["features"], draw(number=1)["features"])

    writers = [threading.Thread(target=write) for _ in range(2)]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        StageFolder(uri).delete()
    assert not errors
    StageFolder(uri).delete()
    assert not (tmp_path / ".stages").exists()


def test_deleting_leaves_other_sweeps_values(tmp_path: Path) -> None:
    one, other = (StageFolder(str(tmp_path / ".stages" / "task" / name)) for name in "ab")
    for folder in (one, other):
        folder.save(stage(1), draw(number=1))
    one.delete()
    assert one.load(stage(1)) is None
    assert other.load(stage(1)) is not None


class Work:
    """What ``LocalStages`` needs of a coordinator."""

    step_timeout = None

    def __init__(self) -> None:
        self.cache = StageCache(None)
        self.demand = StageDemand(None, None)  # type: ignore[arg-type]
        self.done: list[Stage] = []

    def stage_done(self, stage: Stage, origin: Origin) -> None:
        self.done.append(stage)

    def stage_progressed(self, stage: Stage, share: float) -> None:
        """Nobody watches."""


def test_no_stage_is_begun_once_the_sweep_is_to_stop() -> None:
    work = Work()
    stages = LocalStages(work, "cpu")  # type: ignore[arg-type]
    with interruptible(lambda: bool(work.done)):
        stages.get(stage(0))
        with pytest.raises(Interrupted):
            stages.get(stage(1))
        assert stages.get(stage(0)) is not None  # what is there can be read
    assert work.done == [stage(0)]


def test_an_interrupt_is_no_failed_trial_and_ends_with_its_block() -> None:
    def step() -> None:
        try:
            check_interrupt()
        except Exception:
            pytest.fail("a task would have taken it for a failed trial")

    check_interrupt()
    with interruptible(lambda: True), pytest.raises(Interrupted):
        step()
    check_interrupt()


@pytest.mark.parametrize(
    ("running", "line"),
    [
        (0, "Stopping; press Ctrl-C again to stop now."),
        (1, "Stopping after the current step of 1 trial; press Ctrl-C again to stop now."),
        (3, "Stopping after the current step of 3 trials; press Ctrl-C again to stop now."),
    ],
)
def test_ctrl_c_says_what_it_waits_for(running: int, line: str) -> None:
    assert describe_wait(running) == line


@pytest.mark.parametrize(
    ("interrupted", "any_step", "num_kept", "num_stages", "line"),
    [
        (True, True, 3, 9, "Interrupted. Run the same command to resume."),
        (False, True, 3, 9, "Budget reached. Run the same command to resume."),
        (True, False, 3, 9, "Interrupted before any trial made a step; 3 of 9 shared stages are"),
        (True, False, 1, 9, "Interrupted before any trial made a step; 1 of 9 shared stages is"),
        (True, False, 1, 1, "Interrupted before any trial made a step; 1 of 1 shared stage is"),
        (False, False, 2, 0, "Budget reached before any trial made a step; 2 shared stages are"),
        (False, False, 1, 0, "Budget reached before any trial made a step; 1 shared stage is"),
        (True, False, 0, 9, "Interrupted before any trial made a step. Run the same command"),
    ],
)
def test_the_last_line_says_what_is_kept_and_how_to_go_on(
    interrupted: bool, any_step: bool, num_kept: int, num_stages: int, line: str
) -> None:
    assert describe_halt(interrupted, any_step, num_kept, num_stages).startswith(line)


@pytest.mark.parametrize("name", ["retrieval", "captioning", "diffusion"])
def test_long_stages_of_every_task_stop_at_an_interrupt(name: str) -> None:
    task = load_task(name)
    model, data = task.resolve(task.default_model, task.default_data)
    trial = TrialFactory(task=task, model=model, data=data, fixed={}).trial({}, 0)
    long = {each.function: each for each in task.stages(trial)}
    long = {f: each for f, each in long.items() if f.__name__ != "read_heads"}  # reads one file
    assert long
    for each in long.values():
        with interruptible(lambda: True), pytest.raises(Interrupted):
            compute(each, (), "cpu")
