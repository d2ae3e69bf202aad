"""Which weights are deleted while a sweep runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from orchestrator.saving import keep_policy
from orchestrator.saving.final_weights import SavedWeights
from orchestrator.saving.keep_policy import (
    Keep,
)
from orchestrator.saving.weight_keeper import EndedTrial, WeightKeeper
from results.storage.weights import WeightStore


class Sweep:
    """A store of weights whose trials end one after the other."""

    def __init__(self, folder: Path, keep: Keep = "best", **more: Any) -> None:
        (folder / "toy" / "s").mkdir(parents=True)
        self.store = WeightStore(str(folder), "toy", "s")
        options: dict[str, Any] = {
            "seeds": {0},
            "value": "metric.r1",
            "maximize": True,
            "tables": {},
        } | more
        self.keeper = WeightKeeper(self.store, keep, **options)
        self.lines: list[str] = []
        self.keeper.print_line = self.lines.append

    def end(self, lr: float, value: float | None, seed: int = 0, **more: Any) -> None:
        """End a trial of this configuration; a value of None means that it failed."""
        name, num_bytes = f"t{lr:g}-{seed}", 10
        self.store.write(name, bytes(num_bytes))
        row = {"trial_id": name, "seed": seed, "param.lr": lr, "metric.r1": value, **more}
        row["status"] = "finished" if value is not None else "failed"
        written = EndedTrial(row=row, num_bytes=num_bytes, has_weights=True)
        self.keeper.add([written])

    def left(self) -> set[str]:
        return set(self.store.sizes())


@pytest.fixture
def room_for_two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keep_policy, "MAX_CONFIGURATIONS", 2)


@pytest.mark.usefixtures("room_for_two")
def test_worst_weights_are_deleted_first(tmp_path: Path) -> None:
    sweep = Sweep(tmp_path)
    for lr, value in ((1, 0.5), (2, 0.3), (3, 0.4), (4, 0.9), (5, 0.1)):
        sweep.end(lr, value)
    assert sweep.left() == {"t4-0", "t1-0"}


def test_size_limit_deletes_the_worst_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keep_policy, "MAX_BYTES", 25)
    sweep = Sweep(tmp_path, maximize=False)
    for lr, value in ((1, 0.5), (2, 0.3), (3, 0.4)):
        sweep.end(lr, value)
    assert sweep.left() == {"t2-0", "t3-0"}


@pytest.mark.usefixtures("room_for_two")
def test_configuration_with_running_seeds_keeps_its_weights(tmp_path: Path) -> None:
    sweep = Sweep(tmp_path, seeds={0, 1})
    sweep.end(1, 0.5)
    sweep.end(1, 0.7, seed=1)
    sweep.end(2, 0.4)
    sweep.end(2, 0.4, seed=1)
    sweep.end(3, 0.1)  # the worst so far, but 2 can no longer be the best
    assert sweep.left() == {"t1-0", "t1-1", "t3-0"}
    sweep.end(3, 1.9, seed=1)
    sweep.end(4, 0.2)
    assert sweep.left() == {"t3-0", "t3-1", "t4-0"}


@pytest.mark.usefixtures("room_for_two")
def test_configuration_with_a_failed_seed_is_deleted_first(tmp_path: Path) -> None:
    sweep = Sweep(tmp_path, seeds={0, 1})
    sweep.end(1, 0.9)
    sweep.end(1, None, seed=1)
    sweep.end(2, 0.2)
    sweep.end(3, 0.3)
    assert sweep.left() == {"t1-1", "t2-0", "t3-0"}  # weights of the failed trial are ignored


@pytest.mark.usefixtures("room_for_two")
def test_all_and_a_large_number_have_no_limit(tmp_path: Path) -> None:
    for keep in ("all", 4):
        sweep = Sweep(tmp_path / str(keep), keep)
        for lr in range(1, 5):
            sweep.end(lr, lr / 10)
        assert len(sweep.left()) == 4
    sweep.end(5, 0.9)
    assert sweep.left() == {"t5-0", "t4-0", "t3-0", "t2-0"}


def test_write_problem_is_printed_once(tmp_path: Path) -> None:
    sweep = Sweep(tmp_path)
    for _ in range(3):
        sweep.keeper.on_saved(SavedWeights(error="cannot write x: No space left on device"))
    (line,) = sweep.lines
    assert line == (
        "Weights were not saved: cannot write x: No space left on device. The trials continue, and "
        "their results are complete."
    )
