"""``show``: prints a sweep or a trial, and writes its curves and pictures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rich.console import Console
from rich.text import Text

from orchestrator.reports.files import check_target, save_file
from orchestrator.reports.json_fields import sweep_fields, trial_fields
from orchestrator.view.graphics import check_choice, find_graphics
from results.figures.charts import trial_charts
from results.figures.sample_images import LoadImage, names_images, samples_of
from results.figures.sweep_charts import sweep_charts
from results.figures.trial_pictures import draw_pictures, pictures_of
from results.render.show import choose_trials, find_trial, render_sweep, render_trial
from results.storage.reading import Sweep
from results.storage.weights import describe_weights
from results.tables.row_selection import EVERYTHING, RowSelection
from tasks.contract import RequestError, SweepError

_SUFFIXES = (".png", ".svg")
Row = Mapping[str, Any]


def show(
    sweep: Sweep,
    trial: str | None,
    listing: str = "`show`",
    *,
    save: str | None,
    pictures: str | None,
    graphics: str = "auto",
    selection: RowSelection = EVERYTHING,
) -> None:
    """Print a sweep or one of its trials, and write figures to files.

    Args:
        sweep: the sweep.
        trial: a trial id or a unique prefix; None for the whole sweep.
        listing: the command that lists the trials, for error messages.
        save: FILE.png or FILE.svg for the curves.
        pictures: FILE.png for the pictures of a trial.
        graphics: how the terminal shows pictures, one of ``orchestrator.view.graphics.CHOICES``.
        selection: the trials and columns to print.

    Raises:
        RequestError: if a file cannot be written or a figure cannot be drawn. Nothing is written
            then.
    """
    check_choice(graphics)
    row = None if trial is None else find_trial(sweep, trial, listing)
    if save is not None and save == pictures:
        raise RequestError(f"--save and --pictures both name {save!r}; use different files")
    makers = {
        **({} if save is None else {save: _curves(sweep, row, save)}),
        **({} if pictures is None else {pictures: _pictures(sweep, row, pictures)}),
    }
    for path in makers:
        check_target(path)
    files = {path: make() for path, make in makers.items()}
    console = Console()
    weights = describe_weights(sweep, row)
    if row is None:
        console.print(render_sweep(sweep, weights, selection))
    else:
        shows = console.color_system is not None and graphics != "none"
        load_image = _image_loader(sweep, row) if shows else None
        # The terminal is asked only if there is a picture.
        has_pictures = load_image is not None or (shows and bool(pictures_of(sweep, row)))
        found = find_graphics(graphics if has_pictures or graphics == "none" else "blocks")
        console.print(render_trial(sweep, row, weights, load_image, found))
    for path, blob in files.items():
        save_file(path, blob)
        console.print(Text(f"Saved {path}."), soft_wrap=True)


def _image_loader(sweep: Sweep, row: Row) -> LoadImage | None:
    """Return a function that loads images of a trial's data; None if they are not shown."""
    if not names_images(samples_of(sweep, row)):
        return None
    from orchestrator.running.sample_images import image_loader  # only now: it takes time to import

    try:
        return image_loader(sweep, row)
    except SweepError:  # such as data that is not on this machine
        return None


def show_fields(
    sweep: Sweep, trial: str | None, listing: str, selection: RowSelection
) -> dict[str, Any]:
    """Return the fields of the JSON document; the arguments are those of ``show``."""
    if trial is not None:
        return trial_fields(sweep, find_trial(sweep, trial, listing))
    rows, columns = choose_trials(sweep, selection)
    if columns is not None:
        kept = dict.fromkeys(["trial_id", *columns])
        rows = [{name: row.get(name) for name in kept} for row in rows]
    return sweep_fields(sweep, rows)


def _curves(sweep: Sweep, row: Row | None, path: str) -> Callable[[], bytes]:
    """Return a function that draws the curves.

    Raises:
        RequestError: if the file name is wrong, or the sweep or trial has no curve.
    """
    if not path.lower().endswith(_SUFFIXES):
        raise RequestError(f"--save takes FILE.png or FILE.svg, but got {path!r}")
    try:
        charts = trial_charts(sweep, row) if row else sweep_charts(sweep, sweep.current_rows())
    except RequestError as error:
        raise RequestError(f"--save: {error}; remove --save") from None
    if not charts:
        assert row is not None
        raise RequestError(
            f"--save: trial {row['trial_id']} has fewer than two steps, so it has no "
            "curve; remove --save, or draw the curves of all trials with show "
            f"{sweep.manifest.name} --save {path}"
        )

    def draw_curves() -> bytes:
        from results.figures.drawing import draw

        return draw(charts, sweep.manifest.step_unit, path.lower()[-3:])

    return draw_curves


def _pictures(sweep: Sweep, row: Row | None, path: str) -> Callable[[], bytes]:
    """Return a function that draws the contact sheet.

    Raises:
        RequestError: if the file name is wrong, or the trial has no pictures.
    """
    if row is None:
        raise RequestError(f"--pictures requires a trial: show NAME TRIAL --pictures {path}")
    if not path.lower().endswith(".png"):
        raise RequestError(f"--pictures takes FILE.png, but got {path!r}")
    if not pictures_of(sweep, row):
        raise RequestError(
            f"--pictures: the samples of trial {row['trial_id']} contain no pictures; remove "
            "--pictures (--save FILE.png draws the curves)"
        )
    return lambda: draw_pictures(sweep, row) or b""
