"""Which trials' weights a sweep keeps: decisions only. (``weight_keeper`` carries them out.)

While the sweep runs, the weights of all finished trials are candidates, because the table's marks
need every trial; only where they take too much room, the worst configurations' are deleted. When
the sweep is complete, the marks of its tables choose.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from results.storage.manifest import Manifest
from results.tables.rows import SummaryRow, SummaryTable
from tasks.contract import RequestError, Task

Keep = Literal["best", "none", "all"] | int  # a number: so many of the best configurations

DEFAULT_KEEP: Keep = "best"
MAX_BYTES = 4 * 2**30  # of all candidates together
MAX_CONFIGURATIONS = 256


def parse_keep(text: str) -> Keep:
    """The value of ``--keep``.

    Raises:
        RequestError: if it is none.
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
    """What to keep: as ``--keep`` says, else as in the sweep's earlier runs, else the default.

    Raises:
        RequestError: if ``given`` is no value of ``--keep``, or the task has no weights.
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
    """What a ``sweep.json`` says is kept; the default if there is none, or it does not say."""
    if manifest is None or manifest.keep is None:
        return DEFAULT_KEEP
    try:
        return parse_keep(str(manifest.keep))
    except RequestError:
        return DEFAULT_KEEP


# --- while the sweep runs -------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """A configuration some of whose trials finished."""

    key: str
    value: float  # the main metric, a mean over its finished seeds
    num_bytes: int  # of its weights in this sweep's folder
    state: Literal["whole", "unfinished", "broken"]
    # whole: all seeds finished, and have weights; broken: it can never be whole
    tables: frozenset[int] = frozenset({0})  # that it has a row in


def choose_deletions(
    candidates: Sequence[Candidate],
    *,
    maximize: bool,
    num_best: int,
    max_bytes: int,
    max_configurations: int,
) -> list[str]:
    """The keys of the configurations whose weights to delete so that the rest keeps both limits.

    Broken ones go first, then whole ones, then unfinished ones, and of each the worst first. The
    ``num_best`` best whole configurations of each table always stay, and so does the last one
    there is.
    """
    held = [each for each in candidates if each.num_bytes]
    room, number = max_bytes - sum(each.num_bytes for each in held), len(held)
    if room >= 0 and number <= max_configurations:
        return []

    def goodness(each: Candidate) -> float:
        return each.value if maximize else -each.value

    # Ties by the key, as in the tables that choose when the sweep is complete.
    whole = sorted((c for c in candidates if c.state == "whole"), key=lambda each: each.key)
    whole.sort(key=goodness, reverse=True)
    tables = frozenset[int]().union(*(each.tables for each in candidates))
    stay = {c.key for t in tables for c in [c for c in whole if t in c.tables][:num_best]}
    ranks = {"broken": 0, "whole": 1, "unfinished": 2}
    rest = [each for each in held if each.key not in stay]
    rest.sort(key=lambda each: each.key, reverse=True)
    rest.sort(key=lambda each: (ranks[each.state], goodness(each)))
    deletions = []
    for each in rest if stay else rest[:-1]:
        if room >= 0 and number <= max_configurations:
            break
        deletions.append(each.key)
        room, number = room + each.num_bytes, number - 1
    return deletions


# --- when it is complete --------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """What a complete sweep keeps, by trial id."""

    wanted: frozenset[str]  # that ``--keep`` asks for
    kept: frozenset[str]  # whose weights stay: the wanted ones, and the best that are whole


NOTHING = Choice(wanted=frozenset(), kept=frozenset())


def choose_kept(
    tables: Sequence[SummaryTable], keep: Keep, *, maximize: bool, available: Collection[str]
) -> Choice:
    """The trials whose weights stay.

    Args:
        tables: the sweep's summary tables with all their rows; each gets its own choice.
        keep: the value of ``--keep``.
        maximize: whether a larger main metric is better.
        available: the trials that have weights.

    If none of a table's chosen rows has the weights of all its seeds, its best row that has stays
    too, so that a sweep never loses its last whole configuration.
    """
    wanted: set[str] = set()
    kept: set[str] = set()
    for table in tables if keep != "none" else ():
        chosen = _chosen_rows(table, keep, maximize)
        wanted |= {trial_id for row in chosen for trial_id in row.trial_ids}
        if not any(_is_whole(row, available) for row in chosen):
            whole = [row for row in _ranked(table, maximize) if _is_whole(row, available)]
            kept |= {trial_id for row in whole[:1] for trial_id in row.trial_ids}
    return Choice(wanted=frozenset(wanted), kept=frozenset(kept | wanted))


def _chosen_rows(table: SummaryTable, keep: Keep, maximize: bool) -> list[SummaryRow]:
    if keep == "all":
        return table.rows
    if isinstance(keep, int):
        return _ranked(table, maximize)[:keep]
    return best_rows(table, maximize=maximize)


def best_rows(table: SummaryTable, *, maximize: bool) -> list[SummaryRow]:
    """The best row that finished every seed, and what the table marks as best or tied."""
    best = _ranked(table, maximize)[:1]
    return best + [row for row in table.rows if row.mark in ("best", "tie") and row not in best]


def _ranked(table: SummaryTable, maximize: bool) -> list[SummaryRow]:
    """The rows that finished every seed, the best first."""
    key = table.main.key
    rows = [row for row in table.rows if row.trial_ids and not row.status and key in row.metrics]
    return sorted(rows, key=lambda row: row.metrics[key], reverse=maximize)


def _is_whole(row: SummaryRow, available: Collection[str]) -> bool:
    return bool(row.trial_ids) and not row.status and set(row.trial_ids) <= set(available)
