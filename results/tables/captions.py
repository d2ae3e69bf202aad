"""Explain the numbers and signs of a summary table, in lines below the table."""

from __future__ import annotations

from collections.abc import Sequence

from results.statistics import BestComparison
from results.storage.manifest import Manifest
from results.tables.cell_text import label_signs
from results.tables.marks import scored_differently
from results.tables.row_selection import RowSelection
from results.tables.rows import SummaryRow
from results.text import listed, plural

#: The meanings of the marks next to the main metric, in the order of the caption.
MARKS = {"best": "★ best", "tie": "≈ not distinguishable from it"}

_CANCELLED = "cancelled: a user cancelled the trial; --retry-cancelled runs it."
_STATUSES = {  # the word before the @ of a status -> what it means
    "pruned": "pruned@N: stopped early after N steps; the numbers are those of its last step.",
    "interrupted": "interrupted@N: cut off after N steps; run the same command to resume.",
    "cancelled": _CANCELLED,
}
_FIRST_SEED = {  # the same for several seeds
    "pruned": "pruned@N: its first seed was stopped early after N steps; the numbers are those of "
    "that seed's last step.",
    "interrupted": "interrupted@N: its first unfinished seed was cut off after N steps, and the "
    "numbers are those of that step; run the same command to resume.",
    "cancelled": _CANCELLED,
}


def explain_hidden(number: int) -> list[str]:
    """Say how many rows are hidden, and how to show them."""
    if number == 0:
        return []
    if number == 1:
        return ["1 further configuration is not shown; --all shows it."]
    return [f"{number} further configurations are not shown; --all shows them."]


def explain_selection(selection: RowSelection, shown: int, total: int) -> list[str]:
    """How many rows are shown with --where and --limit, and what a test is over nevertheless."""
    if shown == total:
        return []
    given = [o for o in ("where", "limit") if getattr(selection, o) is not None]
    by = f" ({', '.join(f'--{option}' for option in given)})" if given else ""
    return [f"{shown:,} of {plural(total, 'configuration')} shown{by}."]


def explain(
    manifest: Manifest,
    rows: Sequence[SummaryRow],
    tested: BestComparison | None,
    hidden: Sequence[SummaryRow] = (),
) -> list[str]:
    """Name the model and the data, and explain numbers, marks, statuses and signs of shown rows."""
    seeds = len(manifest.seeds)
    sources = f"Model {manifest.model.name}, data {manifest.data.name}, "
    lines = [f"{'' if manifest.function else sources}{seeds} seed{'s' if seeds > 1 else ''}."]
    unit = manifest.unit
    units = f"{unit[:-1]}ies" if unit.endswith("y") else f"{unit}s"
    if any(row.estimate for row in rows):
        spread = (
            "mean ± deviation over seeds, " if any(r.deviation is not None for r in rows) else ""
        )
        numbers = {row.num_units for row in rows if row.estimate}
        counted = f"{max(numbers):,} {units}" if len(numbers) == 1 else units
        over = f"{counted}{' and seeds' if seeds > 1 else ''}" if any(numbers) else "seeds"
        lines.append(f"{spread}[95 % interval over {over}]")
    lines += explain_ids(rows)
    lines += _explain_marks(manifest, rows, tested, hidden, unit, units)
    words = {row.status.partition("@")[0] for row in rows}
    statuses = _STATUSES if seeds == 1 else _FIRST_SEED
    lines += [meaning for word, meaning in statuses.items() if word in words]
    lines += [f"{sign} {label}." for label, sign in label_signs(rows).items()]
    if any(row.on_front for row in rows):
        labels = {column.key: column.label for column in manifest.columns}
        names = [labels[f"metric.{name}"] for name in manifest.objectives]
        both = "both" if len(names) == 2 else "all of them"
        lines.append(f"◆ on the Pareto front of {listed(names)}: no other row is better in {both}.")
    return lines


def explain_ids(rows: Sequence[SummaryRow]) -> list[str]:
    """Explain ``3f2a9c01 +2``, if a row has several trials."""
    several = any(len(row.all_ids) > 1 for row in rows)
    return ["+N: the row has N more trials, one per seed."] if several else []


def _explain_marks(
    manifest: Manifest,
    rows: Sequence[SummaryRow],
    tested: BestComparison | None,
    hidden: Sequence[SummaryRow],
    unit: str,
    units: str,
) -> list[str]:
    differing = scored_differently([row for row in rows if row.num_seeds], manifest)
    if differing:
        return [
            f"The rows differ in {' and '.join(differing)}, which changes what is measured: no row "
            "is marked as best."
        ]
    if not any(row.mark == "best" for row in rows):
        return []
    if tested is None:
        needed = f"scores per {unit}{' or several seeds' if manifest.function else ''}"
        so_far = " so far" if all(row.status for row in rows if row.mark == "best") else ""
        return [
            f"★ best{so_far}; differences are not tested, because that needs {needed} of complete "
            "rows."
        ]
    ties = any(row.mark == "tie" for row in rows)
    beaten = any(row.p_value is not None and not row.mark for row in rows)
    some = ties or any(row.status or row.mark == "untested" for row in rows)
    others = "every other row shown" if hidden else "every other row"
    parts = [MARKS["best"], *([MARKS["tie"]] if ties else [])]
    if beaten:
        worse = "rows without a mark are" if some else f"{others} is"
        parts.append(f"{worse} significantly worse")
    scope = (
        f"paired by {unit}, over {units} and seeds"
        if tested.over_seeds
        else f"paired by {unit}, over {units} only: one seed says nothing about other seeds"
    )
    if not any(row.num_units for row in rows):
        scope = "paired by seed, over seeds"
    number = f"all {len(rows) + len(hidden)} configurations" if hidden else "the whole table"
    line = f"{'; '.join(parts)} (5 % error over {number}, {scope})."
    if any(row.status for row in rows):
        line += " Rows with a status are not tested."
    if any(row.mark == "untested" for row in rows):
        line += f" ? not tested: resampling the {units} never changes its score."
    return [line]
