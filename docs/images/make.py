"""Draw the README's picture from a real run: ``python docs/images/make.py`` (a minute).

The live view as it is when half of the trials have ended, and the second table of the result.
"""

from __future__ import annotations

import io
import tempfile
from pathlib import Path

from rich.console import Console, Group, RenderableType
from rich.text import Text

from orchestrator.request import Request
from orchestrator.running import execute
from orchestrator.running.plan import make_plan
from orchestrator.running.sweep import run_sweep
from orchestrator.view.live import SweepView
from orchestrator.view.panel import render as render_panel
from results.render.summary_view import SummaryView
from results.storage.reading import read_sweep
from results.tables.summary import summarize
from tasks.contract import Stage, Trial

FILE = Path(__file__).with_name("retrieval.svg")
WIDTH = 104
COMMAND = "python -m orchestrator sweep retrieval"

panels: list[RenderableType] = []


class Recorded(SweepView):
    """Keeps the panel from each time that a trial or a stage is further."""

    def progressed(self, trial: Trial, share: float, next_at: int | None) -> None:
        """A trial is within a step."""
        super().progressed(trial, share, next_at)
        panels.append(self._draw())

    def stage_progressed(self, stage: Stage, share: float) -> None:
        """So much of a stage is computed."""
        super().stage_progressed(stage, share)
        panels.append(self._draw())

    def _draw(self) -> RenderableType:
        console = Console(width=WIDTH, height=30, file=io.StringIO())
        with self._lock:
            panel = render_panel(self._state.panel(), console.size)
        console = Console(width=WIDTH, file=io.StringIO(), record=True, force_terminal=True)
        console.print(panel)
        return Text.from_ansi(console.export_text(styles=True))


def main() -> None:
    """Run the default sweep and write the picture."""
    execute.SweepView = Recorded  # type: ignore[misc]
    with tempfile.TemporaryDirectory() as out:
        run_sweep(make_plan(Request(task="retrieval", engine="local", out=out)))
        tables = summarize(read_sweep(out, "retrieval", "paper"), None)
        console = Console(width=WIDTH, record=True, file=io.StringIO(), force_terminal=True)
        middle = panels[len(panels) // 2]
        prompt = Text(f"$ {COMMAND}\n", style="bold green")
        console.print(Group(prompt, middle, Text("...\n", style="dim"), SummaryView(tables[1])))
    svg = console.export_svg(title=COMMAND, unique_id="retrieval")
    FILE.write_text("\n".join(line.rstrip() for line in svg.splitlines()) + "\n")
    print(f"wrote {FILE}")


if __name__ == "__main__":
    main()
