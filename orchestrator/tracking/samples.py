"""What a tracker gets at the end of a trial: its row, its samples as a table, and pictures."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestrator.tracking.tracker import TrackedResult
from tasks.contract import Scalar

if TYPE_CHECKING:  # a tracker's process does not need it
    from orchestrator.execution.trial_results import RunningTrial

MAX_ROWS = 100  # of a table of samples
BYTES_OF_STEP = 1000  # about, without samples
_PICTURE = "picture"  # the column of samples that holds PNG files


@dataclass(frozen=True, kw_only=True, slots=True)
class EndedTrial:
    """How a trial ended, with its samples as the task returned them."""

    status: str
    reason: str
    at: int  # its last step; 0 without one
    metrics: Mapping[str, float]  # of its last step
    samples: Mapping[str, Sequence[Any]] | None  # of its last step; None if interrupted
    shown: Sequence[str]  # the columns of samples that the task shows; empty for all

    @classmethod
    def of(cls, running: RunningTrial, shown_samples: Sequence[str]) -> EndedTrial:
        """Describe a trial with its row."""
        row, steps = running.row, running.ordered_steps()
        is_over = row["status"] != "interrupted"
        return cls(
            status=row["status"],
            reason=row["reason"] or "",
            at=steps[-1].step.at if steps else 0,
            metrics=dict(running.last_metrics()),
            samples=steps[-1].step.samples if steps and is_over else None,
            shown=shown_samples,
        )


def estimate_bytes(running: RunningTrial) -> int:
    """Estimate the memory of a trial's steps with their samples."""
    columns = (
        column
        for timed in list(running.steps.values())
        for column in (timed.step.samples or {}).values()
    )
    values = sum(len(v) if hasattr(v, "__len__") else 1 for each in columns for v in each)
    return BYTES_OF_STEP * len(running.steps) + values


def tracked_result(ended: EndedTrial) -> TrackedResult:
    """Return the result with its samples as a table and pictures."""
    samples = ended.samples or {}
    return TrackedResult(
        status=ended.status,
        reason=ended.reason,
        at=ended.at,
        metrics=ended.metrics,
        table=_table(samples, ended.shown),
        pictures=_pictures(samples, ended.shown),
    )


def _table(
    samples: Mapping[str, Sequence[Any]], shown: Sequence[str]
) -> dict[str, Sequence[Scalar]]:
    """Return the first rows without pictures. Lists become text."""
    names = [name for name in shown or samples if name in samples and name != _PICTURE]
    pictures = samples.get(_PICTURE)
    length = len(next(iter(samples.values()), ()))
    rows = [row for row in range(length) if pictures is None or pictures[row] is None]
    table = {name: [_plain(samples[name][row]) for row in rows[:MAX_ROWS]] for name in names}
    return {name: column for name, column in table.items() if any(v is not None for v in column)}


def _plain(value: Any) -> Scalar:
    if hasattr(value, "item"):  # a number of numpy
        value = value.item()
    if isinstance(value, (list, tuple)):
        return " / ".join(map(str, value))
    return value if value is None or isinstance(value, (str, int, float, bool)) else str(value)


def _pictures(samples: Mapping[str, Sequence[Any]], shown: Sequence[str]) -> dict[str, bytes]:
    """Return one picture (PNG) of all samples that are pictures, as ``show --save`` draws it."""
    if _PICTURE not in shown or _PICTURE not in samples or shown[0] not in samples:
        return {}
    groups: dict[str, list[bytes]] = {}
    for group, picture in zip(samples[shown[0]], samples[_PICTURE], strict=True):
        if picture is not None:
            groups.setdefault(str(group), []).append(bytes(picture))
    if not groups:
        return {}
    from results.figures.pictures import contact_sheet  # only now: Pillow takes time to import

    out = io.BytesIO()
    contact_sheet(groups, "").save(out, format="PNG")
    return {"samples": out.getvalue()}
