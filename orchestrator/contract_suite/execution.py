"""Checks that run the example trials: alone, again, from checkpoints, and in packs."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from orchestrator.contract_suite.subject import DEVICE, TOLERANCE, Subject, ViolationError
from orchestrator.execution.stages import compute
from orchestrator.planning.metric_params import reports_metric
from orchestrator.planning.plan import distinct_stages
from orchestrator.planning.suggestions import suggest
from orchestrator.saving.checkpoints import decode, encode
from orchestrator.saving.final_weights import chosen_weights, encode_weights
from results.statistics.aggregation import MEAN, aggregation
from results.text import size_text
from tasks.contract import Member, PerSampleMetric, State, Step, Trial


def stages_repeat(subject: Subject) -> str | None:
    """A stage gives the same value when computed again. Checks one stage of each function."""
    stages = distinct_stages(subject.task, subject.trials)
    for stage in {stage.function: stage for stage in stages}.values():
        before = subject.inputs[stage]
        after = compute(stage, [subject.inputs[need] for need in stage.needs], DEVICE)
        if not _same(before, after):
            raise ViolationError(f"the stage {stage.label} gave another value the second time")
    return None if stages else "the task has no stages"


def _same(one: Any, two: Any) -> bool:
    if isinstance(one, Mapping):
        return one.keys() == two.keys() and all(
            np.array_equal(np.asarray(one[name]), np.asarray(two[name]), equal_nan=False)
            for name in one
        )
    return bool(one.equals(two))  # an Arrow table


def ends(subject: Subject) -> str:
    """Each trial finishes, with finite metrics, and the main metric in the last step."""
    main = subject.task.metric.name
    for steps in subject.alone:
        if main not in steps[-1].metrics:
            near = suggest(main, sorted(steps[-1].metrics))
            raise ViolationError(f"final step {steps[-1].at} does not report {main!r}; {near}")
    counts = sorted({len(steps) for steps in subject.alone})
    return f"{len(subject.trials)} trials of {' or '.join(map(str, counts))} steps"


def columns(subject: Subject) -> None:
    """For each column, a trial reports the metric, unless no trial sets what it needs."""
    reported = {name for steps in subject.alone for step in steps for name in step.metrics}
    for column in subject.task.columns:
        is_metric = column.key.startswith("metric.") and any(
            reports_metric(subject.task, trial, column.key[7:]) for trial in subject.trials
        )
        if is_metric and column.key[7:] not in reported:
            raise ViolationError(
                f"no step reports the metric of the column {column.key!r}; "
                + suggest(column.key[7:], sorted(reported))
            )


def samples(subject: Subject) -> str | None:
    """The samples of the last step give the metrics that ``per_sample`` names."""
    with_samples = 0
    for trial, steps in zip(subject.trials, subject.alone, strict=True):
        last = steps[-1]
        if last.samples is None:
            if subject.task.per_sample:
                raise ViolationError("per_sample is declared, but the last step has no samples")
            continue
        with_samples += 1
        for declared in subject.task.per_sample:
            if reports_metric(subject.task, trial, declared.metric):
                _check_per_sample(declared, last)
        for name in subject.task.shown_samples:
            if name not in last.samples:
                raise ViolationError(
                    f"shown_samples names {name!r}; " + suggest(name, list(last.samples))
                )
    return None if with_samples else "the task reports no samples"


def _check_per_sample(declared: PerSampleMetric, step: Step) -> None:
    table = step.samples or {}
    for name in (declared.unit, declared.value, *declared.where):
        if name not in table:
            raise ViolationError(
                f"per_sample {declared.metric!r} reads the column {name!r} of samples; "
                + suggest(name, list(table))
            )
    kept = np.ones(len(table[declared.value]), dtype=bool)
    for name, wanted in declared.where.items():
        kept &= np.asarray(table[name]) == wanted
    chosen = [value for value, keep in zip(table[declared.value], kept, strict=True) if keep]
    values = np.asarray(chosen, dtype=float)
    units = np.asarray(table[declared.unit])[kept].tolist()
    if not units:
        raise ViolationError(
            f"no sample has {dict(declared.where)}, which per_sample {declared.metric!r} selects"
        )
    if len(set(units)) < len(units):
        raise ViolationError(
            f"the samples of {declared.metric!r} contain a value of {declared.unit!r} twice"
        )
    if declared.aggregate != MEAN:
        ours = float(aggregation(declared.aggregate)(values.sum(0)))
    else:
        scores = values if declared.at_most is None else values <= declared.at_most
        ours = float(scores.mean())
    if declared.metric not in step.metrics:
        raise ViolationError(
            f"the last step has samples of {declared.metric!r}, but no such metric"
        )
    if not _close(ours, step.metrics[declared.metric], 1e-6):
        raise ViolationError(
            f"the samples give {declared.metric} = {ours:.6g}, but the step reports "
            f"{step.metrics[declared.metric]:.6g}"
        )


def _close(one: float, two: float, tolerance: float) -> bool:
    return math.isclose(one, two, rel_tol=tolerance, abs_tol=tolerance)


def _compare(
    what: str, trial: Trial, steps: Sequence[Step], others: Sequence[Step], tolerance: float
) -> None:
    """Check that ``others`` equal ``steps``, those of the trial run alone without a stop."""
    for one, two in zip(steps, others, strict=False):
        if one.at != two.at or one.metrics.keys() != two.metrics.keys():
            raise ViolationError(
                f"{what}, the trial {trial.id} reports {sorted(two.metrics)} at {two.at}, "
                f"instead of {sorted(one.metrics)} at {one.at}"
            )
        for name, value in one.metrics.items():
            if not _close(value, two.metrics[name], tolerance):
                raise ViolationError(
                    f"{what}, {name} of the trial {trial.id} is {two.metrics[name]:.9g} at step "
                    f"{one.at}, instead of {value:.9g}"
                )
    if len(steps) != len(others):
        raise ViolationError(
            f"{what}, the trial {trial.id} has {len(others)} steps instead of {len(steps)}"
        )


def weights(subject: Subject) -> str | None:
    """The weights of a finished trial can be written to a file."""
    sizes = []
    for trial, state in zip(subject.trials, subject.last_states, strict=True):
        try:
            arrays = chosen_weights(subject.task, trial, state)
            blob = encode_weights(trial, arrays, state.values) if arrays else b""
        except Exception as error:
            raise ViolationError(
                f"the weights of trial {trial.id} cannot be kept: {error}"
            ) from error
        sizes.append(len(blob))
    if not any(sizes):
        return "the task has no weights"
    return f"up to {size_text(max(sizes))} per trial"


def repeats(subject: Subject) -> None:
    """A trial gives the same numbers when it runs again."""
    trial = subject.trials[0]
    again = [step for _, step in subject.run(trial)]
    _compare("run again", trial, subject.alone[0], again, 0.0)


def leaves_state(subject: Subject) -> None:
    """A step does not change its input state, because a pack may have to repeat the step."""
    trial = subject.trials[0]
    state = subject.start(trial)
    before = encode(copy.deepcopy(state), [])
    subject.step(trial, state)
    if encode(state, []) != before:
        raise ViolationError("advance changed the arrays or values of its input state")


def resumes(subject: Subject) -> None:
    """A trial that is saved and loaded before each step gives the same numbers."""
    for trial, expected in zip(subject.trials, subject.alone, strict=True):
        state = subject.start(trial)
        steps: list[Step] = []
        for expected_step in expected:
            state, _ = decode(encode(state, []), DEVICE)
            state, step = subject.step(trial, state)
            steps.append(step)
            if step.samples != expected_step.samples:
                raise ViolationError(
                    f"resumed, the trial {trial.id} has other samples at step {step.at}"
                )
        _compare("resumed before each step", trial, expected, steps, 0.0)


def _pack_members(subject: Subject) -> list[int]:
    """Return the indices of the trials that may run in one pack with the first."""
    keys = [subject.task.pack_key(trial) for trial in subject.trials]
    return [index for index, key in enumerate(keys) if key == keys[0]]


def packed(subject: Subject) -> str | None:
    """The members of a pack give the same numbers as each trial alone."""
    indices = _pack_members(subject)
    if len(indices) < 2:
        return "no two example trials have the same pack_key"
    trials = [subject.trials[index] for index in indices]
    members = [Member(trial=t, state=subject.start(t)) for t in reversed(trials)]
    reported: dict[str, list[Step]] = {trial.id: [] for trial in trials}
    while members:
        unfinished = []
        for member, result in zip(members, subject.advance(members), strict=True):
            if isinstance(result, Exception):
                raise result
            reported[member.trial.id].append(result[1])
            if not result[1].done:
                unfinished.append(Member(trial=member.trial, state=result[0]))
        members = unfinished
    for index, trial in zip(indices, trials, strict=True):
        expected = subject.alone[index]
        _compare("in a pack", trial, expected, reported[trial.id], subject.tolerance)
    return None


def _advance(subject: Subject, members: list[Member]) -> list[tuple[State, Step] | Exception]:
    """Run one step; if the whole pack fails, of each member alone, as the engines do."""
    try:
        return subject.advance(members)
    except Exception as error:
        if len(members) == 1:
            return [error]
        return [result for member in members for result in _advance(subject, [member])]


def fails_alone(subject: Subject) -> str | None:
    """A member with damaged arrays fails, and the other member does not."""
    indices = _pack_members(subject)
    if len(indices) < 2:
        return "no two example trials have the same pack_key"
    trials = [subject.trials[index] for index in indices[:2]]
    good, bad = (Member(trial=trial, state=subject.start(trial)) for trial in trials)
    floats = {k: v for k, v in bad.state.arrays.items() if "float" in str(v.dtype)}
    bad.state.arrays.update({name: value * math.nan for name, value in floats.items()})
    if not floats:
        bad.state.arrays.clear()
    first, second = _advance(subject, [bad, good])
    if not isinstance(first, Exception) and all(map(math.isfinite, first[1].metrics.values())):
        raise ViolationError(
            "a member with NaN in its state reported finite metrics: "
            + ", ".join(f"{name}={value:.4g}" for name, value in first[1].metrics.items())
        )
    if isinstance(second, Exception):
        raise ViolationError(
            f"an undamaged member failed in a pack with a damaged one: {type(second).__name__}: "
            f"{second}"
        )
    _compare(
        "in a pack with a damaged member",
        trials[0],
        subject.alone[0][:1],
        [second[1]],
        TOLERANCE,
    )
    return None
