"""Decides which weights a sweep keeps. ``weight_keeper`` deletes the others.

While the sweep runs, it keeps the weights of all finished trials, because the best and tied rows
are known only at the end. If they exceed a limit, those of the worst configurations are deleted.
When the sweep is complete, the marks in its tables decide.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from results.storage.manifest import Manifest
from results.tables.rows import SummaryRow, SummaryTable
from tasks.contract import RequestError, Task

Keep = Literal["best", "none", "all"] | int  # a number of best configurations

DEFAULT_KEEP: Keep = "best"
MAX_BYTES = 4 * 2**30  # of all weights while the sweep runs
MAX_CONFIGURATIONS = 256  # with weights while the sweep runs


def parse_keep(text: str) -> Keep:
    """Parse a value of ``--keep``.

    Raises:
        RequestError: if it is invalid.
    """
    word = text.strip()
    if word in ("best", "none", "all"):
        return word  # type: ignore[return-value]
    if word.isascii() and word.isdigit() and 0 < int(word) < 10**6:
        return int(word)
    raise RequestError(
        f"--keep takes best, none, all, or a number of configurations such as 3, but got {text!r}"
    )


def choose_keep(given: str | None, task: Task, manifest: Manifest | None) -> Keep:
    """Return what to keep: ``--keep`` if given, then the sweep's earlier setting, then the default.

    Raises:
        RequestError: if ``given`` is invalid, or if the task has no weights.
    """
    if given is not None:
        keep = parse_keep(given)
        if keep != "none" and not task.has_weights:
            raise RequestError(
                f"--keep {given} has no effect: {task.name} trains nothing, so it has no weights; "
                "remove it"
            )
        return keep
    return recorded_keep(manifest)


def recorded_keep(manifest: Manifest | None) -> Keep:
    """Return the setting recorded in ``sweep.json``, the default if there is none."""
    if manifest is None or manifest.keep is None:
        return DEFAULT_KEEP
    try:
        return parse_keep(str(manifest.keep))
    except RequestError:
        return DEFAULT_KEEP


# --- while the sweep runs -------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """A configuration with finished trials."""

    key: str
    value: float  # mean of the main metric over its finished seeds
    num_bytes: int  # of its weights in this sweep's folder
    # complete: all seeds finished and have weights; broken: can never be complete
    state: Literal["complete", "unfinished", "broken"]
    tables: frozenset[int] = frozenset({0})  # the tables in which it has a row


def choose_deletions(
    candidates: Sequence[Candidate],
    *,
    maximize: bool,
    num_best: int,
    max_bytes: int,
    max_configurations: int,
) -> list[str]:
    """Return the keys of the configurations whose weights to delete to satisfy both limits.

    Broken configurations are deleted first, then complete ones, then unfinished ones, the worst
    first within each group. The ``num_best`` best complete configurations of each table are always
    kept. If there are none, at least one configuration is kept.
    """
    held = [each for each in candidates if each.num_bytes]
    free_bytes, number = max_bytes - sum(each.num_bytes for each in held), len(held)
    if free_bytes >= 0 and number <= max_configurations:
        return []

    def goodness(each: Candidate) -> float:
        return each.value if maximize else -each.value

    # Ties are ordered by key, as in the tables that decide when the sweep is complete.
    complete = sorted((c for c in candidates if c.state == "complete"), key=lambda each: each.key)
    complete.sort(key=goodness, reverse=True)
    tables = frozenset[int]().union(*(each.tables for each in candidates))
    kept = {c.key for t in tables for c in [c for c in complete if t in c.tables][:num_best]}
    ranks = {"broken": 0, "complete": 1, "unfinished": 2}
    rest = [each for each in held if each.key not in kept]
    rest.sort(key=lambda each: each.key, reverse=True)
    rest.sort(key=lambda each: (ranks[each.state], goodness(each)))
    deletions = []
    for each in rest if kept else rest[:-1]:
        if free_bytes >= 0 and number <= max_configurations:
            break
        deletions.append(each.key)
        free_bytes, number = free_bytes + each.num_bytes, number - 1
    return deletions


# --- when the sweep is complete -------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """The ids of the trials whose weights a complete sweep keeps."""

    wanted: frozenset[str]  # according to ``--keep``
    kept: frozenset[str]  # the wanted ones and possibly others, see ``choose_kept``


NOTHING = Choice(wanted=frozenset(), kept=frozenset())


def choose_kept(
    tables: Sequence[SummaryTable], keep: Keep, *, maximize: bool, available: Collection[str]
) -> Choice:
    """Choose the trials whose weights are kept, separately for each table.

    If none of a table's chosen rows has the weights of all its seeds, the best row that has them is
    kept too, so that a sweep never loses its last complete configuration.

    Args:
        tables: the sweep's summary tables with all their rows.
        keep: the value of ``--keep``.
        maximize: whether a larger main metric is better.
        available: the ids of the trials that have weights.
    """
    wanted: set[str] = set()
    kept: set[str] = set()
    for table in tables if keep != "none" else ():
        chosen = _chosen_rows(table, keep, maximize)
        wanted |= {trial_id for row in chosen for trial_id in row.trial_ids}
        if not any(_is_complete(row, available) for row in chosen):
            complete = [row for row in _ranked(table, maximize) if _is_complete(row, available)]
            kept |= {trial_id for row in complete[:1] for trial_id in row.trial_ids}
    return Choice(wanted=frozenset(wanted), kept=frozenset(kept | wanted))


def _chosen_rows(table: SummaryTable, keep: Keep, maximize: bool) -> list[SummaryRow]:
    if keep == "all":
        return table.rows
    if isinstance(keep, int):
        return _ranked(table, maximize)[:keep]
    return best_rows(table, maximize=maximize)


def best_rows(table: SummaryTable, *, maximize: bool) -> list[SummaryRow]:
    """Return the best row that finished all seeds, and the rows marked as best or tied."""
    best = _ranked(table, maximize)[:1]
    return best + [row for row in table.rows if row.mark in ("best", "tie") and row not in best]


def _ranked(table: SummaryTable, maximize: bool) -> list[SummaryRow]:
    """Return the rows that finished all seeds, the best first."""
    key = table.main.key
    rows = [row for row in table.rows if row.trial_ids and not row.status and key in row.metrics]
    return sorted(rows, key=lambda row: row.metrics[key], reverse=maximize)


def _is_complete(row: SummaryRow, available: Collection[str]) -> bool:
    return bool(row.trial_ids) and not row.status and set(row.trial_ids) <= set(available)
