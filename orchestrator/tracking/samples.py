"""What a tracker gets at the end of a trial: its row, its samples as a table, and pictures."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestrator.tracking.tracker import TrackedResult
from tasks.contract import Scalar

if TYPE_CHECKING:  # a tracker's process does not need it
    from orchestrator.execution.trial_results import RunningTrial

MAX_ROWS = 100  # of a table of samples
BYTES_OF_STEP = 1000  # estimate for a step without samples
BYTES_OF_VALUE = 50  # estimate for a value in Python
_PICTURE = "picture"  # the column of samples that holds PNG files


@dataclass(frozen=True, kw_only=True)
class EndedTrial:
    """How a trial ended, in plain values that another process can read."""

    result: TrackedResult  # without pictures
    pictures: Mapping[str, Sequence[bytes]]  # PNG files, by the group that they belong to

    @classmethod
    def of(
        cls, running: RunningTrial, shown_samples: Sequence[str], *, with_samples: bool = True
    ) -> EndedTrial:
        """Describe a trial that has its row.

        Args:
            running: the trial.
            shown_samples: the columns of samples that the task shows; empty for all.
            with_samples: whether to describe its samples.
        """
        row, steps = running.row, running.ordered_steps()
        has_samples = with_samples and steps and row["status"] != "interrupted"
        samples = (steps[-1].step.samples if has_samples else None) or {}
        result = TrackedResult(
            status=row["status"],
            reason=row["reason"] or "",
            at=steps[-1].step.at if steps else 0,
            metrics=dict(running.last_metrics()),
            table=_table(samples, shown_samples),
        )
        return cls(result=result, pictures=_pictures(samples, shown_samples))

    def num_bytes(self) -> int:
        """Return the size of the pictures."""
        return sum(len(each) for group in self.pictures.values() for each in group)


def tracked_result(ended: EndedTrial) -> TrackedResult:
    """Return the result with one picture of all pictures, as ``show --save`` draws it."""
    if not ended.pictures:
        return ended.result
    from results.figures.pictures import contact_sheet  # only now: Pillow takes time to import

    out = io.BytesIO()
    contact_sheet(ended.pictures, "").save(out, format="PNG")
    return dataclasses.replace(ended.result, pictures={"samples": out.getvalue()})


def estimate_bytes(running: RunningTrial) -> int:
    """Estimate the memory of a trial's steps with their samples."""
    samples = [timed.step.samples for timed in list(running.steps.values())]
    columns = (column for each in samples for column in (each or {}).values())
    return BYTES_OF_STEP * len(samples) + sum(map(_num_bytes, columns))


def _num_bytes(value: Any) -> int:
    num_bytes = getattr(value, "nbytes", None)  # of an array
    if isinstance(num_bytes, int):
        return BYTES_OF_VALUE + num_bytes
    if isinstance(value, (str, bytes, bytearray)):
        return BYTES_OF_VALUE + len(value)
    if isinstance(value, (list, tuple)):
        return BYTES_OF_VALUE + sum(map(_num_bytes, value))
    return BYTES_OF_VALUE


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
    """Return a value of one of the plain types themselves, as others may be unknown elsewhere."""
    if hasattr(value, "item"):  # a number of numpy
        value = value.item()
    if isinstance(value, (list, tuple)):
        return " / ".join(map(str, value))
    if value is None or type(value) in (str, int, float, bool):
        plain: Scalar = value
        return plain
    return str(value)


def _pictures(samples: Mapping[str, Sequence[Any]], shown: Sequence[str]) -> dict[str, list[bytes]]:
    """Return the samples that are pictures, by the first column that the task shows."""
    if _PICTURE not in shown or _PICTURE not in samples or shown[0] not in samples:
        return {}
    groups: dict[str, list[bytes]] = {}
    for group, picture in zip(samples[shown[0]], samples[_PICTURE], strict=True):
        if picture is not None:
            groups.setdefault(str(group), []).append(bytes(picture))
    return groups
