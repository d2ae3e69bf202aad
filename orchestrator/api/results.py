"""A sweep's results in Python: tables, the best configuration, claims, and its model."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
from rich.console import Console, ConsoleOptions, RenderResult

from orchestrator.api.table import Table
from orchestrator.planning.plan import ALIASES
from results.archive.files import is_archive
from results.archive.sweep import read_archive
from results.claims.verdicts import CheckedClaim, check_claims
from results.render.sweep_tables import render
from results.storage.reading import Sweep as StoredSweep
from results.storage.reading import read_sweep
from results.tables.selection import select_best
from results.tables.summary import MAX_ROWS
from tasks.contract import RequestError, Scalar, Task

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, kw_only=True)
class Best:
    """The best configuration of a sweep by its main metric."""

    params: Mapping[str, Scalar]
    metrics: Mapping[str, float]  # means over seeds, by name
    interval: tuple[float, float] | None  # 95 % of the main metric; None if it has none
    trial_ids: tuple[str, ...]  # of its finished seeds


class Sweep:
    """The results of one sweep, as they were stored when it was read.

    In a notebook it shows its tables.
    """

    def __init__(self, stored: StoredSweep, task: Task | None = None) -> None:
        """``task`` is the one that ran, where it cannot be found by its name."""
        self._stored, self._task = stored, task

    @property
    def name(self) -> str:
        """``TASK/NAME``, as the commands take it."""
        return self._stored.manifest.full_name

    @property
    def path(self) -> str:
        """Its folder."""
        return self._stored.path

    # --- results ----------------------------------------------------------------------------------

    def table(self, max_rows: int | None = MAX_ROWS, *, published: bool = True) -> Table:
        """Everything that ``orchestrator report`` prints.

        Args:
            max_rows: configurations of a grid or a search that are shown; None for all.
            published: whether to show a paper's numbers and claims.
        """
        return Table(render(self._stored, max_rows, published=published))

    @property
    def trials(self) -> pa.Table:
        """One row a trial: id, seed, status, ``param.<name>``, ``metric.<name>``, times.

        Trials of an earlier version of the task, or of another model or data, are left out.
        ``.to_pandas()`` makes a data frame of it.
        """
        return self._current(self._stored.trials)

    @property
    def steps(self) -> pa.Table:
        """One row a trial and step: ``at`` and the metrics measured there."""
        return self._current(self._stored.steps)

    @property
    def samples(self) -> pa.Table:
        """The samples of each trial's last step."""
        return self._current(self._stored.samples)

    def _current(self, table: pa.Table) -> pa.Table:
        if not table.num_rows:
            return table
        ids: Iterable[str] = (row["trial_id"] for row in self._stored.current_rows())
        return table.filter(pc.is_in(table["trial_id"], value_set=pa.array(ids, pa.string())))

    @property
    def best(self) -> Best:
        """The best configuration; those that finished every seed go first.

        Raises:
            StoreError: if no trial has finished.
        """
        row = select_best(self._stored).row
        assert row is not None
        estimate = row.estimate
        return Best(
            params=dict(row.params),
            metrics={key.removeprefix("metric."): value for key, value in row.metrics.items()},
            interval=None if estimate is None else (estimate.low, estimate.high),
            trial_ids=tuple(row.trial_ids),
        )

    @property
    def claims(self) -> list[CheckedClaim]:
        """The paper's claims with their verdicts; empty if the space states none."""
        return check_claims(self._stored)

    def export(
        self,
        directory: str | os.PathLike[str],
        trial: str | None = None,
        *,
        overwrite: bool = False,
    ) -> Path:
        """Write a trial's model into a folder, with a model card, so that it runs by itself.

        Args:
            directory: the folder to write.
            trial: its id or a unique prefix of it; None for the first seed of the best one.
            overwrite: whether to replace an earlier export there.

        Returns:
            The folder.

        Raises:
            RequestError: if the folder is taken or cannot be written, or the model has changed.
            StoreError: if the trial's weights are not kept.
        """
        from orchestrator.sharing.model_export import export_model

        exported = export_model(
            self._stored, trial, os.fspath(directory), overwrite=overwrite, task=self._task
        )
        return exported.folder

    # --- how it shows itself ----------------------------------------------------------------------

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield self.table()

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()

    def __repr__(self) -> str:
        rows = self._stored.current_rows()
        finished = sum(row["status"] == "finished" for row in rows)
        total = max(len(rows), self._stored.manifest.num_trials or 0)
        return f"<Sweep {self.name}: {finished} of {total} trials finished, in {self.path}>"


def load(path: str | os.PathLike[str]) -> Sweep:
    """A stored sweep.

    Args:
        path: ``OUT/TASK/NAME``, such as ``runs/retrieval/paper``; also a URI, or the file that
            ``orchestrator archive`` wrote.

    Raises:
        RequestError: if the path has too few parts.
        StoreError: if the sweep does not exist or is damaged.
    """
    text = os.fspath(path).rstrip("/")
    if is_archive(text):
        return Sweep(read_archive(text))
    out, _, rest = text.rpartition("/")
    out, _, task = out.rpartition("/")
    if not task or not rest:
        raise RequestError(
            f"load takes OUT/TASK/NAME, such as runs/retrieval/paper, but got {text!r}"
        )
    root = out or ("/" if text.startswith("/") else ".")
    return Sweep(read_sweep(root, task, ALIASES.get(rest, rest)))
