"""Content ids: equal values have equal ids in every process."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping


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
