"""Keeps the weights of a running sweep within the limits of ``keep_policy``.

Weights are deleted only when better results and their weights are durable. At any time, even after
a kill or a power failure, the best finished configuration has the weights of all its seeds.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from orchestrator.saving import keep_policy
from orchestrator.saving.final_weights import SavedWeights
from orchestrator.saving.keep_policy import Candidate, Keep, choose_deletions
from results.storage.schema import NO_MORE_SEEDS
from results.storage.weights import WeightStore
from tasks.contract import StoreError


@dataclass(frozen=True, kw_only=True, slots=True)
class EndedTrial:
    """A trial whose result is durable."""

    row: Mapping[str, Any]  # of the ``trials`` table
    num_bytes: int = 0  # of its weights in this sweep's folder
    has_weights: bool = False  # in this sweep's folder or in the sweep from which it was reused


@dataclass(kw_only=True, slots=True)
class _Configuration:
    values: dict[int, float] = field(default_factory=dict)  # seed -> main metric, if finished
    sizes: dict[str, int] = field(default_factory=dict)  # trial id -> bytes in this sweep's folder
    missing: set[int] = field(default_factory=set)  # finished seeds without weights
    is_incomplete: bool = False  # whether a seed failed or will not run


class WeightKeeper:
    """Deletes weights of a running sweep. Only one thread at a time may call ``add``."""

    def __init__(
        self,
        store: WeightStore,
        keep: Keep,
        *,
        seeds: Collection[int],
        value: str,
        maximize: bool,
        tables: Mapping[str, frozenset[int]],
    ) -> None:
        """Create a keeper.

        Args:
            store: the sweep's weights.
            keep: the value of ``--keep``.
            seeds: the seeds of each configuration.
            value: the column of the main metric in a row.
            maximize: whether a larger main metric is better.
            tables: ``params_key`` of a configuration -> the numbers of the tables in which it has a
                row; empty if there is only one table.
        """
        self._store, self._keep, self._seeds = store, keep, set(seeds)
        self._value, self._maximize, self._tables = value, maximize, tables
        self.print_line: Callable[[str], None] = lambda line: None  # prints a line for the user
        self.is_reported = False  # whether the user knows why weights are missing
        self._configurations: dict[str, _Configuration] = {}  # whose weights were not deleted
        self._deleted: dict[str, set[int]] = {}  # the other configurations -> finished seeds
        self._num_bytes = 0  # of all weights
        self._num_held = 0  # configurations with weights
        self._durable: set[str] = set()  # trials whose weights survive a power failure
        self._num_best = keep if isinstance(keep, int) else 1
        num_tables = len(frozenset[int]().union(*tables.values())) or 1
        self._max_configurations = max(keep_policy.MAX_CONFIGURATIONS, self._num_best * num_tables)

    def add(self, ended: Iterable[EndedTrial]) -> None:
        """Record trials whose results are durable, and delete weights that exceed the limits."""
        for trial in ended:
            if trial.num_bytes or self._configurations:
                self._add_trial(trial)
        if self._keep in ("all", "none"):
            return
        if self._num_bytes <= keep_policy.MAX_BYTES and self._num_held <= self._max_configurations:
            return
        deletions = choose_deletions(
            self._candidates(),
            maximize=self._maximize,
            num_best=self._num_best,
            max_bytes=keep_policy.MAX_BYTES,
            max_configurations=self._max_configurations,
        )
        if deletions:
            self._delete(deletions)

    def _add_trial(self, trial: EndedTrial) -> None:
        row = trial.row
        key, seed, value = row_key(row), row["seed"], row.get(self._value)
        configuration = self._configurations.get(key)
        if configuration is None:
            configuration = _Configuration(missing=self._deleted.pop(key, set()))
            self._configurations[key] = configuration
        if row["status"] != "finished" or value is None:
            configuration.is_incomplete = True
            return
        configuration.values[seed] = float(value)
        configuration.is_incomplete |= row.get("reason") == NO_MORE_SEEDS
        if trial.has_weights:
            configuration.missing.discard(seed)
        else:
            configuration.missing.add(seed)
        if trial.num_bytes:
            self._num_held += not configuration.sizes
            self._num_bytes += trial.num_bytes - configuration.sizes.get(row["trial_id"], 0)
            configuration.sizes[row["trial_id"]] = trial.num_bytes
            self._durable.discard(row["trial_id"])

    def _candidates(self) -> list[Candidate]:
        candidates = []
        for key, each in self._configurations.items():
            if not each.values:
                continue
            is_complete = self._seeds <= each.values.keys()
            is_broken = each.is_incomplete or each.missing
            candidate = Candidate(
                key=key,
                value=sum(each.values.values()) / len(each.values),
                num_bytes=sum(each.sizes.values()),
                state="broken" if is_broken else "complete" if is_complete else "unfinished",
                tables=self._tables.get(key, frozenset({0})),
            )
            candidates.append(candidate)
        return candidates

    def _delete(self, keys: Sequence[str]) -> None:
        """Delete the weights of these configurations after making the others durable."""
        deleted = [self._configurations.pop(key) for key in keys]
        kept = {t for each in self._configurations.values() for t in each.sizes}
        self._num_held -= len(deleted)
        self._num_bytes -= sum(sum(each.sizes.values()) for each in deleted)
        self._deleted |= {key: set(each.values) for key, each in zip(keys, deleted, strict=True)}
        try:
            self._store.sync(sorted(kept - self._durable))
            self._durable = kept
            for trial_id in (trial_id for each in deleted for trial_id in each.sizes):
                self._store.delete(trial_id)
        except StoreError as error:  # the files only use disk space
            self._report_once(f"Weights that are no longer needed were not deleted: {error}.")

    def on_saved(self, saved: SavedWeights) -> None:
        """Print a warning if a worker could not write weights, only once."""
        if saved.error:
            self._report_once(
                f"Weights were not saved: {saved.error.rstrip('.')}. The trials continue, and "
                "their results are complete."
            )

    def _report_once(self, line: str) -> None:
        if not self.is_reported:
            self.is_reported = True
            self.print_line(line)


def params_key(params: Mapping[str, Any]) -> str:
    """Return a key that is equal for all trials of a configuration."""
    return json.dumps(params, sort_keys=True)


def row_key(row: Mapping[str, Any]) -> str:
    """Return the ``params_key`` of a row."""
    return params_key({k[6:]: v for k, v in row.items() if k.startswith("param.")})
