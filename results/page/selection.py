"""Which trials a page shows, and in which order: read from and written to its address.

    ?status=finished&param.lr=1e-3&sort=-metric.i2t_r1&page=2

A filter is a column of ``trials`` and the text of its value as the tables print it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from results.tables.cell_text import format_plain
from results.tables.row_selection import sort_key, sort_rows
from results.tables.trials import TrialColumn

PAGE_ROWS = 200  # trials on a page
MAX_CHOICES = 50  # values of a column that a page offers to choose from
_FIXED = ("status", "seed", "model", "data")  # columns that can be filtered by, and parameters


@dataclass(frozen=True, kw_only=True)
class Selection:
    """The filters, the order and the page of a table of trials."""

    filters: Mapping[str, str] = field(default_factory=dict)  # column -> text of its value
    find: str = ""  # what ids, reasons and values must contain
    sort: str = ""  # a column; with - before it, the highest first
    page: int = 1  # from 1 on
    all_rows: bool = False  # whether the tables show every configuration

    @classmethod
    def from_query(cls, items: Iterable[tuple[str, str]]) -> Selection:
        """Return the selection of an address; what it does not know is ignored."""
        given = dict(items)
        page = given.get("page", "1")
        return cls(
            filters={
                key: value
                for key, value in given.items()
                if value and (key in _FIXED or key.startswith("param."))
            },
            find=given.get("find", "").strip(),
            sort=given.get("sort", ""),
            all_rows=given.get("rows") == "all",
            page=max(1, int(page)) if page.isascii() and page.isdigit() and len(page) < 10 else 1,
        )

    def query(self, **changes: Any) -> str:
        """Return the address of this selection with these fields changed, from its ? on."""
        changed = dataclasses.replace(self, **changes)
        items = dict(changed.filters)
        items |= {"find": changed.find} if changed.find else {}
        items |= {"sort": changed.sort} if changed.sort else {}
        items |= {"page": str(changed.page)} if changed.page > 1 else {}
        items |= {"rows": "all"} if changed.all_rows else {}
        return f"?{urlencode(items)}" if items else "?"

    @property
    def is_filtered(self) -> bool:
        """Whether trials are left out."""
        return bool(self.filters or self.find)

    def choose(self, rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        """Return the trials that pass the filters, in the chosen order; without one, in theirs."""
        chosen = [row for row in rows if self._passes(row)]
        key = self.sort.removeprefix("-")
        return sort_rows(chosen, lambda row: row.get(key), self.sort.startswith("-"))

    def _passes(self, row: Mapping[str, Any]) -> bool:
        if any(filter_text(row.get(key)) != value for key, value in self.filters.items()):
            return False
        return not self.find or self.find.lower() in _text(row)


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A filter that a page offers: a column and the texts of its values."""

    key: str
    label: str
    values: Sequence[str]


def choices(columns: Sequence[TrialColumn]) -> list[Choice]:
    """Return the filters of a sweep: its statuses, seeds and parameters that have a few values."""
    found = []
    for column in columns:
        if not (column.is_param or column.key in _FIXED):
            continue
        values = sorted({(sort_key(value), filter_text(value)) for value in column.values})
        if 2 <= len(values) <= MAX_CHOICES:
            texts = list(dict.fromkeys(text for _, text in values))
            found.append(Choice(key=column.key, label=column.heading, values=texts))
    return found


def filter_text(value: Any) -> str:
    """Return a value as an address has it: the text of its cell, without quotes."""
    return value if isinstance(value, str) and value else format_plain(value)


def _text(row: Mapping[str, Any]) -> str:
    shown = (
        format_plain(value)
        for key, value in row.items()
        if key.startswith("param.") or key in ("trial_id", "status", "reason", "model", "data")
    )
    return "\n".join(shown).lower()
