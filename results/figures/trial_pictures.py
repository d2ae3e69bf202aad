"""Find the pictures in a trial's samples, and draw them on a contact sheet."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import pyarrow.compute as pc

from results.figures.charts import short_id, sweep_title
from results.figures.pictures import contact_sheet
from results.storage.reading import Sweep


def pictures_of(sweep: Sweep, trial: Mapping[str, Any]) -> dict[str, list[bytes]]:
    """Return a trial's pictures (PNG), grouped by the first column that ``show`` prints.

    Rows without a picture, such as those with scores, are left out. The result is empty if the task
    has no pictures.
    """
    shown = list(sweep.manifest.shown_samples or ())
    samples = sweep.samples
    if "picture" not in shown or "picture" not in samples.column_names:
        return {}
    of_trial = pc.equal(samples["trial_id"], trial["trial_id"])
    found = samples.filter(pc.and_(of_trial, pc.is_valid(samples["picture"])))
    groups: dict[str, list[bytes]] = {}
    for row in found.select([shown[0], "picture"]).to_pylist():
        groups.setdefault(row[shown[0]], []).append(row["picture"])
    return groups


def draw_pictures(sweep: Sweep, trial: Mapping[str, Any]) -> bytes | None:
    """Draw a trial's contact sheet (PNG); None if its samples have no pictures."""
    groups = pictures_of(sweep, trial)
    if not groups:
        return None
    out = io.BytesIO()
    title = f"{sweep_title(sweep)}, trial {short_id(trial)}"
    contact_sheet(groups, title).save(out, format="PNG")
    return out.getvalue()
