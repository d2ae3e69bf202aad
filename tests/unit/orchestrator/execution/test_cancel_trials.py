"""Cancelling trials: which ones are found, and what their rows and the searcher get."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from orchestrator.control.commands import Answer
from orchestrator.control.steering import Cancellation, Steering
from orchestrator.execution.coordinator import Coordinator
from orchestrator.planning.discovery import load_task
from orchestrator.request import Request
from orchestrator.running.plan import Plan, make_plan
from orchestrator.saving.checkpoints import Checkpoints
from orchestrator.search.searchers import FixedTrials, MaxTrials
from results.storage.reading import read_sweep
from results.storage.store import SweepStore
from tasks.contract import Trial


class Silent:
    """A view that shows nothing."""

    def __getattr__(self, name: str) -> Any:
        return lambda *args: None


class Case:
    def __init__(self, folder: Path, *, budget: int | None = None) -> None:
        self.plan: Plan = make_plan(Request(task="toy", space="grid", out=str(folder), name="s"))
        self.trials: list[Trial] = self.plan.trials
        self.steering, self.answers = Steering(), list[Answer]()
        searcher: Any = FixedTrials(self.trials)
        self.searcher = searcher if budget is None else MaxTrials(searcher, budget)
        store = SweepStore(str(folder), "toy", "s", self.types())
        self.folder, view = folder, Silent()
        self.coordinator = Coordinator(
            task=load_task("toy"),
            searcher=self.searcher,
            store=store,
            checkpoints=Checkpoints(f"{folder}/.checkpoints"),
            num_workers=1,
            view=view,
            trials=self.trials,
            steering=self.steering,
        )

    def types(self) -> dict[str, str]:
        kinds = {int: "int", float: "float", str: "str", bool: "bool"}
        return {name: kinds[type(v)] for name, v in self.trials[0].param_values().items()}

    def cancel(self, text: str) -> set[str]:
        self.steering.cancel(
            Cancellation(trial=text, reason="too slow", answer=self.answers.append)
        )
        return self.coordinator.cancel_trials()

    def rows(self) -> dict[str, Any]:
        from orchestrator.running.run import Run

        Run(self.plan).store.write_manifest(Run(self.plan).manifest(0.0))
        return {row["trial_id"]: row for row in read_sweep(str(self.folder), "toy", "s").rows()}


def test_trial_of_a_started_pack_is_cancelled(tmp_path: Path) -> None:
    case = Case(tmp_path)
    with case.coordinator:
        pack = case.coordinator.next_pack()
        assert pack is not None
        first = pack.trials[0]
        assert case.cancel(first.id[:8]) == {first.id}
        assert case.answers[-1] == Answer(done=True, message="is cancelled", trial_id=first.id)
        assert case.cancel(first.id) == set()
        assert not case.answers[-1].done
        case.coordinator.fail_pack(pack, _failure())
    rows = case.rows()
    assert rows[first.id]["status"] == "cancelled"
    assert rows[first.id]["reason"] == "too slow"
    assert rows[first.id]["log"] is None
    assert {row["status"] for trial_id, row in rows.items() if trial_id != first.id} == {"failed"}
    assert case.coordinator.stats.cancelled == 1
    assert case.coordinator.is_complete()


def test_trial_that_was_not_suggested_never_starts(tmp_path: Path) -> None:
    case = Case(tmp_path)
    with case.coordinator:
        last = case.trials[-1]
        assert case.cancel(last.id) == set()
        pack = case.coordinator.next_pack()
        assert pack is not None
        assert {trial.id for trial in pack.trials} == {t.id for t in case.trials[:-1]}
        assert case.coordinator.is_exhausted()
        case.coordinator.fail_pack(pack, _failure())
    assert case.rows()[last.id]["status"] == "cancelled"
    assert case.coordinator.is_complete()


def test_sweep_whose_trials_are_all_cancelled_ends(tmp_path: Path) -> None:
    case = Case(tmp_path)
    with case.coordinator:
        for trial in case.trials:
            case.cancel(trial.id)
        assert case.coordinator.next_pack() is None
        assert case.coordinator.is_complete()
    assert case.coordinator.stats.cancelled == len(case.trials)


def test_ambiguous_prefix_is_refused(tmp_path: Path) -> None:
    case = Case(tmp_path)
    with case.coordinator:
        case.cancel("")
        assert case.answers[-1].message.startswith(f"{len(case.trials)} unfinished trials start")
        assert case.coordinator.stats.cancelled == 0


def test_paused_coordinator_starts_no_pack(tmp_path: Path) -> None:
    case = Case(tmp_path)
    with case.coordinator:
        case.steering.pause()
        assert case.coordinator.next_pack() is None
        assert not case.coordinator.is_held()  # a worker may have taken trials just now
        case.coordinator.confirm_pause()
        assert case.coordinator.is_held()  # nothing runs
        assert not case.coordinator.is_exhausted()
        case.steering.resume()
        pack = case.coordinator.next_pack()
        assert pack is not None
        case.coordinator.mark_running(pack)
        case.steering.pause()
        assert not case.coordinator.is_held()
        case.coordinator.mark_held(pack.trials)
        assert not case.coordinator.is_held()
        case.coordinator.confirm_pause()
        assert case.coordinator.is_held()
        case.steering.resume()
        case.steering.pause()
        assert not case.coordinator.is_held()  # held in the earlier pause
        case.coordinator.confirm_pause()
        assert not case.coordinator.is_held()
        case.coordinator.mark_waiting(pack.trials)  # their worker is lost
        assert case.coordinator.is_held()
        assert case.coordinator.num_running() == 0
        case.coordinator.mark_running(pack)
        assert not case.coordinator.is_held()
    assert case.coordinator.is_held()  # it has ended


def _failure() -> Any:
    from orchestrator.execution.events import Failure

    return Failure(reason="ends the test", log="")
