"""Parses ``--set NAME=VALUE``, where VALUE is a value, a list or a range."""

from __future__ import annotations

import re
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.planning.axes import Axis, Range, parse_range, split_list, unquote
from orchestrator.planning.params import make_params, param_types, unknown_parameter
from orchestrator.planning.space_checks import shown
from search_spaces.space import Scalar
from tasks.contract import RequestError, Task


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """The values of ``--set`` by parameter: fixed values, and lists and ranges that vary."""

    fixed: Mapping[str, Scalar]
    axes: Mapping[str, Axis]


NO_SETTINGS = Settings(fixed={}, axes={})


def parse_settings(task: Task, settings: Sequence[str] | Mapping[str, Any]) -> Settings:
    """Parse the values, lists and ranges of ``--set`` by the types of the task's parameters.

    Raises:
        RequestError: if a parameter does not exist, a value has a wrong type, or a parameter is
            set twice.
    """
    if isinstance(settings, Mapping):
        several = {n: tuple(v) for n, v in settings.items() if isinstance(v, (list, tuple))}
        params = make_params(task, {n: v for n, v in settings.items() if n not in several})
        fixed = {name: getattr(params, name) for name in settings if name not in several}
        return Settings(fixed=fixed, axes=several)
    kinds = param_types(task.Params)
    parsed: dict[str, Scalar | Axis] = {}
    for setting in settings:
        name, equals, text = setting.partition("=")
        name = name.strip()
        if not equals:
            fix = f"; write --set {name}=VALUE" if name in kinds else ""
            raise RequestError(f"--set takes name=value, but got {shown(setting)}{fix}")
        if name not in kinds:
            raise unknown_parameter(task, name)
        value = parse_axis(name, text, *kinds[name])
        if name in parsed and parsed[name] != value:
            raise RequestError(
                f"--set {name} is given twice, as {_text(parsed[name])} and {_text(value)}; remove "
                f"one of them{_joined(parsed[name], value, name)}"
            )
        parsed[name] = value
    axes: dict[str, Axis] = {n: v for n, v in parsed.items() if isinstance(v, (tuple, Range))}
    fixed = {n: v for n, v in parsed.items() if not isinstance(v, (tuple, Range))}
    return Settings(fixed=fixed, axes=axes)


def parse_fixed(task: Task, settings: Sequence[str]) -> Mapping[str, Scalar]:
    """Parse ``--set`` where lists and ranges are not allowed.

    Raises:
        RequestError: in the same cases as ``parse_settings``, and for a list or a range.
    """
    found = parse_settings(task, settings)
    for name, axis in found.axes.items():
        raise RequestError(f"--set {name} takes one value here, but got {_text(axis)}")
    return found.fixed


def _joined(before: Scalar | Axis, now: Scalar | Axis, name: str) -> str:
    if isinstance(before, Range) or isinstance(now, Range):
        return ""
    values = [v for each in (before, now) for v in (each if isinstance(each, tuple) else (each,))]
    return f", or try each with --set {name}={','.join(map(_text, dict.fromkeys(values)))}"


def _text(value: Scalar | Axis) -> str:
    if isinstance(value, tuple):
        return ",".join(map(_text, value))
    return str(value) if isinstance(value, Range) else shown(value)


def parse_axis(name: str, text: str, kind: type, optional: bool) -> Scalar | Axis:
    """Return the text after ``--set name=`` as a value, a tuple of values, or a range."""
    if kind is not str:
        _check_one_name(name, text)
    parts = split_list(text)
    if parts is not None:
        return tuple(parse_value(name, unquote(part), kind, optional) for part in parts)
    found = parse_range(text) if kind in (int, float) else None
    if found is None:
        return parse_value(
            name, unquote(text.strip()) if kind is not str else unquote(text), kind, optional
        )
    check_range(name, found, kind)
    return found


def check_range(name: str, axis: Range, kind: type) -> None:
    """Check that a range fits the type of its parameter.

    Raises:
        RequestError: if the parameter is not a number, or is an integer and the range is not.
    """
    if kind not in (int, float):
        raise RequestError(
            f"{name} is not a number, so it cannot have the range {axis}; list its values"
        )
    ends = (axis.low, axis.high, axis.step or 1)
    if kind is int and not all(float(end).is_integer() for end in ends):
        raise RequestError(f"{name} is an integer, but its range is {axis}; use integers")


def _check_one_name(name: str, text: str) -> None:
    several = re.split(r"[,;\s]+(?=\w+=)", f"{name}={text.strip()}")
    if len(several) > 1:
        settings = " ".join(f"--set {each}" for each in several)
        raise RequestError(f"--set takes one name=value; repeat it for several: {settings}")


def parse_value(name: str, text: str, kind: type, optional: bool) -> Scalar:
    """Return the text of one value as a value of its type."""
    if optional and text.lower() in ("none", "null", ""):
        return None
    if kind is bool:
        if text.lower() in ("true", "false", "yes", "no"):
            return text.lower() in ("true", "yes")  # accepts yes, because tables print it
        raise RequestError(f"--set {name} takes true or false, but got {shown(text)}")
    try:
        return typing.cast(Scalar, kind(text))
    except ValueError:
        takes = {int: "an integer", float: "a number"}.get(kind, kind.__name__)
        none = " or none" if optional else ""
        hint = "; separate values with commas" if len(text.split()) > 1 else ""
        raise RequestError(
            f"--set {name} takes {takes}{none}, but got {shown(text)}{hint}"
        ) from None
