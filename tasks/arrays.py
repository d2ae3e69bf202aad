"""Select arrays by the beginnings of their names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

Array = TypeVar("Array")


def select(arrays: Mapping[str, Array], prefix: str) -> dict[str, Array]:
    """Return the arrays whose names start with a prefix, by the rest of their names.

    Examples:
        >>> select({"image.weight": 1, "text.weight": 2}, "image.")
        {'weight': 1}
    """
    return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}
