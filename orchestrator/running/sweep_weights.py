"""Manages the weights of one sweep: where workers write them, and which are kept."""

from __future__ import annotations

import os
import shlex
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from orchestrator.running.recorded import recorded_trial
from orchestrator.saving.keep_policy import NOTHING, Choice, choose_kept
from orchestrator.saving.weight_keeper import EndedTrial, WeightKeeper, params_key
from orchestrator.search.history import open_history
from results.redaction import redact
from results.storage.manifest import Manifest
from results.storage.reading import Sweep, is_current
from results.storage.weights import WeightStore, weights_of
from results.tables.summary import summarize
from results.text import plural, size_text
from tasks.contract import StoreError, Trial

if TYPE_CHECKING:
    from orchestrator.running.plan import Plan


class SweepWeights:
    """The weights of a sweep during one run."""

    def __init__(self, plan: Plan) -> None:
        self._plan, self._out = plan, plan.request.out
        self._is_explicit = plan.request.keep is not None
        self._store = WeightStore(self._out, plan.task.name, plan.name)
        #: Where workers write weights; None if none are kept.
        self.target = None if plan.keep == "none" else self._store
        self._before = {*self._store.sizes(), *self._store.leftovers()}
        column = next(c for c in plan.task.columns if c.key == f"metric.{plan.task.metric.name}")
        self._maximize = plan.task.metric.direction == "maximize"
        self.keeper = WeightKeeper(
            self._store,
            plan.keep,
            seeds={*plan.seeds_before, *plan.seeds},
            value=f"best.{column.key[7:]}" if column.pick == "best" else column.key,
            maximize=self._maximize,
            tables=_tables(plan) if plan.space.is_report else {},
        )

    def load_earlier(self, manifest: Manifest) -> None:
        """Pass the trials of earlier runs, and those reused from other sweeps, to the keeper."""
        history = open_history(self._out, self._plan.task.name, self._plan.name)
        rows = [
            row
            for row in history.rows()
            if row["status"] != "interrupted" and is_current(row, manifest)
        ]
        found = weights_of(history, rows)
        ended = []
        for row in rows:
            store, size = found.get(row["trial_id"], (None, 0))
            is_here = store is not None and store.uri == self._store.uri
            ended.append(
                EndedTrial(row=row, num_bytes=size if is_here else 0, has_weights=size > 0)
            )
        self.keeper.add(ended)

    # --- when the sweep is complete ---------------------------------------------------------------

    def to_run_again(self, sweep: Sweep) -> list[Trial]:
        """Return the finished trials that ``--keep`` selects but that have no weights."""
        if not self._is_explicit or self._plan.keep == "none":
            return []
        rows, available = self._available(sweep)
        missing = self._choose(sweep, available).wanted - available.keys()
        return [recorded_trial(self._plan.task, row) for row in rows if row["trial_id"] in missing]

    def _available(
        self, sweep: Sweep
    ) -> tuple[list[dict[str, Any]], dict[str, tuple[WeightStore, int]]]:
        rows = [row for row in sweep.current_rows() if row["status"] == "finished"]
        return rows, weights_of(sweep, rows)

    def _choose(self, sweep: Sweep, available: Mapping[str, Any]) -> Choice:
        return choose_kept(
            summarize(sweep, None),
            self._plan.keep,
            maximize=self._maximize,
            available=available.keys(),
        )

    def finish(self, sweep: Sweep, is_complete: bool) -> list[str]:
        """Delete the weights that a complete sweep does not keep.

        Returns:
            Lines that describe the kept weights to the user.
        """
        _, available = self._available(sweep)
        if not (available or self._is_explicit or self._before or self._store.sizes()):
            return []
        if not is_complete:
            return self._describe_candidates()
        choice = self._choose(sweep, available) if self._plan.keep != "none" else NOTHING
        kept = {trial_id: available[trial_id] for trial_id in choice.kept & available.keys()}
        here = {t: size for t, (store, size) in kept.items() if store.uri == self._store.uri}
        try:
            self._store.sync(sorted(here))
            earlier = self._delete_others(here, sweep)
        except StoreError as error:
            return [f"Could not delete weights that are no longer needed: {error}."]
        return self._describe(choice, kept, earlier)

    def _delete_others(self, here: Mapping[str, int], sweep: Sweep) -> set[str]:
        """Delete all other files, except those that may still be needed.

        These are the weights of trials of an earlier version, model or data set, which the sweep
        kept when it was complete, and those of another run of this sweep: files that did not exist
        when this run started, and whose trials have no result yet.

        Returns:
            The ids of the former.
        """
        ended = {row["trial_id"] for row in sweep.rows() if row["status"] != "interrupted"}
        stored = self._store.sizes().keys()
        earlier = (stored & ended) - {row["trial_id"] for row in sweep.current_rows()}
        for trial_id in stored & (ended | self._before) - here.keys() - earlier:
            self._store.delete(trial_id)
        for name in self._store.leftovers() & self._before:
            self._store.delete_file(name)
        self._store.delete_folder()
        return earlier

    def _describe(
        self,
        choice: Choice,
        kept: Mapping[str, tuple[WeightStore, int]],
        earlier: Collection[str],
    ) -> list[str]:
        lines = []
        sweep, out = self._store.sweep, self._out
        if kept:
            size = size_text(sum(size for _, size in kept.values()))
            given = "" if out == "runs" else f" --out {shlex.quote(redact(out))}"
            folders = sorted({store.sweep for store, _ in kept.values()}, key=lambda s: s != sweep)
            places = " and ".join(os.path.join(redact(out), each, "weights") for each in folders)
            lines.append(
                f"Kept the weights of {plural(len(kept), 'trial')} ({size}) in {places}; export "
                f"them with: python -m orchestrator export {sweep} DIR{given}"
            )
        num_missing = len(choice.wanted - kept.keys())
        if num_missing and kept:
            number = plural(num_missing, "further trial")
            has, them = ("has", "it") if num_missing == 1 else ("have", "them")
            lines.append(
                f"{number} to keep {has} no weights, which an earlier run did not keep. To train "
                f"{them} again, add --keep {self._plan.keep} to the command."
            )
        if earlier:
            lines.append(
                f"The weights of {plural(len(earlier), 'trial')} of an earlier version, model or "
                f"data set are still in {os.path.join(redact(out), sweep, 'weights')}."
            )
        return lines

    def _describe_candidates(self) -> list[str]:
        sizes = self._store.sizes()
        if not sizes:
            return []
        folder = os.path.join(redact(self._out), self._store.sweep, "weights")
        return [
            f"The weights of {plural(len(sizes), 'trial')} ({size_text(sum(sizes.values()))}) are "
            f"in {folder}. When the sweep is complete, it keeps those that --keep asks for."
        ]


def _tables(plan: Plan) -> dict[str, frozenset[int]]:
    """Return the indices of the tables that contain each configuration, by ``params_key``."""
    found: dict[str, set[int]] = {}
    for number, rows in enumerate(plan.planned):
        for row in rows:
            found.setdefault(params_key(row.trials[0].param_values()), set()).add(number)
    return {key: frozenset(numbers) for key, numbers in found.items()}
