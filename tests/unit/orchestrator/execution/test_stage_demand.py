"""Which stage values are kept, for a list of trials and for a search."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from orchestrator.execution.stage_demand import StageDemand, StageValues
from tasks.contract import Stage


def work(*, number: int) -> Any:
    return {}


def stage(number: int, *needs: Stage) -> Stage:
    return Stage(function=work, args={"number": number}, needs=needs)


def trial(*stages: Stage) -> Any:
    return SimpleNamespace(stages=stages)


TASK: Any = SimpleNamespace(stages=lambda trial: trial.stages)


def held(values: StageValues, *stages: Stage) -> list[bool]:
    values.release()
    return [each.key in values for each in stages]


def test_value_is_released_after_its_last_trial() -> None:
    one, two = stage(1), stage(2)
    trials = [trial(one), trial(one, two), trial(two)]
    demand = StageDemand(TASK, trials)
    values = StageValues(demand, idle_bytes=1e9)
    for each in (one, two):
        values.put(each.key, "value", 10)
    assert held(values, one, two) == [True, True]
    demand.end(trials[0])
    assert held(values, one, two) == [True, True]
    demand.end(trials[1])
    assert held(values, one, two) == [False, True]
    demand.end(trials[2])
    assert held(values, one, two) == [False, False]


def test_intermediate_value_is_released_once_its_dependents_exist() -> None:
    base = stage(0)
    first, second = stage(1, base), stage(2, base)
    demand = StageDemand(TASK, [trial(first), trial(second)])
    values = StageValues(demand, idle_bytes=0)
    values.put(base.key, "value", 1)
    assert held(values, base) == [True]
    values.put(first.key, "value", 1)
    assert held(values, base, first) == [True, True]
    values.put(second.key, "value", 1)
    assert held(values, base, first, second) == [False, True, True]


def test_failed_trial_releases_its_values() -> None:
    base = stage(0)
    broken = trial(stage(1, base))
    demand = StageDemand(TASK, [broken])
    values = StageValues(demand, idle_bytes=0)
    values.put(base.key, "value", 1)
    demand.end(broken)
    assert held(values, base) == [False]


def test_search_keeps_recently_used_values_within_the_limit() -> None:
    demand = StageDemand(TASK, None)
    values = StageValues(demand, idle_bytes=20)
    stages = [stage(number) for number in range(4)]
    for each in stages:
        demand.start(trial(each))
        values.put(each.key, each.key, 10)
    assert held(values, *stages) == [True] * 4  # in use, whatever their size
    values.get(stages[0].key)
    for each in stages:
        demand.end(trial(each))
    assert held(values, *stages) == [True, False, False, True]
    demand.start(trial(stages[0]))
    values.put(stages[1].key, "again", 15)
    assert held(values, *stages) == [True, True, False, False]
