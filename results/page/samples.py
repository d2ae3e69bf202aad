"""The samples of a trial: pictures, or rows of text and numbers."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from results.export.cells import Column
from results.figures.trial_pictures import pictures_of
from results.page.table import PageTable, make_table
from results.storage.reading import Sweep
from results.storage.schema import SWEEP_COLUMNS
from results.text import plural

MAX_SAMPLES = 100  # rows shown
_MAX_PICTURES = 16  # of a group


@dataclass(frozen=True, kw_only=True)
class Pictures:
    """A row of pictures."""

    name: str
    sources: Sequence[str]  # data: addresses


def sample_pictures(sweep: Sweep, trial: Mapping[str, Any]) -> list[Pictures]:
    """Return a trial's pictures by group; none for tasks without pictures."""
    return [
        Pictures(name=str(name), sources=[_address(each) for each in pictures[:_MAX_PICTURES]])
        for name, pictures in pictures_of(sweep, trial).items()
    ]


def _address(picture: bytes) -> str:
    kind = "jpeg" if picture[:2] == b"\xff\xd8" else "png"
    return f"data:image/{kind};base64,{base64.b64encode(picture).decode()}"


def sample_table(sweep: Sweep, trial: Mapping[str, Any]) -> PageTable | None:
    """Return a trial's samples, by their score if they have one; None without samples."""
    if not sweep.samples.num_rows:
        return None
    found = sweep.samples.filter(pc.equal(sweep.samples["trial_id"], trial["trial_id"]))
    names = sweep.manifest.shown_samples or found.column_names
    names = [n for n in names if n not in (*SWEEP_COLUMNS, "trial_id", "seed")]
    names = [n for n in names if n in found.column_names and found[n].null_count < found.num_rows]
    if not found.num_rows or not names:
        return None
    number = found.num_rows
    caption = []
    if pa.types.is_floating(found[names[0]].type):
        found = found.sort_by([(names[0], "descending")])
        caption.append(f"The highest {names[0]} first.")
    if number > MAX_SAMPLES:
        half = MAX_SAMPLES // 2
        found = pa.concat_tables([found.slice(0, half), found.slice(number - half, half)])
        caption.append(f"The first and the last {half} of {plural(number, 'sample')}.")
    rows = found.select(names).to_pylist()
    columns = [Column(heading=name, cells=[_text(row[name]) for row in rows]) for name in names]
    return make_table("Samples", columns, caption=caption)


def _text(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, list):
        return " / ".join(map(str, value))
    if isinstance(value, bytes):
        return plural(len(value), "byte")
    return f"{value:.3f}" if isinstance(value, float) else str(value)
