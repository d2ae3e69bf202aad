"""Save a sweep's figures in its folder: curves of all trials, and the pictures of each trial.

    <root>/<task>/<name>/figures/<chart>.png, .svg           a line per configuration
    <root>/<task>/<name>/figures/<trial>-curves.png, .svg    charts of one trial with several lines
    <root>/<task>/<name>/figures/<trial>-pictures.png        its contact sheet
    <root>/<task>/<name>/figures/index.json                  hashes of the rows behind each figure

A figure is drawn again only if the row of a trial has changed. This check reads neither steps nor
samples and does not import matplotlib.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import pyarrow.fs

from results.figures.charts import Chart, rank, trial_charts
from results.figures.sweep_charts import sweep_charts
from results.storage.atomic_write import atomic_write
from results.storage.reading import Sweep
from results.storage.whole_file import read_whole
from tasks.contract import RequestError, content_id

VERSION = 3  # increase it when figures look different
MAX_TRIALS = 20  # the number of best trials that get their own figures

Files = dict[str, bytes]


def save_figures(sweep: Sweep) -> str:
    """Draw the figures that have changed, and return one line with their folder ("" if none)."""
    folder = f"{sweep.path}/figures"
    drawable = [r for r in sweep.current_rows() if r["status"] != "failed" and r["num_steps"]]
    ranked = rank(sweep, drawable)
    rows = ranked[:MAX_TRIALS]
    index = _read_index(sweep.filesystem, folder)
    kept: dict[str, Any] = {}
    for name, key, draw in _wanted(sweep, rows):
        entry = index.get(name, {})
        if entry.get("key") != key:
            drawn = draw()
            if drawn:
                sweep.filesystem.create_dir(folder, recursive=True)
            for file, blob in drawn.items():
                atomic_write(sweep.filesystem, f"{folder}/{file}", blob)
            entry = {"key": key, "files": sorted(drawn)}
        kept[name] = entry
    files = {file for entry in kept.values() for file in entry["files"]}
    if kept != index and (files or index):
        atomic_write(sweep.filesystem, f"{folder}/index.json", json.dumps(kept, indent=1).encode())
        _delete(sweep.filesystem, folder, {f for e in index.values() for f in e["files"]} - files)
    if not files:
        return ""
    own = [row for row in rows if kept[row["trial_id"]]["files"]]
    limit = f" (of single trials, the best {len(rows)} of {len(ranked)})" if own else ""
    return f"Figures{limit if len(ranked) > len(rows) else ''}: {folder}"


def _wanted(
    sweep: Sweep, rows: Sequence[Mapping[str, Any]]
) -> Iterator[tuple[str, str, Callable[[], Files]]]:
    """Yield (name, key, function that draws it) for each group of figures."""
    manifest = sweep.manifest
    names = ("task", "name", "columns", "metric", "params", "step_unit")
    drawn_as = [VERSION, *(getattr(manifest, name) for name in names)]
    states = {
        row["trial_id"]: [row["trial_id"], row["status"], str(row["ended"]), row["num_steps"]]
        for row in sweep.current_rows()
    }
    together = content_id([drawn_as, list(states.values())])
    yield "curves", together, partial(_sweep_curves, sweep)
    for row in rows:
        trial = row["trial_id"]
        key = content_id([drawn_as, manifest.shown_samples, states[trial]])
        yield trial, key, partial(_of_trial, sweep, row)


def _sweep_curves(sweep: Sweep) -> Files:
    try:
        charts = sweep_charts(sweep, sweep.current_rows())
    except RequestError:  # no trial has two steps
        charts = []
    return {k: v for chart in charts for k, v in _draw(sweep, _slug(chart.label), [chart]).items()}


def _of_trial(sweep: Sweep, row: Mapping[str, Any]) -> Files:
    return {**_trial_curves(sweep, row), **_pictures(sweep, row)}


def _trial_curves(sweep: Sweep, row: Mapping[str, Any]) -> Files:
    charts = [chart for chart in trial_charts(sweep, row) if len(chart.lines) > 1]
    return _draw(sweep, f"{row['trial_id']}-curves", charts) if charts else {}


def _pictures(sweep: Sweep, row: Mapping[str, Any]) -> Files:
    from results.figures.trial_pictures import draw_pictures

    sheet = draw_pictures(sweep, row)
    return {} if sheet is None else {f"{row['trial_id']}-pictures.png": sheet}


def _draw(sweep: Sweep, name: str, charts: Sequence[Chart]) -> Files:
    from results.figures.drawing import FORMS, draw

    x_label = sweep.manifest.step_unit
    return {f"{name}.{form}": draw(charts, x_label, form) for form in FORMS}


def _slug(label: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", label.lower()).strip("-")[:60] or "curve"


def _read_index(filesystem: pyarrow.fs.FileSystem, folder: str) -> dict[str, Any]:
    """Read the index; empty if it is missing or damaged, so that everything is drawn again."""
    try:
        index = json.loads(read_whole(filesystem, f"{folder}/index.json"))
        for entry in index.values():
            str(entry["key"]), [str(file) for file in entry["files"]]
        return dict(index)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}


def _delete(filesystem: pyarrow.fs.FileSystem, folder: str, files: set[str]) -> None:
    for file in files:
        if file == file.rsplit("/", 1)[-1]:  # do not delete files outside of the folder
            with contextlib.suppress(OSError):
                filesystem.delete_file(f"{folder}/{file}")
