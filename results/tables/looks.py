"""Record every look at a held-out split, such as test, in ``looks.json`` in the sweep's folder.

A look is recorded before anything is scored, so that interrupted looks count too.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from results.statistics import Estimate
from results.storage.atomic_write import atomic_write
from results.storage.reading import Sweep
from results.tables.cell_text import format_interval, format_value
from results.tables.details import DetailTable
from results.text import plural, plural_of
from tasks.contract import StoreError

FILE = "looks.json"


@dataclass(kw_only=True, slots=True)
class FinalRow:
    """The scores of the best configuration of a table, or of one tied with it, on both splits."""

    table: str  # the title of its table
    configuration: str
    mark: str  # best or tie
    trial_ids: list[str]
    chosen_on: str  # the split of the sweep
    val: float  # the main metric on that split, a mean over seeds
    test: float  # the main metric on the split of the look
    val_interval: tuple[float, float] | None
    test_interval: tuple[float, float] | None
    difference_interval: tuple[float, float] | None  # of val minus test
    metrics: dict[str, float] = field(default_factory=dict)  # all metrics on the split of the look


@dataclass(kw_only=True, slots=True)
class Look:
    """One look at a held-out split."""

    split: str
    began: str  # ISO 8601, in UTC
    ended: str | None = None  # None if it was interrupted
    command: list[str]
    trials: list[str]  # ids
    rows: list[FinalRow] = field(default_factory=list)


def read_looks(sweep: Sweep) -> list[Look]:
    """Read all looks, in order; empty if there is no file.

    Raises:
        StoreError: if the file is damaged.
    """
    path = f"{sweep.path}/{FILE}"
    try:
        text = sweep.read_file(FILE)
        if text is None:
            return []
        found = json.loads(text)
        return [
            Look(**{**look, "rows": [FinalRow(**row) for row in look["rows"]]})
            for look in found["looks"]
        ]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise StoreError(
            f"{path} cannot be read ({error}); restore this record of the looks at the test split, "
            "or move it away"
        ) from None


def write_looks(sweep: Sweep, looks: Sequence[Look]) -> None:
    """Write ``looks.json`` atomically."""
    text = json.dumps({"looks": [asdict(look) for look in looks]}, indent=1)
    atomic_write(sweep.filesystem, f"{sweep.path}/{FILE}", text.encode())


def began_text(look: Look) -> str:
    """Return the time of a look: ``2026-11-26 15:04 UTC``."""
    return f"{look.began[:16].replace('T', ' ')} UTC"


def describe_number(looks: Sequence[Look], number: int) -> str:
    """Say that a look is not the first one at its split; empty for the first one.

    Args:
        looks: all looks.
        number: the index of the look.
    """
    look = looks[number]
    before = [each for each in looks[:number] if each.split == look.split]
    if not before:
        return ""
    interrupted = "" if before[0].ended else ", which was interrupted"
    return (
        f"This is look {len(before) + 1} at the {look.split} split; the first was on "
        f"{began_text(before[0])}{interrupted}. Rows chosen after the first look are no longer "
        "independent of the split."
    )


def final_table(sweep: Sweep, looks: Sequence[Look]) -> DetailTable | None:
    """Return a table of the last complete look, with both splits; None if there is no look."""
    number = max((i for i, look in enumerate(looks) if look.rows), default=None)
    if number is None:
        return None
    look, manifest = looks[number], sweep.manifest
    column = manifest.main_column
    kind = column.format
    chosen_on = " or ".join(dict.fromkeys(row.chosen_on for row in look.rows))
    unit = " %" if kind == "percent" else ""
    caption = [_optimism(row, look.split, kind) for row in look.rows if row.mark == "best"]
    is_paired = manifest.paired_of(manifest.metric.name) is not None
    units = [f"The {plural_of(manifest.unit)} of the two splits are not paired. "] * is_paired
    caption.append(
        f"Chosen on {chosen_on}, scored on {look.split} on {began_text(look)}. {''.join(units)}The "
        "95 % intervals do not correct for choosing the best of several rows."
    )
    caption += _fewer_seeds(look, len(sweep.manifest.seeds))
    count = describe_number(looks, number)
    later = [each for each in looks[number + 1 :] if each.split == look.split]
    caption += [count] if count else []
    caption += [f"{plural(len(later), 'later look')} did not end."] if later else []
    headings = [
        *("configuration", chosen_on, f"{chosen_on} 95 %", look.split, f"{look.split} 95 %"),
        *(f"{chosen_on} - {look.split}", "95 %"),
    ]
    return DetailTable(
        title=f"The best on {look.split}: {manifest.metric.label}{unit}",
        headings=headings,
        rows=[_cells(row, kind) for row in look.rows],
        caption=caption,
        records=[_record(row, look) for row in look.rows],
    )


def _fewer_seeds(look: Look, num_seeds: int) -> list[str]:
    """Say that rows were scored before further seeds ran."""
    scored = max(len(row.trial_ids) for row in look.rows)
    if scored >= num_seeds:
        return []
    return [
        f"These are scores of {plural(scored, 'seed')}; the sweep has {num_seeds} now. Give "
        f"--final {look.split} again to score all of them."
    ]


def _cells(row: FinalRow, kind: str) -> list[str]:
    sign = "★ " if row.mark == "best" else "≈ "
    return [
        f"{sign}{row.configuration}",
        *(format_value(row.val, kind), _interval(row.val_interval, kind)),
        *(format_value(row.test, kind), _interval(row.test_interval, kind)),
        *(_signed(row.val - row.test, kind), _interval(row.difference_interval, kind)),
    ]


def _optimism(row: FinalRow, split: str, kind: str) -> str:
    bounds = _interval(row.difference_interval, kind)
    shown = f"{_signed(row.val - row.test, kind)}{f' {bounds}' if bounds else ''}"
    return f"Selection optimism of {row.configuration}: {shown} ({row.chosen_on} - {split})."


def _signed(value: float, kind: str) -> str:
    text = format_value(abs(value), kind)
    return f"{'-' if value < 0 else '+'}{text}"


def _interval(bounds: tuple[float, float] | None, kind: str) -> str:
    if bounds is None or not all(map(math.isfinite, bounds)):
        return ""
    return format_interval(Estimate(sum(bounds) / 2, *bounds), kind)


def _record(row: FinalRow, look: Look) -> dict[str, Any]:
    none = (None, None)
    record: dict[str, Any] = {
        "table": row.table,
        "configuration": row.configuration,
        "mark": row.mark,
        "trial_ids": " ".join(row.trial_ids),
        "split": look.split,
        "chosen_on": row.chosen_on,
        "chosen_value": row.val,
        "value": row.test,
        "difference": row.val - row.test,
    }
    parts: Mapping[str, tuple[float, float] | None] = {
        "chosen_interval": row.val_interval,
        "interval": row.test_interval,
        "difference": row.difference_interval,
    }
    for name, bounds in parts.items():
        record[f"{name}_low"], record[f"{name}_high"] = bounds or none
    return record | row.metrics
