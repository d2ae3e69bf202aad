"""Show the samples of a trial: as pictures, as rankings, or as rows of text and numbers."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.text import Text

from results.figures.graphics import BLOCKS, Graphics
from results.figures.sample_images import (
    IMAGE,
    LoadImage,
    names_images,
    rankings_of,
    samples_of,
    shown_columns,
)
from results.figures.trial_pictures import pictures_of
from results.render.arrange import Variant, arrange
from results.render.grid import Column
from results.render.picture_cells import PictureLine, number_of_pictures, picture_cell
from results.render.sample_images_view import ImageRows, Rankings
from results.render.wrapping import Prose
from results.storage.reading import Sweep

MAX_SAMPLES = 8


def samples_view(
    sweep: Sweep,
    trial: Mapping[str, Any],
    load_image: LoadImage | None = None,
    graphics: Graphics | None = BLOCKS,
) -> RenderableType | None:
    """Return a view of a trial's samples; None without samples.

    Args:
        sweep: the sweep.
        trial: the row of the trial.
        load_image: loads images of the data set; None to show none.
        graphics: how the terminal shows pictures; None to show none.
    """
    found = samples_of(sweep, trial)
    if not found.num_rows:
        return None
    groups = pictures_of(sweep, trial)
    if groups:
        return _Pictures(groups, graphics)
    if load_image is None or graphics is None:
        return _rows_view(sweep, found)
    rankings = rankings_of(found)
    if any(rankings):
        return Group(*(Rankings(each, load_image, graphics) for each in rankings if each))
    return _rows_view(sweep, found, load_image if names_images(found) else None, graphics)


def _rows_view(
    sweep: Sweep,
    found: pa.Table,
    load_image: LoadImage | None = None,
    graphics: Graphics = BLOCKS,
) -> RenderableType:
    """Show the first rows or, if the first column is a score, the best and the worst ones."""
    names = shown_columns(sweep, found)
    number = found.num_rows
    ranked = pa.types.is_floating(found[names[0]].type) and found.num_rows > MAX_SAMPLES
    if ranked:
        found = found.sort_by([(names[0], "descending")])
        half = MAX_SAMPLES // 2
        found = pa.concat_tables([found.slice(0, half), found.slice(found.num_rows - half, half)])
    rows = found.slice(0, MAX_SAMPLES).to_pylist()
    view: RenderableType
    if load_image is None:
        view = _Samples(names, rows, MAX_SAMPLES // 2 if ranked else None)
    else:
        texts = [[f"{name}: {_text(row[name])}" for name in names] for row in rows]
        view = ImageRows([row[IMAGE] or "" for row in rows], texts, load_image, graphics)
    rest = number - MAX_SAMPLES
    which = f"the best and the worst by {names[0]}; " if ranked else ""
    more = Prose([f"{which}{rest} further samples are in {sweep.path}/samples"], gap=True)
    return Group(view, more) if rest > 0 else view


class _Samples:
    """Shows samples, one per row; text is wrapped between words."""

    def __init__(
        self, names: Sequence[str], rows: Sequence[Mapping[str, Any]], half: int | None
    ) -> None:
        self._names, self._rows, self._half = names, rows, half

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        columns = [
            Column(
                heading=name,
                cells=[_text(row[name]) for row in self._rows],
                right=isinstance(self._rows[0][name], float),
                wraps=not isinstance(self._rows[0][name], float),
            )
            for name in self._names
        ]
        sections = [self._half] if self._half else []
        variants = [Variant(columns=columns[1:])]
        grid = arrange(
            options.max_width, first=columns[0], params=(), variants=variants, sections=sections
        ).grid
        yield dataclasses.replace(grid, gap=False)


class _Pictures:
    """Shows a line of pictures per group, as many as fit."""

    def __init__(self, groups: Mapping[str, Sequence[bytes]], graphics: Graphics | None) -> None:
        self._groups, self._graphics = groups, graphics

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if self._graphics is None:
            yield Text("--pictures FILE.png writes the pictures of this trial.")
            return
        if console.color_system is None:
            yield Text("Pictures need a terminal with colors; --pictures FILE.png writes them.")
            return
        number = min(MAX_SAMPLES, number_of_pictures(options.max_width))
        for name, pictures in self._groups.items():
            yield Text(name)
            yield PictureLine([picture_cell(each, self._graphics) for each in pictures[:number]])


def _text(value: Any) -> str:
    if isinstance(value, list):
        return " / ".join(map(str, value))
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    return f"{value:.3f}" if isinstance(value, float) else str(value)
