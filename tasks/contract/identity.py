"""Content ids: equal values have equal ids in every process."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Collection, Mapping
from typing import Any


def content_id(value: object, length: int = 16) -> str:
    """Return the first ``length`` hex digits of the SHA-256 of ``value`` as canonical JSON.

    A dataclass is hashed by its fields, or by the result of its method ``content()`` if it has one.

    Examples:
        >>> content_id({"lr": 0.1, "epochs": 3}) == content_id({"epochs": 3, "lr": 0.1})
        True

    Raises:
        TypeError: if ``value`` contains anything but plain values and dataclasses.
    """
    text = json.dumps(_plain(value), sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:length]


def content_of(params: Any, added: Collection[str]) -> dict[str, Any]:
    """Return the part of a trial's parameters that its id hashes, for ``content()``.

    The fields in ``added`` did not exist in the first release. They are left out at their
    defaults, so that trials keep their ids.
    """
    return {
        field.name: getattr(params, field.name)
        for field in dataclasses.fields(params)
        if field.name not in added or getattr(params, field.name) != field.default
    }


def _plain(value: object) -> object:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        content = getattr(value, "content", None)
        if callable(content):
            return _plain(content())
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    raise TypeError(f"content_id takes plain values and dataclasses, but got {value!r}")
