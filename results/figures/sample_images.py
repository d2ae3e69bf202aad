"""Which images of the data set the samples of a trial name, and the rankings that they list.

Samples may have these columns, which pages and the terminal show with the images:

    image_id          string         the image of the row
    caption           string         the query of a ranking, if it is a text
    ranked_images     list[string]   the images that were ranked first for a text
    ranked_captions   list[string]   the texts that were ranked first for an image
    ranked_right      list[bool]     which of them are right
    rank              float          the rank of the first right one, from 1
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from results.storage.reading import Sweep
from results.storage.schema import SWEEP_COLUMNS

#: Returns an image of the data set as the bytes of a file. Raises a ``SweepError`` without one.
LoadImage = Callable[[str], bytes]

IMAGE = "image_id"
_TYPES = {
    IMAGE: pa.string(),
    "caption": pa.string(),
    "ranked_images": pa.list_(pa.string()),
    "ranked_captions": pa.list_(pa.string()),
    "ranked_right": pa.list_(pa.bool_()),
    "rank": pa.float64(),
}


@dataclass(frozen=True, kw_only=True)
class Ranking:
    """A query and the candidates that were ranked first."""

    image_id: str  # the query, or the right image of a text
    caption: str  # the query if it is a text; otherwise empty
    rank: float  # of the first right candidate, from 1
    candidates: Sequence[str]  # ids of images for a text, texts for an image
    right: Sequence[bool]  # one value per candidate


def samples_of(sweep: Sweep, trial: Mapping[str, Any]) -> pa.Table:
    """Return the samples of a trial."""
    if not sweep.samples.num_rows:
        return sweep.samples
    return sweep.samples.filter(pc.equal(sweep.samples["trial_id"], trial["trial_id"]))


def shown_columns(sweep: Sweep, samples: pa.Table) -> list[str]:
    """Return the columns of samples that the task shows, except those without a value."""
    names = sweep.manifest.shown_samples or samples.column_names
    hidden = {*SWEEP_COLUMNS, "trial_id", "seed"}
    return [
        name
        for name in names
        if name in samples.column_names
        and name not in hidden
        and samples[name].null_count < samples.num_rows
    ]


def names_images(samples: pa.Table) -> bool:
    """Return whether samples name images of the data set."""
    return _has(samples, IMAGE) and samples[IMAGE].null_count < samples.num_rows


def rankings_of(samples: pa.Table) -> tuple[list[Ranking], list[Ranking]]:
    """Return the rankings of images for texts, and of texts for images, the worst ranks first."""
    if not all(_has(samples, name) for name in _TYPES):
        return [], []
    return _rankings(samples, "ranked_images"), _rankings(samples, "ranked_captions")


def _rankings(samples: pa.Table, name: str) -> list[Ranking]:
    found = [
        Ranking(
            image_id=row[IMAGE] or "",
            caption=row["caption"] or "",
            rank=row["rank"] or 0.0,
            candidates=[each or "" for each in row[name]],
            right=[bool(each) for each in row["ranked_right"] or [False] * len(row[name])],
        )
        for row in samples.filter(pc.is_valid(samples[name])).select(list(_TYPES)).to_pylist()
    ]
    return sorted(found, key=lambda each: -each.rank)


def _has(samples: pa.Table, name: str) -> bool:
    return name in samples.column_names and samples.schema.field(name).type == _TYPES[name]
