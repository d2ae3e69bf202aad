"""The driver's side of a cluster, without one: packs out, events in, failed stages, lost mail."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
from fake_stages import TASK, FakeStages, stage

from orchestrator.execution.dispatcher import Contents, Dispatcher, Orders, Snapshot
from orchestrator.execution.events import Event, Failure, Pack, StepProgress
from orchestrator.execution.recovery import MAX_DEATHS
from orchestrator.execution.stage_demand import StageDemand
from orchestrator.execution.timeout import grace_period
from orchestrator.saving.checkpoints import TimedStep
from tasks.contract import Source, Step, Trial

NONE = Source(name="none", fingerprint="none")


@dataclass(frozen=True)
class Params:
    stage: int


def trial(seed: int, stage: int = 0) -> Trial:
    return Trial(task="t", version="1", params=Params(stage), seed=seed, model=NONE, data=NONE)


class Work:
    """A list of packs."""

    def __init__(self, *packs: Sequence[Trial], step_timeout: float | None = None) -> None:
        self.packs = [Pack(id=i, trials=tuple(trials)) for i, trials in enumerate(packs)]
        self.task = TASK
        self.step_timeout, self.halted = step_timeout, False
        self.recorded: list[Event] = []
        self.failed: dict[str, str] = {}
        self.runs: list[int] = []
        self.num_packs = len(packs)
        self.paused = False
        self.to_cancel: set[str] = set()
        self.held: list[Trial] = []
        self.waiting: list[Trial] = []
        self.num_confirmed = 0

    def next_pack(self) -> Pack | None:
        return self.packs.pop(0) if self.packs else None

    def split(self, pack: Pack, among: Collection[str] | None = None) -> list[Pack]:
        chosen = [t for t in pack.trials if among is None or t.id in among]
        self.num_packs += len(chosen)
        return [Pack(id=self.num_packs - i, trials=(t,)) for i, t in enumerate(chosen)]

    def record(self, pack: Pack, events: Sequence[Event]) -> set[str]:
        self.recorded += events
        return set()

    def is_new(self, event: Event) -> bool:
        return not event.replayed and event not in self.recorded

    def fail_pack(self, pack: Pack, error: Failure) -> None:
        self.failed |= {t.id: error.reason for t in pack.trials}

    def mark_running(self, pack: Pack) -> None:
        self.runs.append(pack.id)

    def is_exhausted(self) -> bool:
        return not self.packs

    def should_halt(self) -> bool:
        return self.halted

    def is_paused(self) -> bool:
        return self.paused and not self.halted

    def cancel_trials(self) -> set[str]:
        cancelled, self.to_cancel = self.to_cancel, set()
        return cancelled

    def mark_held(self, trials: Iterable[Trial]) -> None:
        self.held += trials

    def mark_waiting(self, trials: Iterable[Trial]) -> None:
        self.waiting += trials

    def confirm_pause(self) -> None:
        self.num_confirmed += 1

    def progressed(self, progress: StepProgress) -> None:
        """Nobody watches."""


class FakeWorkers:
    def __init__(self) -> None:
        self.mail: dict[int, Contents] = {}
        self.taken: dict[int, str] = {}
        self.killed: list[str] = []
        self.halted = False
        self.orders: list[Orders] = []
        self.is_late = False  # whether orders have not arrived yet
        self.out_of_memory: set[str] = set()

    def put(self, pack_id: int, contents: Contents, finished_packs: Sequence[int]) -> None:
        for other in finished_packs:
            self.mail.pop(other, None)
        self.mail[pack_id] = contents

    def snapshots(self, wait: bool) -> Iterable[Snapshot]:
        number = self.orders[-1].number if self.orders and not self.is_late else 0
        found, self.taken = Snapshot(workers=self.taken, steps=[], stages={}, orders=number), {}
        return [found]

    def order(self, orders: Orders) -> None:
        self.orders.append(orders)

    def halt(self) -> None:
        self.halted = True

    def kill(self, worker: str) -> None:
        self.killed.append(worker)

    def ran_out_of_memory(self, worker: str) -> bool:
        return worker in self.out_of_memory

    def tail_log(self, worker: str) -> str:
        return f"the last lines of {worker}"


class Case:
    def __init__(self, *packs: Sequence[Trial], step_timeout: float | None = None) -> None:
        self.demand = demand = StageDemand(TASK, [t for pack in packs for t in pack])
        self.work, self.workers, self.stages = (
            Work(*packs, step_timeout=step_timeout),
            FakeWorkers(),
            FakeStages(demand),
        )
        work: Any = self.work
        self.dispatcher = Dispatcher(work, self.workers, self.stages, num_workers=2)

    def ready(self, number: int = 0) -> None:
        self.stages.on_done(stage(number), "value")
        self.dispatcher.poll()

    def step(self, pack_id: int, *trials: Trial, done: bool = False) -> None:
        timed = TimedStep(step=Step(at=1, metrics={}, done=done), seconds=0.0)
        self.dispatcher.on_result(pack_id, [Event(trial_id=t.id, outcome=timed) for t in trials])


def test_pack_contents_are_mailed_once_its_stages_are_done() -> None:
    case = Case([trial(0), trial(1)])
    assert case.dispatcher.next_pack() == 0
    assert not case.workers.mail
    case.ready()
    assert case.workers.mail == {0: ((trial(0), trial(1)), {stage(0): "value"})}
    case.step(0, trial(0), done=True)
    assert case.dispatcher.should_continue(0)
    case.step(0, trial(1), done=True)
    assert not case.dispatcher.should_continue(0)
    assert case.dispatcher.is_exhausted()
    assert len(case.work.recorded) == 2


def test_stage_value_is_released_after_its_last_trial() -> None:
    case = Case([trial(0, stage=0)], [trial(1, stage=0)])
    case.dispatcher.next_pack()
    case.dispatcher.next_pack()
    case.ready()
    for seed in (0, 1):
        assert case.stages.values([stage(0)]) == {stage(0): "value"}
        case.step(seed, trial(seed, stage=0), done=True)
        case.demand.end(trial(seed, stage=0))
        case.dispatcher.poll()
    assert case.stages.values([stage(0)]) is None


def test_lost_mail_is_sent_again_without_finished_members() -> None:
    case = Case([trial(0), trial(1)])
    case.dispatcher.next_pack()
    case.ready()
    case.step(0, trial(0), done=True)
    case.workers.mail.clear()
    case.dispatcher.on_result(0, [])  # its worker still waits
    assert case.workers.mail[0][0] == (trial(1),)


def test_failed_stage_fails_only_the_members_that_need_it() -> None:
    case = Case([trial(0, stage=0), trial(1, stage=1)], [trial(2, stage=1)])
    case.dispatcher.next_pack()
    case.dispatcher.next_pack()
    case.stages.on_failed(stage(1), Failure(reason="broken", log=""))
    case.ready()
    assert case.work.failed == {trial(1, stage=1).id: "broken", trial(2, stage=1).id: "broken"}
    assert case.workers.mail[0][0] == (trial(0),)
    assert not case.dispatcher.should_continue(1)


def test_trial_that_kills_its_workers_fails_despite_recomputed_steps() -> None:
    case = Case([trial(0)])
    case.dispatcher.next_pack()
    case.ready()
    for number in range(MAX_DEATHS):
        case.workers.taken = {0: f"w{number}"}
        assert not case.work.failed
        case.step(0, trial(0))  # not saved, so each worker computes it
        case.dispatcher.on_worker_lost(0)
    assert case.work.failed[trial(0).id].startswith(f"its worker died {MAX_DEATHS} times")
    assert case.dispatcher.is_exhausted()


def test_halted_pack_continues_until_its_worker_has_saved() -> None:
    case = Case([trial(0)])
    case.dispatcher.next_pack()
    case.ready()
    case.work.halted = True
    case.dispatcher.poll()
    assert case.workers.halted
    assert case.dispatcher.should_continue(0, saved=False)
    assert not case.dispatcher.should_continue(0, saved=True)


def test_silent_worker_is_killed_and_its_trial_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr("orchestrator.execution.dispatcher.time.monotonic", lambda: clock.now)
    case = Case([trial(0)], step_timeout=5.0)
    case.dispatcher.next_pack()
    case.ready()
    case.workers.taken = {0: "w"}
    for clock.now in (1.0, grace_period(5.0) + 0.9):
        case.dispatcher.poll()
        assert not case.workers.killed
    assert case.work.runs == [0]
    for clock.now in (grace_period(5.0) + 2.0, grace_period(5.0) + 3.0):
        case.dispatcher.poll()
        assert case.workers.killed == ["w"]
    case.dispatcher.on_worker_lost(0)
    assert case.work.failed[trial(0).id].startswith("a step took longer than 5 s")
    assert case.dispatcher.is_exhausted()


def test_only_the_worker_that_ran_out_of_memory_runs_again_alone() -> None:
    case = Case([trial(0)], [trial(1)])
    assert (case.dispatcher.next_pack(), case.dispatcher.next_pack()) == (0, 1)
    case.ready()
    case.workers.taken, case.workers.out_of_memory = {0: "a", 1: "b"}, {"a"}
    case.dispatcher.on_all_lost_to_memory()
    assert case.dispatcher.next_pack() == 1
    assert case.dispatcher.next_pack() is None  # while another runs
    case.step(1, trial(1), done=True)
    alone = case.dispatcher.next_pack()
    assert alone is not None
    assert case.workers.mail[alone][0] == (trial(0),)


def test_error_stops_packs_and_stages_and_is_kept() -> None:
    case = Case([trial(0)], [trial(1)])
    case.dispatcher.next_pack()
    with case.dispatcher.capture_errors():
        raise OSError("the disk is full")
    assert isinstance(case.dispatcher.error, OSError)
    assert not case.dispatcher.should_continue(0)
    assert case.dispatcher.next_pack() is None
    assert case.dispatcher.is_exhausted()
    case.dispatcher.poll()
    assert case.stages.cancelled


# --- control --------------------------------------------------------------------------------------


def test_pause_orders_workers_to_hold_and_starts_no_packs_or_stages() -> None:
    case = Case([trial(0)], [trial(1, stage=1)])
    assert case.dispatcher.next_pack() == 0
    case.work.paused = True
    assert case.dispatcher.next_pack() is None
    assert [order.is_paused for order in case.workers.orders] == [True]
    assert case.stages.start_next() is None
    case.dispatcher.on_held(0, 0)  # of an earlier pause
    assert case.work.held == []
    case.dispatcher.on_held(0, 1)
    assert case.work.held == [trial(0)]
    assert case.dispatcher.should_continue(0)
    case.work.paused = False
    assert case.dispatcher.next_pack() == 1
    assert [order.is_paused for order in case.workers.orders] == [True, False]
    assert case.workers.orders[-1].number == 2


def test_pause_is_confirmed_when_workers_know_it_and_no_stage_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 100.0
    monkeypatch.setattr("orchestrator.execution.dispatcher.time.monotonic", lambda: now)
    case = Case([trial(0)])
    case.dispatcher.next_pack()
    case.work.paused = case.workers.is_late = True

    def look() -> int:
        nonlocal now
        now += 1
        assert case.dispatcher.next_pack() is None
        return case.work.num_confirmed

    assert look() == 0  # a worker may take a pack before it knows of the pause
    case.workers.is_late = False
    assert look() == 0  # the stage is still being computed
    case.ready()
    assert look() == 1


def test_trials_without_a_worker_wait() -> None:
    case = Case([trial(0), trial(1)], [trial(2)])
    assert (case.dispatcher.next_pack(), case.dispatcher.next_pack()) == (0, 1)
    case.ready()
    case.workers.taken = {0: "a", 1: "b"}
    failure = Failure(reason="no memory", log="", out_of_memory=True)
    case.dispatcher.on_result(0, [Event(trial_id=trial(1).id, outcome=failure)])
    assert case.work.waiting == [trial(1)]  # runs again at the end, alone
    case.dispatcher.on_worker_lost(1)
    assert case.work.waiting == [trial(1), trial(2)]
    case.dispatcher.on_all_lost_to_memory()
    assert case.work.waiting == [trial(1), trial(2), trial(0), trial(2)]


def test_held_worker_does_not_time_out(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("orchestrator.execution.dispatcher.time.monotonic", lambda: now)
    case = Case([trial(0)], step_timeout=1.0)
    case.dispatcher.next_pack()
    case.ready()
    case.workers.taken = {0: "w"}
    now += 1
    case.dispatcher.poll()
    now += grace_period(1.0)
    case.dispatcher.on_held(0, 0)
    now += 1
    case.dispatcher.poll()
    assert not case.workers.killed


def test_pause_before_the_stages_does_not_make_a_worker_late(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 100.0
    monkeypatch.setattr("orchestrator.execution.dispatcher.time.monotonic", lambda: now)
    case = Case([trial(0)], step_timeout=1.0)
    case.dispatcher.next_pack()
    case.dispatcher.on_held(0, 0)  # the worker waits for its pack
    now += 10 * grace_period(1.0)
    case.ready()
    case.workers.taken = {0: "w"}
    case.dispatcher.poll()
    assert not case.workers.killed


def test_cancelled_trials_leave_their_packs() -> None:
    case = Case([trial(0), trial(1)], [trial(2)])
    assert case.dispatcher.next_pack() == 0
    case.ready()
    assert case.dispatcher.next_pack() == 1
    case.work.to_cancel = {trial(0).id, trial(2).id}
    case.dispatcher.poll()
    assert case.workers.orders[-1].cancelled == {trial(0).id, trial(2).id}
    assert case.dispatcher.should_continue(0)
    assert not case.dispatcher.should_continue(1)  # it has no other members
    case.step(0, trial(1), done=True)
    assert not case.dispatcher.should_continue(0)


def test_orders_are_sent_again_because_the_mailbox_may_be_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("orchestrator.execution.dispatcher.CHECK_SECONDS", -1.0)
    case = Case([trial(0)])
    case.dispatcher.next_pack()
    assert not case.workers.orders
    case.work.paused = True
    for _ in range(3):
        case.dispatcher.poll()
    assert len(case.workers.orders) > 2
    assert {order.number for order in case.workers.orders} == {1}
