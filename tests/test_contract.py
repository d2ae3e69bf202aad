"""What every task promises, checked over every task that is discovered."""

from __future__ import annotations

import copy
import dataclasses
import json
import math
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import draw_folder

from orchestrator import discovery
from orchestrator.checkpoints import decode, encode
from orchestrator.cli import _field_docs
from orchestrator.plan import TrialFactory, distinct_stages, plan_rows, resolve_space
from orchestrator.stages import compute
from results.statistics import MEAN, aggregation
from tasks.contract import Inputs, Member, State, Step, Task, Trial
from tasks.progress import Throttle, reporting

ROOT = Path(__file__).parents[1]

BUILT_IN = ("captioning", "diffusion", "retrieval")

# What keeps a task's trials short; a task that is not named here runs with its defaults.
SMALL: dict[str, dict[str, Any]] = {
    "captioning": {"num_images": 40},
    "diffusion": {
        "features": 8,
        "epochs": 2,
        "draws": 64,
        "num_steps": 8,
        "sampling_steps": 4,
        "num_samples": 3,
    },
    "retrieval": {"epochs": 3, "batch_size": 8, "lr": 1e-3},
}
# Trials that may run beside the defaults, where a task's report and other seeds may not.
SIBLINGS: dict[str, list[dict[str, Any]]] = {
    "diffusion": [{"sampling_steps": 3}, {"sampler": "ancestral", "num_samples": 2}],
}
TOLERANCE = {"retrieval": 1e-4}

if "toy" not in discovery.task_names():
    raise RuntimeError("install the example first: pip install --no-deps -e examples/toy")


@pytest.fixture(scope="module", params=discovery.task_names())
def task(request: pytest.FixtureRequest) -> Task:
    return discovery.load_task(request.param)


@pytest.fixture(scope="module")
def factory(task: Task, tmp_path_factory: pytest.TempPathFactory) -> TrialFactory:
    data = task.default_data
    if data == "scenes":
        data = f"folder:{draw_folder(tmp_path_factory.mktemp('scenes'), train=32, val=48)}"
    model, source = task.resolve(task.default_model, data)
    return TrialFactory(task=task, model=model, data=source, fixed=SMALL.get(task.name, {}))


@pytest.fixture(scope="module")
def trials(task: Task, factory: TrialFactory) -> list[Trial]:
    """Three that may run together."""
    if task.name in SIBLINGS:
        loose = [
            dataclasses.replace(factory, fixed={**factory.fixed, **values})
            for values in ({}, *SIBLINGS[task.name])
        ]
        return [each.trial({}, 0) for each in loose]
    found = [factory.trial({}, 0), factory.trial({}, 1)]
    space = resolve_space(task.name, "report")
    for row in (row for table in plan_rows(space, factory, [2]) for row in table):
        if task.pack_key(row.trials[0]) == task.pack_key(found[0]):
            return [*found, row.trials[0]]
    raise AssertionError("no row of the report runs beside the defaults")


@pytest.fixture(scope="module")
def inputs(task: Task, trials: list[Trial]) -> Inputs:
    values: dict[Any, Any] = {}
    for stage in distinct_stages(task, trials):
        values[stage] = compute(stage, [values[need] for need in stage.needs], "cpu")
    return values


def run(task: Task, trial: Trial, inputs: Inputs) -> Iterator[tuple[State, Step]]:
    state = task.start(trial, inputs, "cpu")
    while True:
        (result,) = task.advance([Member(trial=trial, state=state)], inputs, "cpu")
        assert not isinstance(result, Exception), result
        state, step = result
        yield result
        if step.done:
            return


@pytest.fixture(scope="module")
def alone(task: Task, trials: list[Trial], inputs: Inputs) -> list[list[Step]]:
    return [[step for _, step in run(task, trial, inputs)] for trial in trials]


def test_it_keeps_the_protocol(task: Task) -> None:
    assert isinstance(task, Task)
    assert task.name in discovery.task_names()
    assert (type(task).__doc__ or "").strip()


def test_params_are_frozen_plain_and_explained(task: Task) -> None:
    params = task.Params()
    fields = dataclasses.fields(params)
    helps = _field_docs(task.Params)
    assert helps.keys() == {field.name for field in fields}
    for field in fields:
        assert field.kw_only
        value = getattr(params, field.name)
        assert value is None or isinstance(value, str | int | float | bool)
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(params, field.name, value)


