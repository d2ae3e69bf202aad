"""What ``show`` prints and writes: a sweep or a trial, its curves and its pictures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rich.console import Console
from rich.text import Text

from orchestrator.reports.files import check_target, save_file
from results.figures.charts import trial_charts
from results.figures.sweep_charts import sweep_charts
from results.figures.trial_pictures import draw_pictures, pictures_of
from results.render.show import find_trial, render_sweep, render_trial
from results.storage.reading import Sweep
from results.storage.weights import describe_weights
from tasks.contract import RequestError

_FORMS = (".png", ".svg")
Row = Mapping[str, Any]


def show(
    sweep: Sweep,
    trial: str | None,
    listing: str = "`show`",
    *,
    save: str | None,
    pictures: str | None,
) -> None:
    """Print a sweep, or one of its trials, and write the figures that are asked for.

    Args:
        sweep: the sweep.
        trial: the id of one of its trials, or a unique prefix of it.
        listing: the command that lists the trials, for an error.
        save: FILE.png or FILE.svg for the curves.
        pictures: FILE.png for a trial's pictures.

    Raises:
        RequestError: if one of the files cannot be made; then neither is written.
    """
    row = None if trial is None else find_trial(sweep, trial, listing)
    if save is not None and save == pictures:
        raise RequestError(f"--save and --pictures both name {save!r}; give one of them another")
    makers = {
        **({} if save is None else {save: _curves(sweep, row, save)}),
        **({} if pictures is None else {pictures: _pictures(sweep, row, pictures)}),
    }
    for path in makers:
        check_target(path)
    files = {path: make() for path, make in makers.items()}
    console = Console()
    weights = describe_weights(sweep, row)
    console.print(render_trial(sweep, row, weights) if row else render_sweep(sweep, weights))
    for path, blob in files.items():
        save_file(path, blob)
        console.print(Text(f"Saved {path}."), soft_wrap=True)


def _curves(sweep: Sweep, row: Row | None, path: str) -> Callable[[], bytes]:
    """What draws the curves; RequestError if there are none, before anything is drawn."""
    if not path.lower().endswith(_FORMS):
        raise RequestError(f"--save takes FILE.png or FILE.svg, but got {path!r}")
    try:
        charts = trial_charts(sweep, row) if row else sweep_charts(sweep, sweep.current_rows())
    except RequestError as error:
        raise RequestError(f"--save: {error}; leave --save out") from None
    if not charts:
        assert row is not None
        raise RequestError(
            f"--save: trial {row['trial_id']} has fewer than two steps, so it has no "
            "curve; leave --save out, or draw the curves of all trials: show "
            f"{sweep.manifest.name}"
        )

    def draw_curves() -> bytes:
        from results.figures.drawing import draw

        return draw(charts, sweep.manifest.step_unit, path.lower()[-3:])

    return draw_curves


def _pictures(sweep: Sweep, row: Row | None, path: str) -> Callable[[], bytes]:
    """What draws the contact sheet; RequestError if there are no pictures."""
    if row is None or not path.lower().endswith(".png"):
        what = repr(path) if row else "no trial"
        raise RequestError(
            f"--pictures takes FILE.png, and one trial: show NAME TRIAL; but got {what}"
        )
    if not pictures_of(sweep, row):
        raise RequestError(
            f"--pictures: trial {row['trial_id']} has no pictures among its samples; leave "
            "--pictures out (--save FILE.png draws its curves)"
        )
    return lambda: draw_pictures(sweep, row) or b""
