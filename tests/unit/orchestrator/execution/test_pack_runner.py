"""A worker's packs: several steps at a time, cancelled trials, and a full disk."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from orchestrator.execution import pack_runner
from orchestrator.execution.events import Event, Failure
from orchestrator.execution.pack_runner import PackRunner, PackSettings
from tasks.contract import Metric, State, Step, StoreError, Task


class Counting(Task):
    """Trials of three steps."""

    name, metric = "counting", Metric(name="score", label="score", direction="maximize")

    def start(self, trial: Any, inputs: Any, device: str) -> State:
        return State(values={"at": 0})

    def advance(self, pack: Sequence[Any], inputs: Any, device: str) -> list[tuple[State, Step]]:
        ats = [member.state.values["at"] + 1 for member in pack]
        return [
            (State(values={"at": at}), Step(at=at, metrics={"score": 1.0}, done=at == 3))
            for at in ats
        ]


@pytest.fixture(autouse=True)
def unconfigured_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pack_runner, "configure_worker", lambda threads: None)


def make_runner(save: Any = lambda *_: None, *, is_adaptive: bool = True) -> PackRunner:
    checkpoints: Any = SimpleNamespace(load=lambda *_: None, save=save, weights=None)
    settings = PackSettings(
        task=Counting(),
        checkpoints=checkpoints,
        checkpoint_interval=0.0,
        is_adaptive=is_adaptive,
        threads=1,
        step_timeout=None,
    )
    return PackRunner(settings)


def start(runner: PackRunner, *names: str) -> None:
    trials: Any = [SimpleNamespace(id=name) for name in names]
    runner.start(trials, {}, lambda progress: None)


def steps_of(events: Sequence[Event]) -> list[tuple[str, int]]:
    assert not any(isinstance(event.outcome, Failure) for event in events)
    return [(e.trial_id, e.outcome.step.at) for e in events]  # type: ignore[union-attr]


def test_adaptive_searcher_gets_each_step_and_others_several() -> None:
    runner = make_runner()
    start(runner, "a")
    assert steps_of(runner.advance()) == [("a", 1)]
    runner = make_runner(is_adaptive=False)
    start(runner, "a")
    assert steps_of(runner.advance()) == [("a", 1), ("a", 2), ("a", 3)]


def test_cancelled_trials_make_no_further_step() -> None:
    runner = make_runner()
    runner.cancel(frozenset({"a"}))  # before the pack arrives
    start(runner, "a", "b", "c")
    assert steps_of(runner.advance()) == [("b", 1), ("c", 1)]
    runner.cancel(frozenset({"a", "b"}))
    assert steps_of(runner.advance()) == [("c", 2)]
    runner.cancel(frozenset({"a", "b", "c"}))
    assert runner.advance() == []


def test_next_pack_starts_anew() -> None:
    runner = make_runner()
    start(runner, "a")
    runner.advance()
    runner.reset()
    assert not runner.has_pack
    start(runner, "b")
    assert steps_of(runner.advance()) == [("b", 1)]


def test_full_disk_fails_all_trials_of_the_pack() -> None:
    def refuse(*_: Any) -> None:
        raise StoreError("cannot write")

    runner = make_runner(refuse)
    start(runner, "a", "b")
    events = runner.advance()
    assert [event.trial_id for event in events] == ["a", "b"]
    for event in events:
        assert isinstance(event.outcome, Failure)
        assert event.outcome.reason == "cannot write"
        assert event.outcome.of_storage
