"""The trials of a sweep as columns: what the terminal and the page show of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from results.storage.manifest import Manifest
from results.tables.cell_text import format_plain, format_value, heading
from results.text import plural

_NOT_OVER = {"stopped": "pruned", "interrupted": "interrupted"}


@dataclass(frozen=True, kw_only=True)
class TrialColumn:
    """One column: a value and a cell for each trial."""

    key: str  # the column of ``trials``, such as param.lr
    heading: str
    values: Sequence[Any]
    cells: Sequence[str]

    @property
    def is_param(self) -> bool:
        """Whether it is a parameter, the model or the data."""
        return self.key.startswith("param.") or self.key in ("model", "data")


def trial_columns(
    rows: Sequence[Mapping[str, Any]], manifest: Manifest, digits: int
) -> list[TrialColumn]:
    """Id, the parameters that differ, seed if it differs, status, main metric and seconds.

    Args:
        rows: of ``trials``.
        manifest: of their sweep.
        digits: of a trial's id.
    """
    main = manifest.main_column
    columns = [id_column(rows, digits), *_params(rows, manifest)]
    seeds = [row["seed"] for row in rows]
    if len(set(seeds)) > 1:
        columns.append(
            TrialColumn(key="seed", heading="seed", values=seeds, cells=list(map(str, seeds)))
        )
    values = [row.get(main.key) for row in rows]
    columns.append(
        TrialColumn(
            key="status",
            heading="status",
            values=[row["status"] for row in rows],
            cells=[trial_status(row) for row in rows],
        )
    )
    columns.append(
        TrialColumn(
            key=main.key,
            heading=heading(main),
            values=values,
            cells=[format_value(value, main.format) for value in values],
        )
    )
    seconds = [row["seconds"] for row in rows]
    cells = ["-" if value is None else f"{value:.1f}" for value in seconds]
    columns.append(TrialColumn(key="seconds", heading="s", values=seconds, cells=cells))
    return columns


def id_column(rows: Sequence[Mapping[str, Any]], digits: int) -> TrialColumn:
    """Return the column of ids, which are cut to ``digits``."""
    ids = [str(row["trial_id"]) for row in rows]
    cells = [each[:digits] for each in ids]
    return TrialColumn(key="trial_id", heading="trial", values=ids, cells=cells)


def _params(rows: Sequence[Mapping[str, Any]], manifest: Manifest) -> list[TrialColumn]:
    known = manifest.columns_by_key
    keys = [key for key in known if key.startswith("param.")]
    keys += [f"param.{name}" for name in manifest.params if f"param.{name}" not in known]
    columns = []
    for source in ("model", "data"):
        if len({row[f"{source}_fingerprint"] for row in rows}) > 1:
            columns.append(_param(source, source, [row[source] for row in rows]))
    for key in keys:
        values = [row.get(key) for row in rows]
        if len({repr(value) for value in values}) > 1:
            label = known[key].label if key in known else key.removeprefix("param.")
            columns.append(_param(key, label, values))
    return columns


def _param(key: str, label: str, values: Sequence[Any]) -> TrialColumn:
    cells = [format_plain(value) for value in values]
    return TrialColumn(key=key, heading=label, values=values, cells=cells)


def trial_notes(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the seed that all trials have, and how many were reused from other sweeps."""
    reused = Counter(row["reused_from"] for row in rows if row["reused_from"])
    is_one_seed = len({row["seed"] for row in rows}) == 1 < len(rows)
    return [
        *([f"Every trial has seed {rows[0]['seed']}."] if is_one_seed else []),
        *(
            f"{plural(number, 'trial')} {'is' if number == 1 else 'are'} reused from {origin}."
            for origin, number in reused.items()
        ),
    ]


def trial_status(row: Mapping[str, Any]) -> str:
    """One word: ``finished``, ``reused`` (and finished), ``pruned@1``, ``failed``."""
    status = str(row["status"])
    if status in _NOT_OVER:
        return f"{_NOT_OVER[status]}@{row['num_steps'] or 0}"
    return "reused" if status == "finished" and row["reused_from"] else status
