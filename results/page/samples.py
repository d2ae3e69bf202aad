"""The samples of a trial: pictures, rankings, or rows of text and numbers."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from results.export.cells import Column
from results.figures.sample_images import IMAGE, names_images, samples_of, shown_columns
from results.figures.trial_pictures import pictures_of
from results.page.page_images import PageImages, data_address
from results.page.rankings import ranking_tables
from results.page.table import Cell, Heading, PageTable, make_table
from results.storage.reading import Sweep
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
        Pictures(name=str(name), sources=[data_address(each) for each in pictures[:_MAX_PICTURES]])
        for name, pictures in pictures_of(sweep, trial).items()
    ]


def sample_tables(sweep: Sweep, trial: Mapping[str, Any], images: PageImages) -> list[PageTable]:
    """Return a trial's rankings, and its samples by their score if they have one."""
    samples = samples_of(sweep, trial)
    tables = ranking_tables(samples, images)
    has_rows = not tables and names_images(samples)  # each with an image
    tables += _sample_table(sweep, samples, images if has_rows else None)
    if tables and images.problem and names_images(samples):
        caption = [images.problem, *tables[0].caption]
        tables[0] = dataclasses.replace(tables[0], caption=caption)
    return tables


def _sample_table(sweep: Sweep, samples: pa.Table, images: PageImages | None) -> list[PageTable]:
    """Return the table of samples; none without samples. ``images`` shows the image of each row."""
    names = shown_columns(sweep, samples)
    if not samples.num_rows or not names:
        return []
    number = samples.num_rows
    caption = []
    if pa.types.is_floating(samples[names[0]].type):
        samples = samples.sort_by([(names[0], "descending")])
        caption.append(f"The highest {names[0]} first.")
    if number > MAX_SAMPLES:
        half = MAX_SAMPLES // 2
        samples = pa.concat_tables([samples.slice(0, half), samples.slice(number - half, half)])
        caption.append(f"The first and the last {half} of {plural(number, 'sample')}.")
    rows = samples.select(names).to_pylist()
    columns = [Column(heading=name, cells=[_text(row[name]) for row in rows]) for name in names]
    table = make_table("Samples", columns, caption=caption)
    if images is None:
        return [table]
    cells = [Cell(pictures=[images.picture(i or "")]) for i in samples[IMAGE].to_pylist()]
    shown = [[cell, *row] for cell, row in zip(cells, table.rows, strict=True)]
    headings = [Heading(text="image"), *table.headings]
    return [dataclasses.replace(table, headings=headings, rows=shown)]


def _text(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, list):
        return " / ".join(map(str, value))
    if isinstance(value, bytes):
        return plural(len(value), "byte")
    return f"{value:.3f}" if isinstance(value, float) else str(value)
