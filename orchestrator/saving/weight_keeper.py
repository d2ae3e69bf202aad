"""Keeps the weights of a running sweep within the limits that ``keeping`` has.

Weights are deleted only when better results and their weights are durable, so that at every moment,
also after a kill or a power cut, the best configuration that finished has the weights of all seeds.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from orchestrator.saving import keeping
from orchestrator.saving.final_weights import Written
from orchestrator.saving.keeping import Candidate, Keep, choose_deletions
from results.storage.schema import NO_MORE_SEEDS
from results.storage.weights import WeightStore
from tasks.contract import StoreError


@dataclass(frozen=True, kw_only=True, slots=True)
class EndedTrial:
    """A trial whose result is durable."""

    row: Mapping[str, Any]  # of the results
    num_bytes: int = 0  # of its weights in this sweep's folder
    has_weights: bool = False  # there, or in the sweep that it was reused from


@dataclass(kw_only=True, slots=True)
class _Configuration:
    values: dict[int, float] = field(default_factory=dict)  # of finished trials, by seed
    sizes: dict[str, int] = field(default_factory=dict)  # of weights in this folder, by trial
    missing: set[int] = field(default_factory=set)  # finished seeds without weights
    cut: bool = False  # some seed failed, or does not run


class WeightKeeper:
    """The weights of one running sweep. ``add`` is called by one thread at a time."""

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
        """What the choice depends on.

        Args:
            store: the sweep's weights.
            keep: the value of ``--keep``.
            seeds: all that a configuration runs at.
            value: the column of the main metric in a row.
            maximize: whether a larger one is better.
            tables: those that a configuration has a row in, by ``params_key``; else there is one.
        """
        self._store, self._keep, self._seeds = store, keep, set(seeds)
        self._value, self._maximize, self._tables = value, maximize, tables
        self.say: Callable[[str], None] = lambda line: None  # takes a line for the user
        self.is_reported = False  # whether the user knows why weights are missing
        self._configurations: dict[str, _Configuration] = {}  # whose weights are not deleted
        self._deleted: dict[str, set[int]] = {}  # the others' seeds that finished
        self._num_bytes = self._num_held = 0  # of all weights, and of configurations with some
        self._durable: set[str] = set()  # trials whose files survive a power cut
        self._num_best = keep if isinstance(keep, int) else 1
        num_tables = len(frozenset[int]().union(*tables.values())) or 1
        self._most = max(keeping.MAX_CONFIGURATIONS, self._num_best * num_tables)

    def add(self, ended: Iterable[EndedTrial]) -> None:
        """These trials are durable; what no longer fits beside them is deleted."""
        for trial in ended:
            if trial.num_bytes or self._configurations:
                self._see(trial)
        if self._keep in ("all", "none"):
            return
        if self._num_bytes <= keeping.MAX_BYTES and self._num_held <= self._most:
            return
        deletions = choose_deletions(
            self._candidates(),
            maximize=self._maximize,
            num_best=self._num_best,
            max_bytes=keeping.MAX_BYTES,
            max_configurations=self._most,
        )
        if deletions:
            self._delete(deletions)

    def _see(self, trial: EndedTrial) -> None:
        row = trial.row
        key, seed, value = row_key(row), row["seed"], row.get(self._value)
        found = self._configurations.get(key)
        if found is None:
            found = _Configuration(missing=self._deleted.pop(key, set()))
            self._configurations[key] = found
        if row["status"] != "finished" or value is None:
            found.cut = True
            return
        found.values[seed] = float(value)
        found.cut |= row.get("reason") == NO_MORE_SEEDS
        if trial.has_weights:
            found.missing.discard(seed)
        else:
            found.missing.add(seed)
        if trial.num_bytes:
            self._num_held += not found.sizes
            self._num_bytes += trial.num_bytes - found.sizes.get(row["trial_id"], 0)
            found.sizes[row["trial_id"]] = trial.num_bytes
            self._durable.discard(row["trial_id"])

    def _candidates(self) -> list[Candidate]:
        found = []
        for key, each in self._configurations.items():
            if not each.values:
                continue
            is_whole = self._seeds <= each.values.keys()
            candidate = Candidate(
                key=key,
                value=sum(each.values.values()) / len(each.values),
                num_bytes=sum(each.sizes.values()),
                state="broken"
                if each.cut or each.missing
                else ("whole" if is_whole else "unfinished"),
                tables=self._tables.get(key, frozenset({0})),
            )
            found.append(candidate)
        return found

    def _delete(self, keys: Sequence[str]) -> None:
        """Delete these configurations' weights, once the others' cannot be lost."""
        gone = [self._configurations.pop(key) for key in keys]
        stay = {t for each in self._configurations.values() for t in each.sizes}
        self._num_held -= len(gone)
        self._num_bytes -= sum(sum(each.sizes.values()) for each in gone)
        self._deleted |= {key: set(each.values) for key, each in zip(keys, gone, strict=True)}
        try:
            self._store.sync(sorted(stay - self._durable))
            self._durable = stay
            for trial_id in (trial_id for each in gone for trial_id in each.sizes):
                self._store.delete(trial_id)
        except StoreError as error:  # they take room, and no more
            self._tell(f"Weights that need not be kept are left: {error}.")

    def written(self, written: Written) -> None:
        """A worker wrote weights, or could not: report a failure to the user, once."""
        if written.problem:
            self._tell(
                f"Weights are not kept: {written.problem.rstrip('.')}. The trials go on, and their "
                "results are complete."
            )

    def _tell(self, line: str) -> None:
        if not self.is_reported:
            self.is_reported = True
            self.say(line)


def params_key(params: Mapping[str, Any]) -> str:
    """The same text for trials of one configuration."""
    return json.dumps(params, sort_keys=True)


def row_key(row: Mapping[str, Any]) -> str:
    """The ``params_key`` of a row's trial."""
    return params_key({k[6:]: v for k, v in row.items() if k.startswith("param.")})
