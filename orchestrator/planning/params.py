"""Makes a task's ``Params`` from values, and checks their names and types."""

from __future__ import annotations

import dataclasses
import functools
import math
import types
import typing
from collections.abc import Mapping
from typing import Any

from orchestrator.planning.discovery import task_names
from orchestrator.planning.space_checks import check_storable, shown
from orchestrator.planning.suggestions import suggest_parameter
from search_spaces.space import Scalar
from tasks.contract import RequestError, Task


def param_types(params: type) -> dict[str, tuple[type, bool]]:
    """Return each field's plain type, and whether None is allowed."""
    return dict(_param_types(params))


@functools.lru_cache(maxsize=64)  # evaluating the annotations takes a millisecond
def _param_types(params: type) -> Mapping[str, tuple[type, bool]]:
    hints = typing.get_type_hints(params)
    return {f.name: _plain_type(hints[f.name]) for f in dataclasses.fields(params)}


@functools.lru_cache(maxsize=64)
def _param_choices(params: type) -> Mapping[str, tuple[Scalar, ...]]:
    """Return the values that each parameter allows; empty if it is not a ``Literal``."""
    hints = typing.get_type_hints(params)
    return {f.name: _choices(hints[f.name]) for f in dataclasses.fields(params)}


def _plain_type(hint: Any) -> tuple[type, bool]:
    if typing.get_origin(hint) is typing.Literal:
        return type(typing.get_args(hint)[0]), False
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        kinds = [_plain_type(arg) for arg in typing.get_args(hint) if arg is not type(None)]
        plain = {kind for kind, _ in kinds}
        return (float if plain == {int, float} else kinds[0][0]), type(None) in typing.get_args(
            hint
        )
    return hint, False


def unknown_parameter(task: Task, name: object) -> RequestError:
    """Return an error about a parameter that the task does not have."""
    known = sorted(param_types(task.Params))
    hint = suggest_parameter(task.name if task.name in task_names() else None, str(name), known)
    return RequestError(f"{task.name} has no parameter {shown(name)}; {hint}")


def make_params(task: Task, values: Mapping[str, Scalar]) -> Any:
    """Return the task's validated ``Params``.

    Raises:
        RequestError: if a name or a value is wrong.
    """
    kinds = param_types(task.Params)
    for name in values:
        if name not in kinds:
            raise unknown_parameter(task, name)
    ready: dict[str, Scalar] = {}
    for name, value in values.items():
        kind, optional = kinds[name]
        if kind is float and isinstance(value, int) and not isinstance(value, bool):
            # 1 and 1.0 are the same configuration and must have the same id.
            value = float(value) if abs(value) < 2**1000 else math.inf
        if not (isinstance(value, kind) or (optional and value is None)) or (
            kind is not bool and isinstance(value, bool)
        ):
            raise RequestError(f"{name} must be {kind.__name__}, but got {shown(value)}")
        check_storable(name, value)
        ready[name] = value
    try:
        params = task.Params(**ready)
    except (ValueError, TypeError) as error:
        raise RequestError(f"{task.name}: {error}") from error
    _check_choices(task.Params, ready)
    return params


def _check_choices(params: type, values: Mapping[str, Scalar]) -> None:
    """Check values of parameters that are a ``Literal``, which a dataclass does not enforce.

    Raises:
        RequestError: if a value is not one of the literal's.
    """
    allowed = _param_choices(params)
    for name, value in values.items():
        choices = allowed[name]
        if choices and value not in choices:
            listed = ", ".join(map(shown, choices[:-1]))
            raise RequestError(
                f"{name} must be {f'{listed} or ' if listed else ''}{shown(choices[-1])}, but got "
                f"{shown(value)}"
            )


def _choices(hint: Any) -> tuple[Scalar, ...]:
    """Return the values that a type allows; empty if it is not a ``Literal``."""
    if typing.get_origin(hint) is typing.Literal:
        return typing.get_args(hint)
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        parts = [
            (None,) if each is type(None) else _choices(each) for each in typing.get_args(hint)
        ]
        return tuple(value for part in parts for value in part) if all(parts) else ()
    return ()
