"""Whether what a task's ``advance`` returned can be recorded; tasks are written by users."""

from __future__ import annotations

import dataclasses
import difflib
import math
from collections.abc import Mapping, Sequence
from numbers import Integral
from typing import Any

from orchestrator.planning.space_checks import shown
from results.storage.schema import FIXED
from tasks.contract import Advanced, Column, Member, State, Step, TrialError


def check_results(results: Any, members: Sequence[Member]) -> Sequence[Advanced | Exception]:
    """One result for each member, in order.

    Raises:
        TrialError: if that is not what ``advance`` returned.
    """
    if not isinstance(results, (list, tuple)) or len(results) != len(members):
        got = f"{len(results)}" if isinstance(results, (list, tuple)) else shown(results)
        raise TrialError(
            f"advance must return a list with one (State, Step) or Exception for each of the "
            f"{len(members)} members, but returned {got}"
        )
    return results


def check_state(state: object) -> State:
    """The first state of a trial.

    Raises:
        TrialError: if ``start`` returned something else.
    """
    if not isinstance(state, State):
        raise TrialError(f"start must return a State, but returned {shown(state)}")
    return state


def check_advanced(result: object, last: int | None, end: int | None = None) -> Advanced:
    """A state and a step that grows from the last one, its metrics as plain floats.

    ``end`` is where the trial's last step is, if the task says so.

    Raises:
        TrialError: naming what is wrong with it.
    """
    if not (
        isinstance(result, tuple)
        and len(result) == 2
        and isinstance(result[0], State)
        and isinstance(result[1], Step)
    ):
        raise TrialError(
            f"advance must return (State, Step) for each member, but returned {shown(result)}"
        )
    state, step = result
    if not isinstance(step.at, Integral) or isinstance(step.at, bool):
        raise TrialError(f"at of a step must be an integer, but is {shown(step.at)}")
    if end is not None and int(step.at) > end:
        raise TrialError(
            f"a step is at {step.at}, past the last one at {end} that num_steps gives; return "
            "done=True with the last step"
        )
    if last is not None and step.at <= last:
        raise TrialError(
            f"at must grow from step to step, but it is {step.at} after {last}; "
            "keep a counter in the state's values and add to it in advance"
        )
    metrics = _plain_metrics(step)
    _check_samples(step.samples)
    at = int(step.at)
    if metrics is not step.metrics or not isinstance(step.at, int):
        step = dataclasses.replace(step, at=at, metrics=metrics)
    return state, step


def _plain_metrics(step: Step) -> Mapping[str, float]:
    """Every metric as a Python number: a tensor would reach the driver as one."""
    if not isinstance(step.metrics, Mapping):
        raise TrialError(
            f"metrics of a step must be a dict of name to number, but are {shown(step.metrics)}"
        )
    if all(type(value) in (float, int) for value in step.metrics.values()):
        return step.metrics
    plain: dict[str, float] = {}
    for name, value in step.metrics.items():
        try:
            if isinstance(value, (str, bytes)):
                raise TypeError
            plain[name] = float(value)
        except (TypeError, ValueError, RuntimeError):
            raise TrialError(
                f"the metric {name!r} must be a number, but at step {step.at} it is {shown(value)}"
            ) from None
    return plain


def _check_samples(samples: Any) -> None:
    if samples is None:
        return
    if not isinstance(samples, Mapping):
        raise TrialError(f"samples must be a dict of columns, but are {shown(samples)}")
    try:
        lengths = {name: len(column) for name, column in samples.items()}
    except TypeError:
        raise TrialError(
            f"each column of samples must be a list, but got {shown(samples)}"
        ) from None
    if len(set(lengths.values())) > 1:
        raise TrialError(f"columns of samples must have equal lengths, but have {shown(lengths)}")


def misspelled(columns: Sequence[Column], reported: set[str]) -> list[str]:
    """A line for each column of a metric that was not reported, while one much like it was.

    A metric may be missing for good reason, such as a data set without a split; not if a metric
    with a similar name is reported that no column shows.
    """
    named = {column.key[7:] for column in columns if column.key.startswith("metric.")}
    lines = []
    for name in sorted(named - reported):
        near = difflib.get_close_matches(name, sorted(reported - named), n=1, cutoff=0.5)
        if near:
            lines.append(
                f"warning: the column metric.{name} stays empty, because the task reports "
                f"{near[0]!r} and no {name!r}; fix the key in its columns"
            )
    return lines


def unusable(step: Step, metric: str) -> str:
    """Why a step fails its trial, although it has the right form; empty if it does not.

    ``metric`` is the task's own, which the last step must have.
    """
    for name, value in step.metrics.items():
        if not math.isfinite(value):
            return f"{name} is {value} at step {step.at}"
    if step.done and metric not in step.metrics:
        return f"its last step, {step.at}, has no {metric}"
    taken = sorted(FIXED["samples"].keys() & (step.samples or {}).keys())
    if taken:
        return f"its samples have a column {taken[0]!r}, which is reserved: rename the column"
    return ""
