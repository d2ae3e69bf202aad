"""Match the trials of two sweeps by configuration and seed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from results.storage.reading import Sweep
from results.tables.summary import format_plain

Key = tuple[str, int]  # parameters as JSON, and the seed
Row = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class TrialPairs:
    """Two sweeps of one task, and their trials for the current model and data."""

    first: Sweep
    second: Sweep

    @cached_property
    def trials(self) -> tuple[dict[Key, Row], dict[Key, Row]]:
        """The trials of each sweep."""
        return _trials(self.first), _trials(self.second)

    @cached_property
    def common(self) -> list[Key]:
        """The keys of trials in both sweeps, in the order of the first."""
        return [key for key in self.trials[0] if key in self.trials[1]]

    def rows(self) -> Iterator[tuple[str, Row, Row]]:
        """Yield a description and both rows of each common trial."""
        for key in self.common:
            yield self.describe(key), self.trials[0][key], self.trials[1][key]

    def has_same_seeds(self, params: str) -> bool:
        """Return whether both sweeps have this configuration, with the same seeds."""
        seeds = [{key[1] for key in part if key[0] == params} for part in self.trials]
        return bool(seeds[0]) and seeds[0] == seeds[1]

    def describe(self, key: Key) -> str:
        """Describe a trial by its varying parameters and its seed: ``lr 1e-3, seed 0``."""
        return ", ".join([*self._varying(key[0]), f"seed {key[1]}"])

    def describe_params(self, params: str) -> str:
        """Describe a configuration by its varying parameters."""
        return ", ".join(self._varying(params)) or "all"

    def _varying(self, params: str) -> list[str]:
        values = json.loads(params)
        return [f"{name} {format_plain(values.get(name))}" for name in self._names]

    @cached_property
    def _names(self) -> list[str]:
        params = [json.loads(text) for text in {key[0] for part in self.trials for key in part}]
        first = next(iter({**self.trials[0], **self.trials[1]}))
        names: Sequence[str] = [*json.loads(first[0]), *(n for p in params for n in p)]
        return [
            name
            for name in dict.fromkeys(names)
            if len({json.dumps(each.get(name)) for each in params}) > 1
        ]


def params_key(params: Mapping[str, Any]) -> str:
    """Return parameters as a key."""
    return json.dumps(params, sort_keys=True)


def _trials(sweep: Sweep) -> dict[Key, Row]:
    return {
        (
            params_key({k[6:]: v for k, v in row.items() if k.startswith("param.")}),
            row["seed"],
        ): row
        for row in sweep.current_rows()
    }
