"""Show samples next to images of the data set, which are drawn as half blocks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from results.figures.pictures import half_blocks
from results.figures.sample_images import LoadImage, Ranking
from tasks.contract import SweepError

PICTURE_SIDE = 14  # columns; half as many lines
MAX_RANKINGS = 3  # queries of a direction


class ImageRows:
    """Shows rows of text, each next to its image."""

    def __init__(
        self, image_ids: Sequence[str], texts: Sequence[Sequence[str]], load: LoadImage
    ) -> None:
        self._rows, self._load = list(zip(image_ids, texts, strict=True)), load

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for image_id, lines in self._rows:
            yield beside(draw(image_id, self._load), lines)
            yield Text()


class Rankings:
    """Shows the queries with the worst ranks and the candidates that were ranked first."""

    def __init__(self, rankings: Sequence[Ranking], load: LoadImage) -> None:
        self._rankings, self._load = rankings[:MAX_RANKINGS], load

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        is_text = bool(self._rankings[0].caption)
        queries, found = ("texts", "images") if is_text else ("images", "texts")
        yield Text(f"The {queries} with the worst ranks and the {found} ranked first", style="bold")
        for each in self._rankings:
            yield from self._images(each, options.max_width) if is_text else self._texts(each)
            yield Text()

    def _texts(self, found: Ranking) -> Iterator[Table]:
        """Yield an image and the texts that were ranked first for it."""
        lines = [f"right text at rank {found.rank:g}"]
        for place, text, is_right in _places(found):
            lines.append(f"{place}. {text}{' (right)' if is_right else ''}")
        yield beside(draw(found.image_id, self._load), lines)

    def _images(self, found: Ranking, width: int) -> Iterator[Text]:
        """Yield a text, and in a row its right image and the images that were ranked first."""
        yield Text(f"{found.caption}: right image at rank {found.rank:g}")
        shown = [("right image", found.image_id)]
        shown += [
            (f"{place}{' right' if is_right else ''}", image_id)
            for place, image_id, is_right in _places(found)
        ]
        shown = shown[: max(1, (width + 1) // (PICTURE_SIDE + 1))]
        labels = Text(" ".join(label.ljust(PICTURE_SIDE) for label, _ in shown), style="dim")
        labels.rstrip()
        yield labels
        pictures = [draw(image_id, self._load) for _, image_id in shown]
        for lines in zip(*(picture.split("\n") for picture in pictures), strict=True):
            yield Text(" ").join(lines)


def draw(image_id: str, load: LoadImage) -> Text:
    """Draw an image, or its name if it cannot be loaded, ``PICTURE_SIDE`` columns wide."""
    try:
        return half_blocks([load(image_id)], PICTURE_SIDE, gap=0)
    except SweepError:
        lines = [Text(image_id[:PICTURE_SIDE])]
        lines += [Text("") for _ in range(PICTURE_SIDE // 2 - 1)]
        for line in lines:
            line.pad_right(PICTURE_SIDE - cell_len(line.plain))
        return Text("\n").join(lines)


def beside(picture: Text, lines: Sequence[str]) -> Table:
    """Return a picture with lines of text next to it."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(width=PICTURE_SIDE, no_wrap=True)
    grid.add_column()
    grid.add_row(picture, Text("\n".join(lines)))
    return grid


def _places(found: Ranking) -> Iterator[tuple[int, str, bool]]:
    """Yield (place from 1, candidate, whether it is right)."""
    pairs = zip(found.candidates, found.right, strict=False)
    for place, (candidate, is_right) in enumerate(pairs, start=1):
        yield place, candidate, is_right
