"""Convert dataclasses to JSON values and back, with checks of every value's type.

A field's type may be a dataclass, ``tuple[X, ...]``, ``Mapping[str, X]``, ``Literal``, a union of
these, ``str``, ``int``, ``float``, ``bool``, ``None`` or ``Any``. Unknown keys are ignored. Missing
or null keys get the field's default, if there is one.
"""

from __future__ import annotations

import dataclasses
import functools
import types
from collections.abc import Mapping
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")

_WORDS: Mapping[Any, str] = {
    str: "a string",
    int: "an integer",
    float: "a number",
    bool: "true or false",
    types.NoneType: "null",
    tuple: "a list",
    Mapping: "an object",
}
_MAX_SHOWN = 40  # characters of an invalid value in an error message


class JsonTypeError(ValueError):
    """A value is missing or has the wrong type. The message names the key."""


def decode(kind: type[T], value: Any) -> T:
    """Convert a JSON object to the dataclass ``kind``.

    Raises:
        JsonTypeError: if a key is missing or has the wrong type; the message names the first one.
    """
    if not isinstance(value, dict):
        raise JsonTypeError("it is not a JSON object")
    found: T = _decode_object(kind, value, "")
    return found


def encode(value: Any) -> Any:
    """Convert a value of dataclasses, tuples and mappings to plain JSON values."""
    if dataclasses.is_dataclass(value):
        names = (each.name for each in dataclasses.fields(value))
        return {name: encode(getattr(value, name)) for name in names}
    if isinstance(value, Mapping):
        return {key: encode(each) for key, each in value.items()}
    if isinstance(value, (tuple, list)):
        return [encode(each) for each in value]
    return value


@functools.cache
def _fields(kind: Any) -> list[tuple[str, Any, bool]]:
    """Return (name, type, whether it has a default) of each field of a dataclass."""
    hints, missing = get_type_hints(kind), dataclasses.MISSING
    return [
        (each.name, hints[each.name], (each.default, each.default_factory) != (missing, missing))
        for each in dataclasses.fields(kind)
        if each.init
    ]


def _decode(kind: Any, value: Any, where: str) -> Any:
    origin, args = get_origin(kind), get_args(kind)
    if kind is Any:
        return value
    if origin in (Union, types.UnionType):
        return _decode(_choose(args, value), value, where)
    if origin is tuple and isinstance(value, list):
        return tuple(_decode(args[0], each, f"{where}[{n}]") for n, each in enumerate(value))
    if origin is Mapping and isinstance(value, dict):
        return {key: _decode(args[1], each, f"{where}.{key}") for key, each in value.items()}
    if _is_dataclass(kind) and isinstance(value, dict):
        return _decode_object(kind, value, where)
    if not _is_a(kind, value):
        shown = repr(value)
        shown = shown if len(shown) <= _MAX_SHOWN else f"{shown[:_MAX_SHOWN]}..."
        raise JsonTypeError(f"its {where!r} must be {_describe(kind)}, but is {shown}")
    return value


def _choose(kinds: tuple[Any, ...], value: Any) -> Any:
    """Return the type of a union that a value has; the first one if none fits."""
    if isinstance(value, dict):
        for kind in kinds:
            if _is_dataclass(kind) and all(
                has_default or name in value for name, _, has_default in _fields(kind)
            ):
                return kind
    return next((kind for kind in kinds if _is_a(get_origin(kind) or kind, value)), kinds[0])


def _decode_object(kind: Any, value: dict[str, Any], where: str) -> Any:
    found = {}
    for name, hint, has_default in _fields(kind):
        path = f"{where}.{name}" if where else name
        if name not in value and not has_default:
            raise JsonTypeError(f"its {path!r} is missing")
        if name in value and not (value[name] is None and has_default):
            found[name] = _decode(hint, value[name], path)
    return kind(**found)


def _is_dataclass(kind: Any) -> bool:
    return dataclasses.is_dataclass(kind)


def _is_a(kind: Any, value: Any) -> bool:
    """Return whether a JSON value has this type, without checking its items."""
    if get_origin(kind) is Literal:
        return isinstance(value, str) and value in get_args(kind)
    if kind in (tuple, Mapping):
        return isinstance(value, list if kind is tuple else dict)
    if kind in (int, float):
        return not isinstance(value, bool) and isinstance(value, (int, kind))
    return kind in _WORDS and isinstance(value, kind)


def _describe(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return f"one of {', '.join(map(str, get_args(kind)))}"
    return _WORDS.get(get_origin(kind) or kind, "an object")
