"""Checks the values of spaces and settings: types, ranges and the number of trials."""

from __future__ import annotations

import math
import re
import reprlib
from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator.planning.suggestions import suggest
from results.text import plural
from search_spaces.space import Row, Scalar, Table
from tasks.contract import Column, RequestError

# The keys that results/tables/details.py reads.
_NUMBER = re.compile(r"(metric|step\.\d+|first\.\d*\.?\d+)\.\w+")
MAX_TRIALS = 100_000  # per sweep; planning more would take minutes


def check_tables(value: Any, name: str) -> tuple[Table, ...]:
    """Check the types of a REPORT and return it as a tuple.

    Raises:
        RequestError: at the first value of another type.
    """
    if not isinstance(value, (list, tuple)) or not all(isinstance(t, Table) for t in value):
        raise RequestError(
            f"REPORT of the space {name!r} must be a tuple of Table, but is {shown(value)}"
        )
    for table in value:
        rows = table.rows
        if not isinstance(rows, (list, tuple)) or not all(isinstance(row, Row) for row in rows):
            raise RequestError(
                f"rows of the table {table.title!r} must be a tuple of Row, but are {shown(rows)}"
            )
        for row in rows:
            if not isinstance(row.params, Mapping):
                raise RequestError(
                    f"params of a row of {table.title!r} must be a dict, but are "
                    f"{shown(row.params)}"
                )
            for numbers in (row.report, row.published):
                _check_numbers(numbers, table.title)
    if not any(table.rows for table in value):
        raise RequestError(f"the space {name!r} has no rows; add rows to its tables")
    return tuple(value)


def _check_numbers(numbers: Any, title: Any) -> None:
    plain = isinstance(numbers, Mapping) and all(
        isinstance(key, str) and isinstance(number, (int, float)) and math.isfinite(number)
        for key, number in numbers.items()
    )
    if not plain or not isinstance(title, str):
        raise RequestError(
            f"numbers of a row of {title!r} must be a dict of names to numbers, "
            f"but are {shown(numbers)}"
        )
    for key in numbers:
        if not _NUMBER.fullmatch(key):
            raise RequestError(
                f"a number of a row of {title!r} must be named metric.<name>, step.<at>.<name> or "
                f"first.<level>.<name>, but is named {key!r}"
            )


def check_published_numbers(tables: Sequence[Table], columns: Sequence[Column]) -> None:
    """Check that published numbers name metrics of the task, and that percentages are shares.

    Raises:
        RequestError: at the first number that does not.
    """
    known = {c.key.removeprefix("metric."): c for c in columns if c.key.startswith("metric.")}
    for table in tables:
        for key, number in [
            each
            for row in table.rows
            for part in (row.report, row.published)
            for each in part.items()
        ]:
            name = key.rpartition(".")[2]
            if key.startswith("metric.") and name not in known:
                near = suggest(name, sorted(known))
                raise RequestError(
                    f"{table.title!r} has a number of the unknown metric {name!r}; {near}"
                )
            is_share = name in known and known[name].format == "percent"
            if is_share and not key.startswith("first.") and not 0 <= number <= 1:
                raise RequestError(
                    f"{key} of a row of {table.title!r} must be from 0 to 1, but is {number:g}; "
                    f"write {number / 100:g}"
                )


def check_seeds(seeds: int | Sequence[int]) -> Sequence[int]:
    """Return the seeds: 0, 1, ... for a number, otherwise those of the list.

    Raises:
        RequestError: if a listed seed is negative, too large or listed twice.
    """
    if isinstance(seeds, int):
        return range(max(seeds, 0))
    wrong = [seed for seed in seeds if not 0 <= seed < 2**31 or seeds.count(seed) > 1]
    if wrong:
        raise RequestError(
            "--seeds takes distinct integers from 0 to 2^31 - 1, but got "
            + (f"{wrong[0]} twice" if seeds.count(wrong[0]) > 1 else f"{wrong[0]}")
        )
    return seeds


def check_num_trials(configurations: int, seeds: int) -> None:
    """Refuse a sweep of more than ``MAX_TRIALS`` trials.

    Raises:
        RequestError: with the number of trials.
    """
    if configurations * seeds > MAX_TRIALS:
        raise RequestError(
            f"{plural(configurations, 'configuration')} x {plural(seeds, 'seed')} are "
            f"{configurations * seeds:,} trials, but a sweep has at most {MAX_TRIALS:,}; use a "
            "smaller space, or --space search"
        )


def shown(value: object) -> str:
    """Return a short representation of a value for an error message."""
    try:
        return (
            reprlib.repr(value) if isinstance(value, (str, list, tuple, dict)) else repr(value)[:80]
        )
    except Exception:  # from __repr__ of a user's class
        return f"a {type(value).__name__}"


def check_storable(name: str, value: Scalar) -> None:
    """Refuse a value that cannot be stored in a table or hashed into an id."""
    if isinstance(value, float) and not math.isfinite(value):
        raise RequestError(f"{name} must be finite, but got {value}")
    if isinstance(value, int) and abs(value) >= 2**63:
        raise RequestError(f"{name} must fit into 64 bits, but got {shown(value)}")
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            raise RequestError(f"{name} must be UTF-8 text, but got {shown(value)}") from None
