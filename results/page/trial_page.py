"""One trial: parameters, curves, steps, log and samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from results.export.cells import Column
from results.page.html import fill
from results.page.links import Links
from results.page.page_images import NO_IMAGES, PageImages
from results.page.samples import sample_pictures, sample_tables
from results.page.table import PageTable, make_table
from results.storage.reading import Sweep
from results.storage.weights import describe_weights
from results.tables.cell_text import format_plain, format_value, heading, id_digits
from results.tables.facts import trial_facts

MAX_LOG = 64_000  # characters of a log, its end
MAX_STEPS = 500  # rows, the last ones


def trial_values(
    sweep: Sweep, trial: Mapping[str, Any], links: Links, images: PageImages = NO_IMAGES
) -> Mapping[str, Any]:
    """Return what the templates of a trial show, on a served page and in a file."""
    pictures = sample_pictures(sweep, trial)
    digits = id_digits(row["trial_id"] for row in sweep.rows())
    known = sweep.manifest.columns_by_key
    return {
        "title": f"{sweep.manifest.full_name}, trial {trial['trial_id'][:digits]}",
        "trial_id": trial["trial_id"],
        "status": trial["status"],
        "reason": trial["reason"] or "",
        "log": _log(sweep, trial),
        "parameters": {
            known[f"param.{n}"].label if f"param.{n}" in known else n: format_plain(
                trial[f"param.{n}"]
            )
            for n in sweep.manifest.params
        },
        "facts": trial_facts(sweep, trial, describe_weights(sweep, trial)),
        "steps": steps_table(sweep, trial),
        "pictures": pictures,
        "samples": [] if pictures else sample_tables(sweep, trial, images),
        "siblings": _siblings(sweep, trial, links),
        "links": links,
        "sweep_link": links.sweep(sweep.manifest.task, sweep.manifest.name),
        "sweep_name": sweep.manifest.full_name,
    }


def trial_page(
    sweep: Sweep,
    trial: Mapping[str, Any],
    links: Links,
    *,
    images: PageImages = NO_IMAGES,
    charts_url: str = "",
    **more: Any,
) -> str:
    """Return the page of a trial; its curves come from ``charts_url``."""
    values = trial_values(sweep, trial, links, images)
    return fill("trial.html", **values, charts_url=charts_url, **more)


def steps_table(sweep: Sweep, trial: Mapping[str, Any]) -> PageTable | None:
    """Return every step with its metrics, the main metric first; None without steps."""
    steps = sweep.steps_of(trial["trial_id"])
    if not steps:
        return None
    known, main = sweep.manifest.columns_by_key, sweep.manifest.main_key
    shown = steps[-MAX_STEPS:]
    names = [
        name
        for name in sorted(steps[0], key=lambda name: name != main)
        if name.startswith("metric.") and any(row[name] is not None for row in shown)
    ]
    columns = [
        Column(heading=sweep.manifest.step_unit, cells=[str(row["at"]) for row in shown]),
        *(_metric(name, shown, known) for name in names),
        Column(
            heading="s",
            cells=["-" if row.get("seconds") is None else f"{row['seconds']:.2f}" for row in shown],
        ),
    ]
    hidden = len(steps) - len(shown)
    caption = [f"The last {MAX_STEPS} of {len(steps):,} steps."] if hidden else []
    return make_table("Steps", columns, caption=caption)


def _metric(name: str, steps: Sequence[Mapping[str, Any]], known: Mapping[str, Any]) -> Column:
    column = known.get(name)
    kind = column.format if column else "number"
    label = heading(column) if column else name.removeprefix("metric.")
    return Column(heading=label, cells=[format_value(row[name], kind) for row in steps])


def _log(sweep: Sweep, trial: Mapping[str, Any]) -> str:
    """Return the end of a failed trial's log: its file, or the lines that its row keeps."""
    try:
        whole = sweep.read_file(f"logs/{trial['trial_id']}.log")
    except OSError:
        whole = None
    text = whole.decode(errors="replace") if whole is not None else trial["log"] or ""
    return text if len(text) <= MAX_LOG else f"...\n{text[-MAX_LOG:]}"


def _siblings(sweep: Sweep, trial: Mapping[str, Any], links: Links) -> list[tuple[str, str]]:
    """(text, address) of the trials with the same parameters and another seed."""
    params = [f"param.{name}" for name in sweep.manifest.params]
    same = [
        row
        for row in sweep.rows()
        if all(row[key] == trial[key] for key in params) and row["trial_id"] != trial["trial_id"]
    ]
    task, name = sweep.manifest.task, sweep.manifest.name
    found = sorted(same, key=lambda row: row["seed"])
    return [(f"seed {row['seed']}", links.trial(task, name, row["trial_id"])) for row in found]
