"""Show samples next to images of the data set."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from results.figures.graphics import Graphics
from results.figures.sample_images import LoadImage, Ranking
from results.render.picture_cells import (
    PICTURE_SIDE,
    Drawn,
    PictureCell,
    PictureLine,
    name_cell,
    number_of_pictures,
    picture_cell,
)
from tasks.contract import SweepError

MAX_RANKINGS = 3  # queries of a direction


class _Images:
    """The images of the data set, as cells."""

    def __init__(self, load: LoadImage, graphics: Graphics) -> None:
        self._load, self._graphics = load, graphics

    def cell(self, image_id: str) -> PictureCell:
        """Return an image, or its name if it cannot be loaded."""
        try:
            return picture_cell(self._load(image_id), self._graphics)
        except SweepError:
            return name_cell(image_id)


class ImageRows:
    """Shows rows of text, each next to its image."""

    def __init__(
        self,
        image_ids: Sequence[str],
        texts: Sequence[Sequence[str]],
        load: LoadImage,
        graphics: Graphics,
    ) -> None:
        self._rows = list(zip(image_ids, texts, strict=True))
        self._images = _Images(load, graphics)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for image_id, lines in self._rows:
            yield beside(self._images.cell(image_id), lines)
            yield Text()


class Rankings:
    """Shows the queries with the worst ranks and the candidates that were ranked first."""

    def __init__(self, rankings: Sequence[Ranking], load: LoadImage, graphics: Graphics) -> None:
        self._rankings, self._images = rankings[:MAX_RANKINGS], _Images(load, graphics)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        is_text = bool(self._rankings[0].caption)
        queries, found = ("texts", "images") if is_text else ("images", "texts")
        yield Text(f"The {queries} with the worst ranks and the {found} ranked first", style="bold")
        for each in self._rankings:
            yield from self._of_text(each, options.max_width) if is_text else self._of_image(each)
            yield Text()

    def _of_image(self, found: Ranking) -> Iterator[RenderableType]:
        """Yield an image and the texts that were ranked first for it."""
        lines = [f"right text at rank {found.rank:g}"]
        for place, text, is_right in _places(found):
            lines.append(f"{place}. {text}{' (right)' if is_right else ''}")
        yield beside(self._images.cell(found.image_id), lines)

    def _of_text(self, found: Ranking, width: int) -> Iterator[RenderableType]:
        """Yield a text, and in a row its right image and the images that were ranked first."""
        yield Text(f"{found.caption}: right image at rank {found.rank:g}")
        shown = [("right image", found.image_id)]
        shown += [
            (f"{place}{' right' if is_right else ''}", image_id)
            for place, image_id, is_right in _places(found)
        ]
        shown = shown[: number_of_pictures(width)]
        labels = Text(" ".join(label.ljust(PICTURE_SIDE) for label, _ in shown), style="dim")
        labels.rstrip()
        yield labels
        yield PictureLine([self._images.cell(image_id) for _, image_id in shown])


def beside(cell: PictureCell, lines: Sequence[str]) -> Drawn:
    """Return a picture with lines of text next to it."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(width=PICTURE_SIDE, no_wrap=True)
    grid.add_column()
    grid.add_row(cell.text, Text("\n".join(lines)))
    return Drawn(grid, [cell])


def _places(found: Ranking) -> Iterator[tuple[int, str, bool]]:
    """Yield (place from 1, candidate, whether it is right)."""
    pairs = zip(found.candidates, found.right, strict=False)
    for place, (candidate, is_right) in enumerate(pairs, start=1):
        yield place, candidate, is_right
