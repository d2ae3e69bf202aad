"""Tables of queries with what was ranked first for them."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from results.figures.sample_images import Ranking, rankings_of
from results.page.page_images import PageImages
from results.page.table import Cell, Heading, PageTable

RIGHT = "right"
_CAPTION = (
    "The queries with the worst ranks. The rank is that of the first right answer; ties count as "
    "in the metrics, but are listed in the order of the data."
)


def ranking_tables(samples: pa.Table, images: PageImages) -> list[PageTable]:
    """Return a table of texts with their images and one of images with their texts."""
    for_texts, for_images = rankings_of(samples)
    tables = [
        _table(
            "Texts and the images ranked first",
            ("text", "rank", "right image", "ranked images"),
            [_text_query(each, images) for each in for_texts],
        ),
        _table(
            "Images and the texts ranked first",
            ("image", "rank", "ranked texts"),
            [_image_query(each, images) for each in for_images],
        ),
    ]
    return [table for table in tables if table.rows]


def _table(title: str, names: Sequence[str], rows: Sequence[Sequence[Cell]]) -> PageTable:
    headings = [Heading(text=name, is_numeric=name == "rank") for name in names]
    return PageTable(title=title, headings=headings, rows=rows, caption=[_CAPTION])


def _text_query(found: Ranking, images: PageImages) -> list[Cell]:
    ranked = [
        images.picture(image_id, RIGHT if is_right else "")
        for image_id, is_right in zip(found.candidates, found.right, strict=False)
    ]
    return [
        Cell(text=found.caption, kind="prose"),
        _rank(found),
        Cell(pictures=[images.picture(found.image_id)]),
        Cell(pictures=ranked),
    ]


def _image_query(found: Ranking, images: PageImages) -> list[Cell]:
    lines = [
        f"{text} ({RIGHT})" if is_right else text
        for text, is_right in zip(found.candidates, found.right, strict=False)
    ]
    return [
        Cell(pictures=[images.picture(found.image_id)]),
        _rank(found),
        Cell(lines=lines, kind="prose"),
    ]


def _rank(found: Ranking) -> Cell:
    return Cell(text=f"{found.rank:g}", kind="number")
