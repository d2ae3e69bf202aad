"""The results of a sweep in Python: tables, the best configuration, claims, and its model."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from rich.console import Console, ConsoleOptions, RenderResult

from orchestrator.api.table import Table
from orchestrator.planning.spaces import ALIASES
from results.archive.files import is_archive
from results.archive.sweep import read_archive
from results.claims.verdicts import CheckedClaim, check_claims
from results.render.sweep_tables import render
from results.storage.reading import Sweep as StoredSweep
from results.storage.reading import read_sweep
from results.tables.selection import select_best
from results.tables.summary import MAX_ROWS
from tasks.contract import RequestError, Scalar, Task


@dataclass(frozen=True, kw_only=True)
class Best:
    """The best configuration of a sweep by its main metric."""

    params: Mapping[str, Scalar]
    metrics: Mapping[str, float]  # means over seeds, by name
    interval: tuple[float, float] | None  # 95 % interval of the main metric, if it has one
    trial_ids: tuple[str, ...]  # one per finished seed


class Sweep:
    """The results of one sweep at the time when it was read.

    In a notebook, a cell that ends in a sweep displays its tables.
    """

    def __init__(self, stored: StoredSweep, task: Task | None = None) -> None:
        """Create it from a stored sweep. ``task`` is required if no task has the stored name."""
        self._stored, self._task = stored, task

    @property
    def name(self) -> str:
        """``TASK/NAME``, which every command accepts."""
        return self._stored.manifest.full_name

    @property
    def path(self) -> str:
        """The folder of the sweep."""
        return self._stored.path

    # --- results ----------------------------------------------------------------------------------

    def table(self, max_rows: int | None = MAX_ROWS, *, published: bool = True) -> Table:
        """Return everything that ``orchestrator report`` prints.

        Args:
            max_rows: maximum number of configurations of a grid or a search; None for all.
            published: whether to show the paper's numbers and claims.
        """
        return Table(render(self._stored, max_rows, published=published))

    @property
    def trials(self) -> pa.Table:
        """One row per trial: id, seed, status, ``param.<name>``, ``metric.<name>``, times.

        It omits trials of an earlier version of the task, of another model and of other data.
        ``.to_pandas()`` converts it to a data frame.
        """
        return self._stored.current(self._stored.trials)

    @property
    def steps(self) -> pa.Table:
        """One row per trial and step: ``at`` and the metrics of the step."""
        return self._stored.current(self._stored.steps)

    @property
    def samples(self) -> pa.Table:
        """The samples of each trial's last step."""
        return self._stored.current(self._stored.samples)

    @property
    def best(self) -> Best:
        """The best configuration, among those with all seeds finished if there are any.

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
        """Write a trial's model and a model card to a folder. The model runs without this project.

        Args:
            directory: the folder to write.
            trial: id of the trial or a unique prefix of it; None for the first seed of the best
                configuration.
            overwrite: whether to replace an earlier export in the folder.

        Returns:
            The folder.

        Raises:
            RequestError: if the folder exists or cannot be written, or the model has changed.
            StoreError: if the weights of the trial were not kept.
        """
        from orchestrator.sharing.model_export import export_model

        exported = export_model(
            self._stored, trial, os.fspath(directory), overwrite=overwrite, task=self._task
        )
        return exported.folder

    # --- display ----------------------------------------------------------------------------------

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
    """Read a stored sweep.

    Args:
        path: ``OUT/TASK/NAME``, such as ``runs/retrieval/paper``, a URI, or a file written by
            ``orchestrator archive``.

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
