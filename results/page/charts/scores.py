"""The finished trials of a chart: their parameters that differ, and their main metric."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from results.figures.charts import short_id
from results.statistics.importance import explained_variance
from results.storage.reading import Sweep
from results.tables.cell_text import format_plain, heading

MAX_TICKS = 12  # texts beside an axis of categories


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """A parameter of N trials."""

    key: str  # param.lr
    label: str
    values: Sequence[Any]  # [N]

    @cached_property
    def is_number(self) -> bool:
        """Whether its values stand on an axis of numbers."""
        return all(
            isinstance(value, (int, float)) and not isinstance(value, bool) for value in self.values
        )

    @cached_property
    def is_log(self) -> bool:
        """Whether its values are positive and span a factor of 50."""
        return self.is_number and min(self.values) > 0 and max(self.values) >= 50 * min(self.values)

    @cached_property
    def levels(self) -> list[Any]:
        """Its values, each once: numbers by size, then texts."""
        distinct = {repr(value): value for value in self.values}.values()
        return sorted(distinct, key=lambda v: (0, v, "") if _is_number(v) else (1, 0, str(v)))

    def axis(self) -> dict[str, Any]:
        """Return what an axis of its values needs, beside a title."""
        if self.is_log:
            return {"type": "log", "dtick": 1}  # powers of ten alone
        if self.is_number:
            return {"type": "linear"}
        return {"type": "category", "categoryarray": [format_plain(v) for v in self.levels]}

    def shown(self) -> list[Any]:
        """Its values as points on that axis [N]."""
        return list(self.values) if self.is_number else [format_plain(v) for v in self.values]


@dataclass(frozen=True, kw_only=True)
class Scored:
    """N finished trials with a main metric."""

    rows: Sequence[Mapping[str, Any]]  # [N]
    parameters: Sequence[Parameter]  # those that differ
    scores: Sequence[float]  # [N], as tables print them: percent are 0..100
    label: str  # of the metric
    maximize: bool

    @cached_property
    def importances(self) -> list[tuple[Parameter, float]]:
        """The share of variance that each parameter explains, the largest first."""
        found = [(one, explained_variance(one.values, self.scores)) for one in self.parameters]
        known = [(one, share) for one, share in found if not math.isnan(share)]
        return sorted(known, key=lambda pair: -pair[1])

    @cached_property
    def ranked(self) -> list[Parameter]:
        """The parameters, the most important first; last those whose importance is unknown."""
        known = [one for one, _ in self.importances]
        return [*known, *(one for one in self.parameters if one not in known)]

    @cached_property
    def hover(self) -> list[str]:
        """The trial's id and parameters for each trial [N]."""
        texts = []
        for number, row in enumerate(self.rows):
            parts = [f"{p.label} {format_plain(p.values[number])}" for p in self.parameters]
            texts.append(", ".join([short_id(row), *parts, f"seed {row['seed']}"]))
        return texts


def scored(sweep: Sweep, rows: Sequence[Mapping[str, Any]]) -> Scored:
    """Return the finished ones of these trials whose main metric is a finite number."""
    manifest = sweep.manifest
    main = manifest.main_column
    stored = main.key.replace("metric.", "best.", 1) if main.pick == "best" else main.key
    done = [
        row
        for row in rows
        if row["status"] == "finished"
        and row.get(stored) is not None
        and math.isfinite(row[stored])
    ]
    scale = 100 if main.format == "percent" else 1
    known = manifest.columns_by_key
    parameters = []
    for name in manifest.params:
        key = f"param.{name}"
        values = [row.get(key) for row in done]
        if len({repr(value) for value in values}) > 1:
            label = known[key].label if key in known else name
            parameters.append(Parameter(key=key, label=label, values=values))
    return Scored(
        rows=done,
        parameters=parameters,
        scores=[scale * row[stored] for row in done],
        label=heading(main),
        maximize=manifest.maximize,
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