def test_columns_name_what_there_is(task: Task, alone: list[list[Step]]) -> None:
    params = {f"param.{field.name}" for field in dataclasses.fields(task.Params)}
    metrics = {f"metric.{name}" for steps in alone for name in steps[-1].metrics}
    for column in task.columns:
        assert column.key in params | metrics
    assert f"metric.{task.metric.name}" in {column.key for column in task.columns}
    assert {paired.metric for paired in task.paired} <= {key[len("metric.") :] for key in metrics}


def test_importing_it_is_cheap_and_keeps_to_its_room(task: Task) -> None:
    code = (
        "import sys\n"
        f"import {type(task).__module__}\n"
        "heavy = ('torch', 'transformers', 'ray', 'optuna', 'orchestrator', 'results')\n"
        "sys.exit(', '.join(name for name in heavy if name in sys.modules) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_ids_and_stages_are_the_same_in_a_fresh_process(
    task: Task, factory: TrialFactory, trials: list[Trial]
) -> None:
    code = (
        "import json, sys\n"
        "from orchestrator import discovery\n"
        "from orchestrator.plan import TrialFactory\n"
        "name, data, fixed = json.loads(sys.argv[1])\n"
        "task = discovery.load_task(name)\n"
        "model, source = task.resolve(task.default_model, data)\n"
        "factory = TrialFactory(task=task, model=model, data=source, fixed=fixed)\n"
        "trial = factory.trial({}, 0)\n"
        "print(json.dumps([trial.id, [s.key for s in task.stages(trial)]]))"
    )
    asked = json.dumps([task.name, factory.data.name, dict(factory.fixed)])
    done = subprocess.run(
        [sys.executable, "-c", code, asked], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [trials[0].id, [s.key for s in task.stages(trials[0])]]


def test_checking_twice_changes_nothing(task: Task, trials: list[Trial]) -> None:
    for trial in trials:
        assert task.check(trial) == trial
        assert task.num_bytes(trial) > 0
        hash(task.pack_key(trial))


def test_num_steps_is_where_the_last_step_is(
    task: Task, trials: list[Trial], alone: list[list[Step]]
) -> None:
    if hasattr(task, "num_steps"):
        assert [task.num_steps(trial) for trial in trials] == [steps[-1].at for steps in alone]
    elif task.name in BUILT_IN:
        pytest.fail("it gives no total to the view")


def test_progress_within_a_step_grows_and_moves_no_number(
    task: Task, trials: list[Trial], inputs: Inputs, alone: list[list[Step]]
) -> None:
    shares: list[float] = []
    members = [Member(trial=trial, state=task.start(trial, inputs, "cpu")) for trial in trials]
    with reporting(lambda share, next_at: shares.append(share), Throttle(interval=0.0)):
        results = task.advance(members, inputs, "cpu")
    assert shares == sorted(shares)
    assert 0.0 <= shares[0] <= shares[-1] <= 1.0
    assert len(set(shares)) > 1
    for result, steps in zip(results, alone, strict=True):
        assert not isinstance(result, Exception)
        tolerance = TOLERANCE.get(task.name, 1e-6)
        assert result[1].metrics == pytest.approx(dict(steps[0].metrics), rel=tolerance, abs=1e-6)


def test_every_row_of_its_spaces_can_run(task: Task, factory: TrialFactory) -> None:
    import optuna

    loose = dataclasses.replace(factory, fixed={})
    module = discovery.load_space(task.name)
    for name, offered in (("report", "REPORT"), ("grid", "GRID")):
        if hasattr(module, offered):
            space = resolve_space(task.name, name)
            planned = [row for table in plan_rows(space, loose, [0, 1]) for row in table]
            ids = {trial.id for row in planned for trial in row.trials}
            assert len(ids) >= 2
            if name == "report":
                assert any(row.row.report for row in planned)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(30):
        trial = study.ask()
        values = module.search(trial)
        assert trial.params.items() <= values.items()
        loose.trial(values, 0)


def test_stages_say_the_same_twice_and_hold_arrays(task: Task, trials: list[Trial]) -> None:
    stages = distinct_stages(task, trials[:1])
    for stage in stages:
        assert stage.label
    first = next(stage for stage in stages if not stage.needs)
    one, two = compute(first, [], "cpu"), compute(first, [], "cpu")
    assert one.keys() == two.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], two[name])


