"""A stand-in for jaxtyping on a machine without it: shapes say nothing and check nothing."""

from __future__ import annotations

from typing import Any


class _Shape:
    def __class_getitem__(cls, item: Any) -> Any:
        return Any


Bool = Float = Float64 = Int = Int64 = UInt8 = _Shape
