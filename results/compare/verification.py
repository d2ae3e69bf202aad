"""Check whether a trial that ran again has the recorded numbers.

On other hardware, or in another order, sums differ in their last digits, which may flip near-ties
between two tokens or two ranks. A flipped sample differs completely. If only a few samples flip,
the trial still agrees, and the flips are counted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from results.compare.cells import samples_by_trial
from results.compare.differing import origin
from results.compare.values import Differences
from results.storage.reading import Sweep
from results.tables.details import DetailTable
from results.text import plural

MAX_FLIPPED = 0.02  # fraction of a trial's samples; metrics may then differ by as much


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialVerdict:
    """The verdict on one trial that ran again."""

    trial_id: str
    seed: int
    agrees: bool
    text: str  # the verdict in words
    differences: Sequence[Sequence[str]] = ()  # (what, recorded, now)


def verify_trials(recorded: Sweep, again: Sweep, tolerance: float) -> list[TrialVerdict]:
    """Compare every trial of ``again`` with the recorded one, and return verdicts in order."""
    rows = {row["trial_id"]: row for row in recorded.rows()}
    samples = samples_by_trial(recorded), samples_by_trial(again)
    return [
        _verdict(
            rows[row["trial_id"]],
            row,
            (samples[0].get(row["trial_id"]), samples[1].get(row["trial_id"])),
            tolerance,
        )
        for row in again.rows()
    ]


def _verdict(
    recorded: Mapping[str, Any], now: Mapping[str, Any], samples: tuple[Any, Any], tolerance: float
) -> TrialVerdict:
    found = Differences(tolerance=tolerance)
    names = [k for k in dict.fromkeys([*recorded, *now]) if k.startswith(("metric.", "best."))]
    for name in ("status", *names):
        found.compare("", name, recorded.get(name), now.get(name))
    numbers, metrics = found.num_cells - 1, list(found.found)
    lengths = [0 if each is None else each.num_rows for each in samples]
    flipped = 0
    if lengths[0] != lengths[1]:
        found.add("", "samples", *(plural(length, "row") for length in lengths))
    elif lengths[0]:
        flipped = _compare_samples(found, *samples)
    is_near = all(each.gap <= tolerance + MAX_FLIPPED for each in metrics)
    few = lengths[0] == lengths[1] and 0 < flipped <= MAX_FLIPPED * lengths[0]
    agrees = not found.found or (few and is_near)
    flips = f"{flipped:,} of {plural(lengths[0], 'sample')} flipped" if flipped else ""
    if now["status"] != "finished":
        text = f"{now['status']}: {now.get('reason') or 'no reason is known'}"
    elif not agrees:
        text = f"differs; {flips}" if flips else "differs"
    elif flips:
        text = f"agrees, but {flips}"
    else:
        close = found.num_close
        text = f"agrees: {plural(numbers, 'metric')} and {plural(lengths[0], 'sample')}, "
        text += f"{plural(close, 'value')} within the tolerance" if close else "all equal"
    return TrialVerdict(
        trial_id=now["trial_id"],
        seed=now["seed"],
        agrees=agrees,
        text=text,
        differences=[(each.what, each.first, each.second) for each in found.largest_first()],
    )


def _compare_samples(found: Differences, ours: pa.Table, theirs: pa.Table) -> int:
    """Compare all columns but pictures; return the number of samples that differ in any column."""
    flipped = np.zeros(ours.num_rows, dtype=bool)
    for name in [n for n in ours.column_names if n in theirs.column_names]:
        if pa.types.is_binary(ours[name].type):
            continue
        found.compare_columns("", f"samples: {name}", ours[name], theirs[name])
        each = Differences(tolerance=found.tolerance)
        pairs = zip(ours[name].to_pylist(), theirs[name].to_pylist(), strict=True)
        for index, (one, other) in enumerate(pairs):
            before = len(each.found)
            each.compare("", name, one, other)
            flipped[index] |= len(each.found) > before
    return int(flipped.sum())


def verdict_table(verdicts: Sequence[TrialVerdict], tolerance: float, num_all: int) -> DetailTable:
    """Return a table of the verdicts."""
    agreeing = sum(each.agrees for each in verdicts)
    total = len(verdicts)
    count = "all agree" if agreeing == total else f"{total - agreeing} of {total} differ"
    count = ("it agrees" if agreeing else "it differs") if total == 1 else count
    return DetailTable(
        title=f"{total:,} of {plural(num_all, 'finished trial')} ran again: {count}",
        headings=["trial", "seed", "what"],
        rows=[[each.trial_id[:8], str(each.seed), each.text] for each in verdicts],
        caption=[
            f"Numbers agree within {tolerance:g}, absolute or relative. Up to {MAX_FLIPPED:.0%} of "
            "a trial's samples may flip at near-ties; its metrics may then differ by as much."
        ],
    )


def difference_table(verdicts: Sequence[TrialVerdict]) -> DetailTable:
    """Return a table of the differences in the trials that do not agree."""
    rows = [
        [f"{each.trial_id[:8]} {difference[0]}", *difference[1:]]
        for each in verdicts
        if not each.agrees
        for difference in each.differences
    ]
    headings = ["what", "recorded", "now"]
    return DetailTable(title="What differs", headings=headings, rows=rows, caption=[])


def environment_table(recorded: Sweep, again: Sweep) -> DetailTable:
    """Return a table of versions, commit, engine and hardware that differ from the record."""
    then, now = origin(recorded), origin(again)
    names = [
        name for name in dict.fromkeys((*then, *now)) if name not in ("seeds", "model", "data")
    ]
    rows = [
        [name, then.get(name, "-"), now.get(name, "-")]
        for name in names
        if then.get(name, "-") != now.get(name, "-")
    ]
    return DetailTable(
        title="The environment: " + ("what differs" if rows else "no difference is recorded"),
        headings=["what", "recorded", "now"],
        rows=rows,
        caption=[],
    )
