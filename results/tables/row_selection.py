"""Rows and columns of a table to show: ``--where``, ``--sort``, ``--columns``, ``--limit``."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from results.tables.conditions import find_column, parse_condition
from tasks.contract import RequestError

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class RowSelection:
    """The options as the user gave them. They change what is shown, never what is tested."""

    where: str | None = None
    sort: str | None = None  # names separated by commas; -NAME for descending order
    columns: str | None = None  # names separated by commas
    limit: int | None = None

    def __post_init__(self) -> None:
        if self.limit is not None and self.limit < 1:
            raise RequestError(f"--limit must be at least 1, but is {self.limit}")

    @property
    def is_empty(self) -> bool:
        """Whether no option was given."""
        return self == EVERYTHING

    def rows(
        self, rows: Sequence[T], names: Collection[str], values: Callable[[T], Mapping[str, Any]]
    ) -> list[T]:
        """Return the rows to show, in their order.

        Args:
            rows: all rows.
            names: the columns that ``where`` and ``sort`` may name.
            values: the values of a row by column.

        Raises:
            RequestError: if an option names no column, or ``where`` is no condition.
        """
        found = list(rows)
        if self.where is not None:
            holds = parse_condition(self.where, names)
            found = [row for row in found if holds(values(row))]
        for name, descending in reversed(self._keys(names)):
            found = sort_rows(found, lambda row, key=name: values(row).get(key), descending)  # type: ignore[misc]
        return found[: self.limit]

    def column_names(self, names: Collection[str]) -> list[str] | None:
        """Return the columns to show; None for the default.

        Raises:
            RequestError: if one does not exist.
        """
        if self.columns is None:
            return None
        found = [find_column(name, names, "--columns") for name in _split(self.columns)]
        if not found:
            raise RequestError("--columns takes names separated by commas, such as lr,metric.r1")
        return list(dict.fromkeys(found))

    def _keys(self, names: Collection[str]) -> list[tuple[str, bool]]:
        keys = _split(self.sort or "")
        return [
            (find_column(key.removeprefix("-"), names, "--sort"), key.startswith("-"))
            for key in keys
        ]


#: No option given: all rows, in their own order.
EVERYTHING = RowSelection()


def _split(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def sort_rows(rows: Sequence[T], key: Callable[[T], Any], descending: bool) -> list[T]:
    """Return the rows by the value of ``key``, in a stable order; rows without a value last."""
    known = [row for row in rows if not _is_missing(key(row))]
    missing = [row for row in rows if _is_missing(key(row))]
    return [*sorted(known, key=lambda row: sort_key(key(row)), reverse=descending), *missing]


def sort_key(value: Any) -> tuple[int, float, str]:
    """Return a key that sorts numbers by size, and everything else after them as text."""
    if isinstance(value, (int, float)) and not _is_missing(value):
        return 0, value, ""
    return 1, 0, str(value)


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))
