"""Values of tables as JSON values."""

from __future__ import annotations

import base64
import dataclasses
import datetime
import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any


def to_json_value(value: Any) -> Any:
    """Return a value as JSON has it.

    What is not finite is null, a time is text in ISO 8601 (in UTC, where its zone is known), bytes
    are base64, a dataclass is an object, and a value of another type is its text.
    """
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): to_json_value(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_json_value(each) for each in value]
    if isinstance(value, datetime.datetime):
        return (value if value.tzinfo is None else value.astimezone(datetime.UTC)).isoformat()
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = dataclasses.fields(value)
        return {field.name: to_json_value(getattr(value, field.name)) for field in fields}
    return str(value)
