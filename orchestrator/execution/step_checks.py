"""Checks the values that a task's ``start`` and ``advance`` return."""

from __future__ import annotations

import dataclasses
import difflib
import math
from collections.abc import Collection, Mapping, Sequence
from numbers import Integral
from typing import Any

from orchestrator.planning.space_checks import shown
from results.storage.schema import FIXED
from tasks.contract import Advanced, Column, Member, State, Step, TrialError


def check_results(results: Any, members: Sequence[Member]) -> Sequence[Advanced | Exception]:
    """Check that ``advance`` returned one result per member.

    Raises:
        TrialError: if it did not.
    """
    if not isinstance(results, (list, tuple)) or len(results) != len(members):
        got = f"{len(results)}" if isinstance(results, (list, tuple)) else shown(results)
        raise TrialError(
            f"advance must return a list with one (State, Step) or Exception for each of the "
            f"{len(members)} members, but returned {got}"
        )
    return results


def check_state(state: object) -> State:
    """Check that ``start`` returned a State.

    Raises:
        TrialError: if it did not.
    """
    if not isinstance(state, State):
        raise TrialError(f"start must return a State, but returned {shown(state)}")
    return state


def check_advanced(result: object, last: int | None, end: int | None = None) -> Advanced:
    """Check one result of ``advance``, and convert its metrics to Python numbers.

    Args:
        result: the result.
        last: ``Step.at`` of the previous step, None for the first step.
        end: ``Step.at`` of the trial's last step, None if the task does not define it.

    Raises:
        TrialError: if the result is invalid.
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
        raise TrialError(f"Step.at must be an integer, but got {shown(step.at)}")
    if end is not None and int(step.at) > end:
        raise TrialError(
            f"Step.at is {step.at}, but num_steps says that the last step is {end}; return "
            "done=True with the last step"
        )
    if last is not None and step.at <= last and not (step.done and step.at == last):
        raise TrialError(
            f"Step.at must increase from step to step, but it is {step.at} after {last}; "
            "keep a counter in State.values and increase it in advance"
        )
    metrics = _plain_metrics(step)
    _check_samples(step.samples)
    at = int(step.at)
    if metrics is not step.metrics or not isinstance(step.at, int):
        step = dataclasses.replace(step, at=at, metrics=metrics)
    return state, step


def _plain_metrics(step: Step) -> Mapping[str, float]:
    """Return the metrics as Python numbers, so that workers send no tensors to the driver."""
    if not isinstance(step.metrics, Mapping):
        raise TrialError(
            f"Step.metrics must be a dict of name to number, but got {shown(step.metrics)}"
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
                f"the metric {name!r} must be a number, but is {shown(value)} at step {step.at}"
            ) from None
    return plain


def _check_samples(samples: Any) -> None:
    if samples is None:
        return
    if not isinstance(samples, Mapping):
        raise TrialError(f"Step.samples must be a dict of columns, but got {shown(samples)}")
    try:
        lengths = {name: len(column) for name, column in samples.items()}
    except TypeError:
        raise TrialError(
            f"each column of Step.samples must be a list, but got {shown(samples)}"
        ) from None
    if len(set(lengths.values())) > 1:
        raise TrialError(
            f"columns of Step.samples must have equal lengths, but got {shown(lengths)}"
        )


def misspelled_columns(
    columns: Sequence[Column], reported: set[str], optional: Collection[str] = ()
) -> list[str]:
    """Return a warning for each column whose metric is missing while a similar one is reported.

    A missing metric alone is no error: the data set may lack a split, for example. There is no
    warning for ``optional`` metrics, which need a parameter.
    """
    named = {column.key[7:] for column in columns if column.key.startswith("metric.")}
    lines = []
    for name in sorted(named - reported - set(optional)):
        near = difflib.get_close_matches(name, sorted(reported - named), n=1, cutoff=0.5)
        if near:
            lines.append(
                f"warning: the column metric.{name} is empty, because the task reports {near[0]!r} "
                f"instead of {name!r}; fix the key in the task's columns"
            )
    return lines


def step_error(step: Step, metric: str) -> str:
    """Return why a valid step fails its trial, empty if it does not.

    Args:
        step: the step.
        metric: the task's main metric, which the last step must have.
    """
    for name, value in step.metrics.items():
        if not math.isfinite(value):
            return f"{name} is {value} at step {step.at}"
    if step.done and metric not in step.metrics:
        return f"the final step {step.at} did not report {metric}"
    reserved = sorted(FIXED["samples"].keys() & (step.samples or {}).keys())
    if reserved:
        return f"the samples have a column with the reserved name {reserved[0]!r}; rename it"
    return ""
