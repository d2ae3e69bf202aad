"""Charts in the terminal."""

from __future__ import annotations

import io

import pytest
from drawn_charts import LONG, chart_of
from rich.console import Console

from results.figures.terminal_chart import terminal_chart


@pytest.mark.parametrize("width", [60, 80, 100])
def test_terminal_chart_fits_its_width(width: int) -> None:
    chart = chart_of(["first " + LONG[:100], "second"], title="toy/s, trial 12345678", log=True)
    text = terminal_chart(chart, width, x_label="epoch").plain
    lines = text.splitlines()
    assert max(map(len, lines)) <= width
    assert lines[0] == "score (%), toy/s, trial 12345678"
    assert any(line.strip() == "epoch" for line in lines)
    assert lines[-1] == "2 second"
    assert "10^" not in text
    plot = [line for line in lines if "│" in line or "┤" in line]
    assert not [line for line in plot if "first" in line]


def test_a_chart_renders_on_a_console_without_wrapping() -> None:
    console = Console(width=80, file=io.StringIO())
    console.print(terminal_chart(chart_of(["a", "b"]), 80))
    assert console.file.getvalue().count("┌") == 1  # type: ignore[attr-defined]
