"""Charts of a sweep or of chosen values, drawn as they are saved."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from sweeps_with_figures import make_store, result

from results.figures.charts import Chart
from results.figures.drawing import figure_of
from results.storage.reading import Sweep, read_sweep

LONG = "decoding sample, " * 20


def sweep_of(root: Path, *results: Any, **changes: Any) -> Sweep:
    make_store(str(root), **changes).add(results)
    return read_sweep(str(root), "toy", "s")


def stopped(name: str, score: float, num_steps: int = 1) -> Any:
    found = result(name, score, num_steps)
    found.trial["status"] = "stopped"  # type: ignore[index]
    return found


def chart_of(names: list[str], values: tuple[float, ...] = (1.0, 2.0), **more: Any) -> Chart:
    lines = {name: [(at + 1, value) for at, value in enumerate(values)] for name in names}
    return Chart(label="score (%)", lines=lines, **more)  # type: ignore[arg-type]


def drawn(chart: Chart) -> Figure:
    """Draw and save the figure; every warning is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = figure_of([chart], "epoch")
        figure.savefig(io.BytesIO(), format="png")
    return figure
