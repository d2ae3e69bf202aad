"""Decisions about lost workers, memory and timeouts: events in, actions out, without Ray."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Collection
from typing import Any

import pytest

from orchestrator.execution.events import Pack
from orchestrator.execution.recovery import (
    MAX_BROKEN_STARTS,
    MAX_DEATHS,
    Cause,
    Fail,
    Recovery,
    Requeue,
    Restart,
)
from tasks.contract import Source, SweepError, Trial

NONE = Source(name="none", fingerprint="none")


def trial(level: int) -> Trial:
    return Trial(task="t", version="1", params=NONE, seed=level, model=NONE, data=NONE)


class Driver:
    """Packs of a fixed list, and the recovery that is tested."""

    def __init__(self, *packs: int, num_workers: int = 2) -> None:
        self.ids, seeds = itertools.count(), itertools.count()
        self.new = [self.pack(*(trial(next(seeds)) for _ in range(size))) for size in packs]
        self.recovery = Recovery(self.split, num_workers, 5.0)

    def pack(self, *trials: Trial) -> Pack:
        return Pack(id=next(self.ids), trials=trials)

    def split(self, pack: Pack, among: Collection[str] | None) -> list[Pack]:
        return [self.pack(t) for t in pack.trials if among is None or t.id in among]

    def start(self) -> Pack:
        pack = self.maybe_start()
        assert pack is not None
        return pack

    def maybe_start(self) -> Pack | None:
        return self.recovery.next_pack(lambda: self.new.pop(0) if self.new else None)

    def lose(self, pack: Pack, cause: Cause = "died") -> Any:
        return self.recovery.on_worker_lost(pack.id, cause, took_pack=True)

    def end(self, pack: Pack) -> None:
        ids = [t.id for t in self.recovery.remaining(pack.id).trials]
        assert self.recovery.on_ended(pack.id, ids)


def test_first_lost_worker_restarts_the_pack() -> None:
    driver = Driver(3)
    pack = driver.start()
    assert driver.lose(pack) == Restart()
    assert driver.recovery.remaining(pack.id) == pack


def test_second_lost_worker_splits_the_pack() -> None:
    driver = Driver(3, 1)
    pack = driver.start()
    driver.lose(pack)
    driver.recovery.on_ended(pack.id, [pack.trials[0].id])
    assert driver.lose(pack) == Requeue()
    alone = [driver.start(), driver.start()]
    assert [p.trials for p in alone] == [pack.trials[1:2], pack.trials[2:3]]  # before new packs
    assert driver.start().trials[0].seed == 3


def test_trial_fails_after_four_lost_workers() -> None:
    driver = Driver(1)
    pack = driver.start()
    assert [driver.lose(pack) for _ in range(MAX_DEATHS - 1)] == [Restart()] * 3
    assert driver.lose(pack) == Fail(reason="its worker died 4 times (out of memory?)")
    assert driver.recovery.is_idle()


def test_new_steps_reset_the_count_of_lost_workers() -> None:
    driver = Driver(1)
    pack = driver.start()
    for _ in range(20):
        assert driver.lose(pack) == Restart()
        driver.recovery.on_step(pack.id)


def test_timeout_splits_the_pack_and_then_fails_the_trial() -> None:
    driver = Driver(2)
    assert driver.lose(driver.start(), "timed out") == Requeue()
    first, second = driver.start(), driver.start()
    action = driver.lose(second, "timed out")
    assert isinstance(action, Fail)
    assert action.reason.startswith("a step took longer than 5 s")
    driver.end(first)
    assert driver.recovery.is_idle()


def test_trial_killed_for_memory_runs_again_last_and_alone() -> None:
    driver = Driver(2, 1, 1)
    pack, other = driver.start(), driver.start()
    assert driver.lose(pack, "out of memory") == Requeue()
    last = driver.start()
    assert driver.maybe_start() is None  # others run
    driver.end(other)
    driver.end(last)
    first = driver.start()
    assert first.trials == pack.trials[:1]
    assert driver.maybe_start() is None
    assert not driver.recovery.is_idle()
    assert driver.lose(first) == Restart()  # lost by chance; it still runs alone
    assert driver.maybe_start() is None
    action = driver.lose(first, "out of memory")
    assert isinstance(action, Fail)
    assert "the node ran out of memory" in action.reason
    driver.end(driver.start())
    assert driver.recovery.is_idle()


def test_out_of_memory_member_runs_again_alone() -> None:
    driver = Driver(2, 1)
    pack, other = driver.start(), driver.start()
    short = [pack.trials[0].id]
    assert not driver.recovery.on_out_of_memory(pack.id, short)
    assert not driver.recovery.on_ended(pack.id, short)
    driver.end(pack)
    driver.end(other)
    again = driver.start()
    assert again.trials == pack.trials[:1]
    assert driver.recovery.on_out_of_memory(again.id, short)


def test_with_one_worker_every_trial_already_runs_alone() -> None:
    driver = Driver(2, num_workers=1)
    pack = driver.start()
    assert driver.recovery.on_out_of_memory(pack.id, [pack.trials[0].id])


def test_interrupted_pack_continues_first() -> None:
    driver = Driver(2, 1)
    pack = driver.start()
    driver.recovery.on_ended(pack.id, [pack.trials[0].id])
    driver.recovery.on_interrupted(pack.id)
    again = driver.start()
    assert again == Pack(id=pack.id, trials=pack.trials[1:])
    assert driver.lose(again) == Restart()  # its first loss


def test_workers_that_never_start_end_the_sweep() -> None:
    driver = Driver(1)
    pack = driver.start()
    for _ in range(MAX_BROKEN_STARTS):
        assert driver.recovery.on_worker_lost(pack.id, "died", took_pack=False) == Restart()
    with pytest.raises(SweepError, match="11 workers in a row died before they took any work"):
        driver.recovery.on_worker_lost(pack.id, "died", took_pack=False)
    driver.recovery.on_report()
    assert driver.recovery.on_worker_lost(pack.id, "died", took_pack=False) == Restart()


@pytest.mark.parametrize("seed", range(30))
def test_every_trial_ends_once_and_no_healthy_trial_fails(seed: int) -> None:
    """Some trials kill their workers, fill the memory or hang; other workers are lost by chance."""
    draw = random.Random(seed)
    sizes = [draw.randint(1, 5) for _ in range(draw.randint(1, 8))]
    driver = Driver(*sizes)
    kinds: tuple[Cause | None, ...] = (None, None, None, "died", "out of memory", "timed out")
    bad = {t.id: draw.choice(kinds) for pack in driver.new for t in pack.trials}
    ended: Counter[str] = Counter()
    failed: set[str] = set()
    running: dict[int, bool] = {}  # pack -> whether it runs with nothing beside it
    for _ in range(10_000):
        pack = driver.maybe_start() if len(running) < 2 else None
        if pack is not None:
            assert not any(running.values())
            running[pack.id] = False
        if not running:
            break
        pack_id = draw.choice(list(running))
        left = driver.recovery.remaining(pack_id)
        causes = {bad[t.id] for t in left.trials} - {None}
        if draw.random() < 0.1:
            driver.recovery.on_interrupted(pack_id)
            del running[pack_id]
        elif causes:
            action = driver.lose(left, draw.choice(sorted(filter(None, causes))))
            if isinstance(action, Fail):
                failed |= {t.id for t in left.trials}
                ended.update(t.id for t in left.trials)
            if not isinstance(action, Restart):
                del running[pack_id]
        else:
            driver.recovery.on_step(pack_id)
            one = draw.choice(left.trials).id
            ended[one] += 1
            if driver.recovery.on_ended(pack_id, [one]):
                del running[pack_id]
    assert driver.recovery.is_idle()
    assert ended == Counter(dict.fromkeys(bad, 1))
    assert failed == {trial_id for trial_id, cause in bad.items() if cause is not None}
