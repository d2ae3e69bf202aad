"""The estimated time left in simulated schedules, whose true time left is known."""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pytest

from orchestrator.view.time_left import TimeLeft, makespan
from tasks.contract import Stage


@dataclass(frozen=True)
class Sweep:
    """Packs of trials, each with a number of epochs, on workers of equal speed."""

    packs: Sequence[Sequence[int]]
    num_workers: int = 1
    seconds: float = 2.0  # of an epoch of one trial; members of a pack take turns
    stages: int = 0  # computed in sequence before the first pack
    stage_seconds: float = 5.0
    overhead: float = 0.0  # of each pack before its first step
    reports: int = 10  # within a step
    totals: bool = True
    pruned: Callable[[int], int | None] = lambda trial: None  # after which epoch, if so
    is_search: bool = False  # packs become known one by one


def prepare(*, number: int) -> None:
    """A stage that is never computed."""


def simulate(sweep: Sweep) -> list[tuple[float, float]]:
    """(seconds since the start, estimated minus true seconds left) after each event."""
    numbers = itertools.count()
    packs = [[(next(numbers), epochs) for epochs in pack] for pack in sweep.packs]
    totals = {f"{t}": float(e) if sweep.totals else None for pack in packs for t, e in pack}
    time_left = TimeLeft(queued={} if sweep.is_search else dict(totals))
    stages = [Stage(function=prepare, args={"number": n}) for n in range(sweep.stages)]
    time_left.stages.expect(stages)
    events: list[tuple[float, int, Callable[[float], None]]] = []
    order = itertools.count()
    handed = set()

    def at(time: float, act: Callable[[float], None]) -> None:
        heapq.heappush(events, (time, next(order), act))

    now = 0.0
    for stage in stages:
        for part in range(4):
            share = part / 4
            at(
                now + share * sweep.stage_seconds,
                lambda t, s=stage, x=share: time_left.stages.progressed(s, x, t),  # type: ignore[misc]
            )
        now += sweep.stage_seconds
        at(now, lambda t, s=stage: time_left.stages.done(s, sweep.stage_seconds, t))  # type: ignore[misc]
    workers = [now] * sweep.num_workers
    heapq.heapify(workers)
    for pack in packs:
        began = heapq.heappop(workers)

        def start(t: float, pack: Sequence[tuple[int, int]] = pack) -> None:
            time_left.pack_started({f"{trial}": totals[f"{trial}"] for trial, _ in pack}, t)
            handed.update(f"{trial}" for trial, _ in pack)

        at(began if sweep.is_search else 0.0, start)
        now = began + sweep.overhead
        going = list(pack)
        for epoch in itertools.count(1):
            if not going:
                break
            taken = sweep.seconds * len(going)
            for report in range(sweep.reports):

                def report_all(
                    t: float, going: Sequence[tuple[int, int]] = going, report: int = report
                ) -> None:
                    for trial, _ in going:
                        time_left.progressed(f"{trial}", report / sweep.reports, None, t)

                at(now + taken * report / sweep.reports, report_all)
            now += taken
            left = []
            for trial, epochs in going:

                def step(t: float, trial: int = trial, epoch: int = epoch) -> None:
                    time_left.stepped(f"{trial}", epoch, sweep.seconds, t)

                at(now, step)
                if epoch >= epochs or sweep.pruned(trial) == epoch:
                    at(now, lambda t, trial=trial: time_left.ended(f"{trial}", t))  # type: ignore[misc]
                else:
                    left.append((trial, epochs))
            going = left
        heapq.heappush(workers, now)
    end = max(workers)
    errors = []
    num_trials = sum(len(pack) for pack in packs)
    while events:
        time, _, act = heapq.heappop(events)
        act(time)
        if events and events[0][0] == time:
            continue  # a step ends for all members at once
        estimate = time_left.seconds_left(num_trials - len(handed), sweep.num_workers, time)
        errors.append((time, math.nan if estimate is None else estimate - (end - time)))
    return errors


@pytest.mark.parametrize(
    "sweep",
    [
        pytest.param(Sweep(packs=[[3] * 8]), id="one pack that ends all at once"),
        pytest.param(Sweep(packs=[[0, 3, 3, 5, 5]]), id="members of different lengths"),
        pytest.param(Sweep(packs=[[3] * 8], reports=0), id="a task that reports no progress"),
        pytest.param(Sweep(packs=[[4]] * 12, num_workers=3), id="packs of one on three workers"),
        pytest.param(Sweep(packs=[[4] * 2] * 5, num_workers=2), id="five packs on two workers"),
        pytest.param(Sweep(packs=[[3] * 4] * 2, num_workers=2, stages=6), id="stages first"),
        pytest.param(Sweep(packs=[[10]] * 30, num_workers=2, is_search=True), id="a search"),
        pytest.param(Sweep(packs=[[5]] * 20, seconds=0.01, overhead=0.05), id="more overhead"),
    ],
)
def test_estimate_is_accurate_and_does_not_grow(sweep: Sweep) -> None:
    errors = simulate(sweep)
    known = [(time, error) for time, error in errors if not math.isnan(error)]
    total = errors[-1][0]
    first_step = sweep.stages * sweep.stage_seconds + sweep.overhead
    first_step += sweep.seconds * (len(sweep.packs[0]) if sweep.reports == 0 else 1)
    assert known[0][0] <= first_step + 1e-9  # with the first report, or the first step
    if sweep.overhead:  # seen once a second pack runs
        known = [(time, error) for time, error in known if time > total / 4]
    tolerance = 0.3 if sweep.overhead else 0.15
    for time, error in known:
        assert abs(error) <= tolerance * (total - time) + 0.05 * total, (time, error, total)
    estimates = [error - time for time, error in known]  # of the end, but for a constant
    grown = max((b - a for a, b in itertools.pairwise(estimates)), default=0.0)
    assert grown <= 0.1 * total  # elapsed time per ended trial would triple within one sweep


