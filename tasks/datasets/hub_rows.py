"""The rows of a data set of the Hub: in Arrow files on this machine, or streamed."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from tasks.datasets.hub_columns import Columns


class TextRow(NamedTuple):
    """What a row has besides its image."""

    number: int
    values: Mapping[str, Any]  # by column


class Rows(Protocol):
    """The rows of each split."""

    def texts(self, split: str) -> Iterator[TextRow]:
        """Yield the rows of a split without their images."""

    def image(self, split: str, number: int) -> Mapping[str, Any] | None:
        """Return ``bytes`` and ``path`` of a row's image; one of them is None."""


class TableRows:
    """Rows in Arrow files, which are mapped into memory."""

    def __init__(self, tables: Mapping[str, Any], columns: Columns, limit: int | None) -> None:
        from datasets import Image

        self._columns = columns
        self._tables = {
            split: table if limit is None else table.select(range(min(limit, len(table))))
            for split, table in tables.items()
        }
        self._images = {
            split: table.select_columns([columns.image]).cast_column(
                columns.image, Image(decode=False)
            )
            for split, table in self._tables.items()
        }

    def files(self) -> list[Path]:
        """Return the Arrow files."""
        found = {file["filename"] for t in self._tables.values() for file in t.cache_files}
        return sorted(map(Path, found))

    def texts(self, split: str) -> Iterator[TextRow]:
        """Yield the rows of a split without their images."""
        columns = self._columns.texts
        table = self._tables[split].select_columns(columns).with_format("arrow")[:]
        values = [table.column(column).to_pylist() for column in columns]
        for number, row in enumerate(zip(*values, strict=True)):
            yield TextRow(number, dict(zip(columns, row, strict=True)))

    def image(self, split: str, number: int) -> Mapping[str, Any] | None:
        """Return ``bytes`` and ``path`` of a row's image; one of them is None."""
        found: Mapping[str, Any] | None = self._images[split][number][self._columns.image]
        return found


class StreamedRows:
    """Rows that are read from the Hub in order.

    Reading the row after the last one is fast. Any other row starts the stream again from there.
    """

    def __init__(
        self,
        tables: Mapping[str, Any],
        texts: Mapping[str, Any],
        columns: Columns,
        limit: int | None,
    ) -> None:
        from datasets import Image

        self._columns, self._limit = columns, limit
        self._texts = texts
        self._images = {
            split: table.select_columns([columns.image]).cast_column(
                columns.image, Image(decode=False)
            )
            for split, table in tables.items()
        }
        self._lock = threading.Lock()
        self._at: tuple[str, int] | None = None  # the split and row that the stream returns next
        self._stream: list[Any] = []  # the generator, if there is one
        # A stream that the end of the process closes prints errors of modules that have gone.
        weakref.finalize(self, _close, self._stream)

    def texts(self, split: str) -> Iterator[TextRow]:
        """Yield the rows of a split without their images."""
        table = self._texts[split].select_columns(self._columns.texts)
        rows = table if self._limit is None else table.take(self._limit)
        for number, row in enumerate(rows):
            yield TextRow(number, row)

    def image(self, split: str, number: int) -> Mapping[str, Any] | None:
        """Return ``bytes`` and ``path`` of a row's image; one of them is None."""
        with self._lock:
            if self._at != (split, number):
                _close(self._stream)
                self._stream.append(iter(self._images[split].skip(number)))
            self._at = None  # a stream that fails is started again
            found: Mapping[str, Any] | None = next(self._stream[0])[self._columns.image]
            self._at = (split, number + 1)
            return found


def _close(stream: list[Any]) -> None:
    while stream:
        stream.pop().close()
