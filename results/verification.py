"""Whether a trial that ran again gave the recorded numbers.

Sums in another order, or on other hardware, differ in their last digits, and a near-tie between two
tokens or two ranks may then flip. A sample that flipped differs as a whole; as long as few samples
do, the trial agrees, and the flips are counted.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from results.compare_whole import origin
from results.details import DetailTable
from results.reading import Sweep
from results.trial_cells import compare_metrics, compare_samples, num_flipped, samples_by_trial
from results.words import plural

MAX_FLIPPED = 0.02  # of a trial's samples; also how far metrics may then differ


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialVerdict:
    """What became of one trial that ran again."""

    trial_id: str
    seed: int
    agrees: bool
    text: str  # in words
    differences: Sequence[Sequence[str]] = ()  # (what, recorded, now)


def verify_trials(recorded: Sweep, again: Sweep, tolerance: float) -> list[TrialVerdict]:
    """A verdict on every trial of ``again``, in its order, against the same trial of the other."""
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
    def verdict(agrees: bool, text: str, found: Sequence[Sequence[str]] = ()) -> TrialVerdict:
        return TrialVerdict(
            trial_id=now["trial_id"],
            seed=now["seed"],
            agrees=agrees,
            text=text,
            differences=found,
        )

    if now["status"] != "finished":
        reason = now.get("reason") or "unknown"
        return verdict(False, f"{now['status']}: {reason}", [["status", "finished", now["status"]]])
    exact, compared = compare_metrics(recorded, now, 0.0)
    metrics, _ = compare_metrics(recorded, now, tolerance)
    ours, theirs = samples
    if (ours is None) != (theirs is None) or (
        ours is not None and ours.num_rows != theirs.num_rows
    ):
        more, _ = compare_samples(ours, theirs, tolerance)
        more = more or [["samples", *("none" if s is None else "some" for s in samples)]]
        return verdict(False, "differs", [*metrics, *more])
    flipped = 0 if ours is None else num_flipped(ours, theirs, tolerance)
    share = flipped / ours.num_rows if flipped else 0.0
    if not metrics and not flipped:
        numbers = plural(compared, "number")
        if exact:
            gap = _largest_gap(recorded, now, exact)
            return verdict(True, f"agrees: {numbers}, the largest difference {gap:.1e}")
        return verdict(True, f"agrees: {numbers}, all equal")
    flips = f"{flipped:,} of {plural(ours.num_rows, 'sample')} flipped" if flipped else ""
    wide, _ = compare_metrics(recorded, now, tolerance + MAX_FLIPPED)
    if flipped and share <= MAX_FLIPPED and not wide:
        return verdict(True, f"agrees, but {flips}")
    more = compare_samples(ours, theirs, tolerance)[0] if flipped else []
    return verdict(False, f"differs; {flips}" if flips else "differs", [*metrics, *more])


def _largest_gap(
    recorded: Mapping[str, Any], now: Mapping[str, Any], rows: Sequence[Sequence[str]]
) -> float:
    pairs = ((recorded.get(row[0]), now.get(row[0])) for row in rows)
    gaps = [abs(a - b) for a, b in pairs if isinstance(a, float) and isinstance(b, float)]
    return max((gap for gap in gaps if math.isfinite(gap)), default=math.nan)


def verdict_table(verdicts: Sequence[TrialVerdict], tolerance: float, num_all: int) -> DetailTable:
    """The verdicts, trial by trial."""
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
    """What differs in the trials that do not agree."""
    rows = [
        [f"{each.trial_id[:8]} {difference[0]}", *difference[1:]]
        for each in verdicts
        if not each.agrees
        for difference in each.differences
    ]
    headings = ["what", "recorded", "now"]
    return DetailTable(title="What differs", headings=headings, rows=rows, caption=[])


def environment_table(recorded: Sweep, again: Sweep) -> DetailTable:
    """Versions, commit, engine and hardware that are not those of the recorded sweep."""
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