def test_steps_grow_and_end_with_finite_numbers(task: Task, alone: list[list[Step]]) -> None:
    for steps in alone:
        ats = [step.at for step in steps]
        assert ats == sorted(set(ats))
        assert [step.done for step in steps] == [False] * (len(steps) - 1) + [True]
        assert task.metric.name in steps[-1].metrics
        for step in steps:
            assert all(math.isfinite(value) for value in step.metrics.values())


def test_samples_back_the_metrics_up(task: Task, alone: list[list[Step]]) -> None:
    for steps in alone:
        samples, metrics = steps[-1].samples, steps[-1].metrics
        if samples is None:
            assert not task.paired
            continue
        assert len({len(column) for column in samples.values()}) == 1
        for paired in task.paired:
            values = np.asarray(samples[paired.value], dtype=float)
            units = np.asarray(samples[paired.unit])
            kept = np.ones(len(values), dtype=bool)
            for column, wanted in paired.where.items():
                kept &= np.asarray(samples[column]) == wanted
            values, units = values[kept], units[kept]
            assert len(set(units.tolist())) == len(units)
            if paired.aggregate != MEAN:
                assert aggregation(paired.aggregate)(values.sum(0)) == pytest.approx(
                    metrics[paired.metric]
                )
                continue
            scores = values if paired.at_most is None else values <= paired.at_most
            assert scores.mean() == pytest.approx(metrics[paired.metric])


def test_a_state_saved_and_loaded_between_all_steps_changes_nothing(
    task: Task, trials: list[Trial], inputs: Inputs, alone: list[list[Step]]
) -> None:
    for trial, expected in zip(trials, alone, strict=True):
        state = task.start(trial, inputs, "cpu")
        for straight in expected:
            state, _ = decode(encode(state, []), "cpu")
            (result,) = task.advance([Member(trial=trial, state=state)], inputs, "cpu")
            assert not isinstance(result, Exception), result
            state, step = result
            assert step.metrics == straight.metrics
            assert step.samples == straight.samples


def test_a_step_leaves_the_state_it_came_from_alone(
    task: Task, trials: list[Trial], inputs: Inputs
) -> None:
    state = task.start(trials[0], inputs, "cpu")
    before = encode(copy.deepcopy(state), [])
    task.advance([Member(trial=trials[0], state=state)], inputs, "cpu")
    assert encode(state, []) == before


def test_a_pack_gives_what_each_gives_alone(
    task: Task, trials: list[Trial], inputs: Inputs, alone: list[list[Step]]
) -> None:
    members = [Member(trial=t, state=task.start(t, inputs, "cpu")) for t in reversed(trials)]
    told: dict[str, list[Step]] = {trial.id: [] for trial in trials}
    while members:
        results = task.advance(members, inputs, "cpu")
        assert len(results) == len(members)
        going = []
        for member, result in zip(members, results, strict=True):
            assert not isinstance(result, Exception), result
            told[member.trial.id].append(result[1])
            if not result[1].done:
                going.append(Member(trial=member.trial, state=result[0]))
        members = going
    for trial, expected in zip(trials, alone, strict=True):
        assert len(told[trial.id]) == len(expected)
        for step, straight in zip(told[trial.id], expected, strict=True):
            tolerance = TOLERANCE.get(task.name, 0.0)
            assert step.metrics == pytest.approx(straight.metrics, rel=tolerance, abs=tolerance)


def test_a_broken_member_fails_alone(
    task: Task, trials: list[Trial], inputs: Inputs, alone: list[list[Step]]
) -> None:
    good = Member(trial=trials[0], state=task.start(trials[0], inputs, "cpu"))
    bad = Member(trial=trials[1], state=task.start(trials[1], inputs, "cpu"))
    floats = {k: v for k, v in bad.state.arrays.items() if "float" in str(v.dtype)}
    bad.state.arrays.update({name: value * math.nan for name, value in floats.items()})
    if not floats:
        bad.state.arrays.clear()
    first, second = task.advance([bad, good], inputs, "cpu")
    assert isinstance(first, Exception)
    assert not isinstance(second, Exception), second
    assert second[1].metrics == pytest.approx(alone[0][0].metrics, rel=1e-4, abs=1e-4)
