"""Checks a task's ``Params``: a frozen, keyword-only dataclass of plain values with defaults."""

from __future__ import annotations

import dataclasses
import inspect
import re
import types
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from orchestrator.planning.space_checks import shown

PLAIN = (str, int, float, bool)
DECORATOR = "@dataclass(frozen=True, kw_only=True, slots=True)"


def params_problems(params: object) -> list[str]:
    """Return all problems of a parameter class, each with its fix."""
    if not isinstance(params, type):
        return [f"Params must be a class, but is {shown(params)}; write Params = Params"]
    if not dataclasses.is_dataclass(params):
        return [f"Params is not a dataclass; put {DECORATOR} above it"]
    fields = dataclasses.fields(params)
    found = []
    if not params.__dataclass_params__.frozen:  # type: ignore[attr-defined]
        found.append(
            "Params is not frozen, so a trial could change after its id was computed; "
            f"put {DECORATOR} above it"
        )
    if not all(field.kw_only for field in fields):
        found.append(f"Params is not keyword-only; put {DECORATOR} above it")
    try:
        hints = get_type_hints(params)
    except Exception as error:  # a name that only a type checker imports
        return [
            *found,
            f"the types of Params cannot be read ({type(error).__name__}: {error}); "
            "import the names that they use outside of TYPE_CHECKING",
        ]
    for field in fields:
        found += _field_problems(field, hints[field.name])
    if not found:
        try:
            params()
        except Exception as error:
            found.append(
                f"Params() with its defaults raises {type(error).__name__}: {error}; "
                "choose defaults that its checks accept"
            )
    return found


def _field_problems(field: dataclasses.Field[Any], hint: Any) -> list[str]:
    kinds, values, optional = _kinds(hint)
    if not kinds or (len(kinds) > 1 and kinds != {int, float}):
        return [
            f"the parameter {field.name} has the type {_type_name(hint)}; use str, int, float, "
            "bool, a Literal of one of these, or one of them | None"
        ]
    default = field.default
    if default is dataclasses.MISSING:
        return [f"the parameter {field.name} has no default; give it a plain one, `= ...`"]
    if default is None and optional:
        return []
    allowed: tuple[type, ...] = tuple(kinds | ({int} if float in kinds else set()))
    fits = isinstance(default, allowed) and (bool in kinds or not isinstance(default, bool))
    if not fits or (values and default not in values):
        return [
            f"the default of the parameter {field.name} must be {_type_name(hint)}, "
            f"but is {shown(default)}"
        ]
    return []


def _kinds(hint: Any) -> tuple[set[type], tuple[Any, ...], bool]:
    """Return (plain types, Literal values, whether None is allowed); no types if not plain."""
    if hint in PLAIN:
        return {hint}, (), False
    if get_origin(hint) is Literal:
        values = tuple(value for value in get_args(hint) if value is not None)
        kinds = {type(value) for value in values}
        return (kinds if kinds <= set(PLAIN) else set()), values, None in get_args(hint)
    if get_origin(hint) in (Union, types.UnionType):
        parts = [_kinds(part) for part in get_args(hint) if part is not type(None)]
        if not parts or not all(part[0] for part in parts):
            return set(), (), False
        values = tuple(value for part in parts for value in part[1])
        united = set[type]().union(*(part[0] for part in parts))
        return united, values, type(None) in get_args(hint) or any(part[2] for part in parts)
    return set(), (), False


def _type_name(hint: Any) -> str:
    return hint.__name__ if isinstance(hint, type) else str(hint).replace("typing.", "")


def field_docs(params: type) -> dict[str, str]:
    """Return the docstring below each field of a dataclass; empty if its source is unavailable."""
    try:
        source = inspect.getsource(params)
    except (OSError, TypeError):
        return {}
    found = re.findall(r'^    (\w+): [^\n]*\n    """(.*?)"""', source, re.M | re.S)
    return {name: " ".join(text.split()) for name, text in found}
