"""Show the planned trials of a sweep, for ``--dry-run``."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console, ConsoleOptions, RenderResult

from results.render.arrange import Variant, arrange
from results.render.grid import Column
from results.render.summary_view import param_column
from results.render.wrapping import Prose
from results.tables.cell_text import id_digits
from tasks.contract import Trial


class PlannedTrials:
    """Shows one trial per row: varying parameters, seed, and whether it is done."""

    def __init__(
        self, trials: Sequence[Trial], varying: Sequence[str], done: Sequence[bool]
    ) -> None:
        self._trials, self._varying, self._done = trials, varying, done

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        trials = self._trials
        digits = id_digits(trial.id for trial in trials)
        ids = [trial.id[:digits] for trial in trials]
        values = [trial.param_values() for trial in trials]
        results = [
            Column(heading="seed", cells=[str(trial.seed) for trial in trials]),
            Column(heading="", cells=["done" if done else "" for done in self._done], right=False),
        ]
        yield arrange(
            options.max_width,
            first=Column(heading="trial", cells=ids, right=False),
            params=[param_column(name, [each[name] for each in values]) for name in self._varying],
            variants=[Variant(columns=results)],
        ).grid
        yield Prose([""])
