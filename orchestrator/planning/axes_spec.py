"""Reads axes from YAML or Python values, in our format or that of a W&B sweep.

lr: {min: 1e-5, max: 1e-2, distribution: log_uniform_values}
head: {values: [linear, mlp]}
epochs: 3                                        one value
temperature: [0.1, 0.7]                          short for {values: [0.1, 0.7]}
top_k: {values: [10, 50], conditions: {decoding: sample}}
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator.planning.axes import Axes, Axis, Range
from orchestrator.planning.settings import check_range
from orchestrator.planning.space_checks import shown
from orchestrator.planning.suggestions import suggest
from search_spaces.space import Scalar
from tasks.contract import RequestError

#: The keys of a parameter. ``q`` is W&B's name for ``step``.
KEYS = ("values", "value", "min", "max", "distribution", "log", "step", "q", "conditions")
DISTRIBUTIONS = (
    *("constant", "categorical", "uniform", "int_uniform", "q_uniform"),
    *("log_uniform_values", "log_uniform"),
)

Kinds = Mapping[str, tuple[type, bool]]


def read_axes(
    parameters: Mapping[str, Any], kinds: Kinds, zipped: Sequence[Sequence[str]] = ()
) -> Axes:
    """Read the axes of parameters. ``kinds`` are the types of the task's parameters by name.

    Raises:
        RequestError: if a parameter is not a list, range or value.
    """
    values: dict[str, Axis] = {}
    conditions: dict[str, Mapping[str, tuple[Scalar, ...]]] = {}
    for name, spec in parameters.items():
        axis, needed = read_axis(str(name), spec)
        if isinstance(axis, Range) and name in kinds:
            check_range(name, axis, kinds[name][0])
        values[str(name)] = axis
        if needed:
            conditions[str(name)] = needed
    if not values:
        raise RequestError("the space has no parameters; add one with a list or a range")
    return Axes(values=values, zipped=tuple(map(tuple, zipped)), conditions=conditions)


def read_axis(name: str, spec: Any) -> tuple[Axis, Mapping[str, tuple[Scalar, ...]]]:
    """Return a parameter's axis, and the conditions under which it varies."""
    if hasattr(spec, "tolist"):
        spec = spec.tolist()
    if isinstance(spec, (list, tuple)):
        return tuple(v.item() if hasattr(v, "item") else v for v in spec), {}
    if not isinstance(spec, Mapping):
        return (spec,), {}
    for key in spec:
        if key not in KEYS:
            hint = "parameters cannot be nested" if key == "parameters" else ""
            raise RequestError(
                f"{name} has the unknown key {shown(key)}; {hint or suggest(key, KEYS)}"
            )
    distribution = spec.get("distribution")
    if distribution is not None and distribution not in DISTRIBUTIONS:
        raise RequestError(
            f"{name} has the unknown distribution {shown(distribution)}; "
            f"available: {', '.join(DISTRIBUTIONS)}"
        )
    return _values(name, spec), _conditions(spec.get("conditions", {}), name)


def _values(name: str, spec: Mapping[str, Any]) -> Axis:
    kinds = [key for key in ("values", "value", "min") if key in spec]
    if len(kinds) != 1:
        raise RequestError(
            f"{name} must have either values, value, or min and max, but has {', '.join(spec)}"
        )
    if "values" in spec:
        if not isinstance(spec["values"], (list, tuple)):
            raise RequestError(f"values of {name} must be a list, but is {shown(spec['values'])}")
        return tuple(spec["values"])
    return (spec["value"],) if "value" in spec else _range(name, spec)


def _range(name: str, spec: Mapping[str, Any]) -> Range:
    for key in ("min", "max"):
        value = spec.get(key)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise RequestError(f"{key} of {name} must be a number, but is {shown(value)}")
    low, high, kind = spec["min"], spec["max"], spec.get("distribution", "")
    if kind == "log_uniform":  # W&B gives the exponents of e
        low, high = math.exp(low), math.exp(high)
    step = spec.get("step", spec.get("q"))
    log = bool(spec.get("log")) or kind.startswith("log_uniform")
    is_whole = kind == "int_uniform" or (
        not kind and isinstance(low, int) and isinstance(high, int)
    )
    if is_whole and not log and step is None:
        step = 1
    try:
        return Range(low=low, high=high, log=log, step=step)
    except RequestError as error:
        raise RequestError(f"{name}: {error}") from None


def _conditions(spec: Any, name: str) -> Mapping[str, tuple[Scalar, ...]]:
    if not isinstance(spec, Mapping):
        raise RequestError(
            f"conditions of {name} must map parameters to values, but is {shown(spec)}"
        )
    return {n: tuple(v) if isinstance(v, (list, tuple)) else (v,) for n, v in spec.items()}


def to_spec(axes: Axes) -> dict[str, Any]:
    """Return the parameters as plain values. ``read_axes`` converts them back."""
    found: dict[str, Any] = {}
    for name, axis in axes.values.items():
        if isinstance(axis, tuple):
            spec: dict[str, Any] = {"values": list(axis)}
        else:
            spec = {"min": axis.low, "max": axis.high, "log": axis.log, "step": axis.step}
            spec = {key: value for key, value in spec.items() if value not in (False, None)}
        if name in axes.conditions:
            spec["conditions"] = {n: list(v) for n, v in axes.conditions[name].items()}
        found[name] = spec
    return found