def _first_step_of(stopped: np.ndarray[Any, Any], trial: int) -> int | None:
    return 1 if stopped[trial] else None


def test_pruned_search_expects_the_mean_length_so_far() -> None:
    late = []
    for seed in range(6):
        drawn = np.random.default_rng(seed).random(60) < 0.6
        errors = simulate(
            Sweep(packs=[[9]] * 60, is_search=True, pruned=partial(_first_step_of, drawn))
        )
        total = errors[-1][0]
        late += [abs(error) / total for time, error in errors if time > total / 4]
        early = [error for time, error in errors if time < total / 10 and not math.isnan(error)]
        assert max(early) <= 1.5 * total  # at first it expects trials of full length
    assert np.mean(late) <= 0.12


def test_estimate_without_totals_is_off_by_one_trial_at_most() -> None:
    errors = simulate(Sweep(packs=[[4]] * 6, totals=False))
    known = [time for time, error in errors if not math.isnan(error)]
    assert known  # a running trial counts with one more step, an ended one with all its steps
    after = [error for time, error in errors if time >= 8.0]
    assert all(abs(error) <= 8.0 for error in after)


def test_resumed_trial_counts_only_new_steps() -> None:
    time_left = TimeLeft(queued={"a": 10.0})
    time_left.pack_started({"a": 10.0}, 0.0)
    for epoch in range(1, 9):
        time_left.stepped("a", epoch, 60.0, 0.1, replayed=True)
    assert time_left.seconds_left(0, 1, 0.2) is None  # this run has measured nothing yet
    time_left.progressed("a", 0.0, None, 1.0)
    time_left.progressed("a", 0.5, None, 6.0)
    assert time_left.seconds_left(0, 1, 6.0) == pytest.approx(15.0)
    time_left.stepped("a", 9, 10.0, 11.0)
    assert time_left.seconds_left(0, 1, 11.0) == pytest.approx(10.0)
    assert time_left.seconds_left(0, 1, 14.0) == pytest.approx(7.0)  # counts down between steps


def test_progress_in_images_counts_images() -> None:
    time_left = TimeLeft()
    time_left.pack_started({"a": 1000.0}, 0.0)
    time_left.progressed("a", 0.0, None, 0.0)
    time_left.progressed("a", 0.5, 100, 5.0)  # 50 images in 5 s
    assert time_left.seconds_left(0, 1, 5.0) == pytest.approx(95.0)
    time_left.stepped("a", 100, 10.0, 10.0)
    time_left.progressed("a", 0.5, 500, 30.0)  # 300 in 30 s
    assert time_left.seconds_left(0, 1, 30.0) == pytest.approx(70.0)


def test_members_of_a_split_pack_count_once() -> None:
    time_left = TimeLeft(queued={"a": 4.0, "b": 4.0})
    time_left.pack_started({"a": 4.0, "b": 4.0}, 0.0)
    time_left.progressed("a", 0.0, None, 0.0)
    time_left.stepped("a", 1, 1.0, 2.0)
    time_left.stepped("b", 1, 1.0, 2.0)
    for trial in "ab":  # each resumes on its own worker
        time_left.pack_started({trial: 4.0}, 3.0)
        time_left.stepped(trial, 1, 1.0, 3.0, replayed=True)
        time_left.progressed(trial, 0.0, None, 3.0)
    assert time_left.seconds_left(0, 2, 3.0) == pytest.approx(3.0)
    assert time_left.seconds_left(0, 1, 3.0) == pytest.approx(3.0)  # they run at the same time


@pytest.mark.parametrize("seed", range(20))
def test_makespan_matches_a_simple_schedule(seed: int) -> None:
    rng = np.random.default_rng(seed)
    num_workers = int(rng.integers(1, 5))
    running = rng.uniform(0, 5, rng.integers(0, num_workers + 1)).tolist()
    queued = rng.uniform(0, 5, rng.integers(0, 20)).tolist()
    free = [*running, *[0.0] * (num_workers - len(running))]
    for seconds in queued:
        free[free.index(min(free))] += seconds
    assert makespan(running, queued, num_workers) == pytest.approx(max(free))


def test_makespan_of_many_trials_is_close() -> None:
    assert makespan([], [1.0] * 100_000, 4) == pytest.approx(25_000, rel=0.01)


def test_stage_time_excludes_the_start_of_its_worker() -> None:
    time_left = TimeLeft()
    stages = [Stage(function=prepare, args={"number": n}) for n in range(3)]
    time_left.stages.expect(stages)
    assert time_left.stages.seconds_left(1, 0.0) is None
    time_left.stages.progressed(stages[0], 0.0, 0.0)
    time_left.stages.progressed(stages[0], 0.1, 21.0)  # its process took 20 s to start
    time_left.stages.progressed(stages[0], 0.5, 25.0)
    assert time_left.stages.seconds_left(1, 25.0) == pytest.approx(5.0 + 2 * 10.0)
    time_left.stages.done(stages[0], 10.0, 30.0)
    assert time_left.stages.seconds_left(2, 30.0) == pytest.approx(10.0)
    assert (time_left.stages.num_done, time_left.stages.num_left()) == (1, 2)
    for stage in stages[1:]:  # one of them kept from before
        time_left.stages.done(stage, None, 31.0)
    assert time_left.stages.seconds_left(2, 31.0) == 0.0
