"""Images with attributes, and the conditions that the attributes form.

A condition is a combination of one value per attribute. Its code has a base-36 digit for the value
of each attribute: ``"011"``.

N images, A attributes, E numbers of an encoded condition
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

Array = np.ndarray[Any, Any]
MAX_VALUES = 36  # of an attribute


class AttributeImages(Protocol):
    """Images with the values of their attributes."""

    @property
    def images(self) -> Array:
        """uint8 [N, 28, 28, 3]."""

    @property
    def digits(self) -> Array:
        """int64 [N, A]."""

    @property
    def encoded(self) -> Array:
        """float32 [N, E], the inputs of the network."""

    def of(self, condition: str) -> Array:
        """Return the images of one condition."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Conditions:
    """The conditions of a data set."""

    seen: tuple[str, ...]  # codes of those that train the generator
    unseen: tuple[str, ...]
    names: Mapping[str, str]  # by code, in metrics and tables: "red_circle"
    descriptions: Mapping[str, str]  # by code, in words: "red circle"
    encoded: Mapping[str, tuple[float, ...]]  # by code, as requested when sampling
    sizes: tuple[int, ...]  # length of the part of an encoded condition, for each attribute

    @property
    def codes(self) -> tuple[str, ...]:
        """All conditions, seen ones first."""
        return (*self.seen, *self.unseen)

    def groups(self) -> dict[str, tuple[str, ...]]:
        """Return the codes of the groups ``seen`` and ``unseen``."""
        return {"seen": self.seen, "unseen": self.unseen}


def to_digits(condition: str) -> Array:
    """Return the digits of a condition: [0, 1, 1] for ``"011"``."""
    return np.array([int(digit, MAX_VALUES) for digit in condition])


def to_code(digits: Sequence[int]) -> str:
    """Return the condition with these digits: ``"011"`` for [0, 1, 1]."""
    return "".join("0123456789abcdefghijklmnopqrstuvwxyz"[digit] for digit in digits)


def one_hot(condition: str, sizes: Sequence[int]) -> tuple[float, ...]:
    """Encode a condition with one number per value of each attribute: one 1, the others 0."""
    digits = to_digits(condition).tolist()
    return tuple(
        float(value == digit)
        for digit, size in zip(digits, sizes, strict=True)
        for value in range(size)
    )
