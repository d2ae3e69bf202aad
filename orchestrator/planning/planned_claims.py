"""Makes the claims that ``sweep.json`` records, so that ``check`` needs neither task nor space.

The claims that a space states come first. Derived claims follow: one for every pair of rows of one
table whose published numbers differ by more than the noise of published numbers. That noise is the
larger of

    the largest difference between published numbers of the same configuration, and
    1.96 standard errors of the difference of two numbers. The standard error is
    sqrt(p (1 - p) / n) for a share p of n units, and what the space states for other metrics.

Rows of the same configuration count as one row, whose published number is their mean.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from orchestrator.planning.claim_checks import find_row
from orchestrator.planning.params import make_params
from orchestrator.planning.plan import PlannedRow
from orchestrator.planning.spaces import Space
from results.storage.manifest_parts import NumberSide, PublishedSource, RecordedClaim, RowSide
from results.tables.summary import format_plain, format_value
from search_spaces.space import Claim, Row, Scalar, Side, Value
from tasks.contract import Task

Z = 1.959963984540054  # 97.5 % quantile of the normal distribution


@dataclass(frozen=True, kw_only=True)
class PublishedRows:
    """The rows of a REPORT, with their published numbers and readable names."""

    space: Space
    planned: Sequence[Sequence[PlannedRow]]
    task: Task

    @cached_property
    def rows(self) -> list[tuple[int, Row, str]]:
        """(table, row, key) of every row; rows of the same configuration have equal keys."""
        return [
            (number, planned.row, self.key(planned.row))
            for number, table in enumerate(self.planned)
            for planned in table
        ]

    def key(self, row: Row) -> str:
        """Return a row's configuration as text."""
        return json.dumps(self.values(row), sort_keys=True)

    def values(self, row: Row) -> dict[str, Scalar]:
        """Return all of a row's parameters as in the paper, without ``--set`` values."""
        params = make_params(self.task, row.params)
        return {name: getattr(params, name) for name in params.__dataclass_fields__}

    def numbers(self, row: Row, metric: str) -> list[float]:
        """Return the published numbers of a row's configuration, one for each row that has it."""
        key = self.key(row)
        found = [r.report.get(f"metric.{metric}") for _, r, k in self.rows if k == key]
        return [number for number in found if number is not None]

    def number(self, row: Row, metric: str) -> float | None:
        """Return the mean of the published numbers of a row's configuration, or None."""
        found = self.numbers(row, metric)
        return sum(found) / len(found) if found else None

    @cached_property
    def repeat_difference(self) -> float:
        """The largest difference between published numbers of the same configuration."""
        every = (self.numbers(row, self.task.metric.name) for _, row, _ in self.rows)
        return max((max(found) - min(found) for found in every if found), default=0.0)

    def noise(self, one: float, other: float) -> float:
        """Return by how much two published numbers may differ by chance; infinite if unknown."""
        published = self.space.published
        if published is None:
            return math.inf
        if published.standard_error is not None:
            variance = 2 * published.standard_error**2
        elif published.num_units is not None:
            variance = (one * (1 - one) + other * (1 - other)) / published.num_units
        else:
            return self.repeat_difference or math.inf
        return max(self.repeat_difference, Z * math.sqrt(variance))

    # --- names ------------------------------------------------------------------------------------

    def varying(self, table: int | None = None) -> list[str]:
        """Return the parameters that differ among the rows of one table, or of all tables."""
        values = [self.values(row) for number, row, _ in self.rows if table in (None, number)]
        names = [n for n in values[0] if len({json.dumps(v[n]) for v in values}) > 1]
        order = [column.key.removeprefix("param.") for column in self.task.columns]
        return sorted(names, key=lambda n: order.index(n) if n in order else len(order))

    def describe(self, row: Row, names: Sequence[str]) -> str:
        """Describe a row by these parameters: ``lr 1e-5, temperature 0.1``."""
        values = self.values(row)
        labels = {column.key: column.label for column in self.task.columns}
        return ", ".join(
            f"{labels.get(f'param.{n}', n)} {format_plain(values[n])}"
            for n in names
            if values[n] is not None
        )

    def label(self, row: Row) -> str:
        """Return a row's label, or the parameters that distinguish it."""
        return row.label or self.describe(row, self.varying()) or "the only row"

    def show(self, number: float) -> str:
        """Format a value of the main metric as the tables print it."""
        key = f"metric.{self.task.metric.name}"
        form = next(column.format for column in self.task.columns if column.key == key)
        return format_value(number, form)


def plan_claims(published: PublishedRows) -> list[RecordedClaim]:
    """Return the stated claims of a space, followed by the derived ones."""
    stated = [_make_stated(published, claim) for claim in published.space.claims]
    known = {_identity(claim) for claim in stated}
    derived = []
    for number in range(len(published.planned)):
        for claim in _derive_claims(published, number):
            if _identity(claim) not in known:
                known.add(_identity(claim))
                derived.append(claim)
    return [*stated, *derived]


def _identity(claim: RecordedClaim) -> str:
    """Return a key that is equal for equivalent claims, such as A > B and B < A."""
    sides, relation = claim.sides, str(claim.relation)
    if relation.startswith("<"):
        sides, relation = sides[::-1], relation.replace("<", ">")
    named = [s.number if isinstance(s, NumberSide) else (s.metric, s.params) for s in sides]
    return json.dumps([relation, claim.margin, named], sort_keys=True)


def _make_stated(published: PublishedRows, claim: Claim) -> RecordedClaim:
    replaced = _replaced_params(published, claim.left, claim.right)
    names = " and ".join(f"--set {name}" for name in replaced)
    return RecordedClaim(
        text=claim.text,
        kind="stated",
        relation=claim.relation,
        margin=float(claim.margin),
        left=_side(published, claim.left),
        right=_side(published, claim.right),
        untested=f"{names} replaces what the claim is about" if replaced else "",
    )


def _replaced_params(published: PublishedRows, left: Side, right: Side) -> list[str]:
    """Return the parameters that a claim is about and that ``--set`` replaces.

    A claim can be tested under another protocol, such as more epochs for both of its rows. It
    cannot be tested if ``--set`` replaces a parameter that differs between its rows or varies in
    its table.
    """
    rows = [side.row if isinstance(side, Value) else side for side in (left, right)]
    found = [
        find_row(row, published.space.tables, "a claim")
        for row in rows
        if not isinstance(row, (int, float))
    ]
    planned = [published.planned[table][position] for table, position in found]
    values = [published.values(each.row) for each in planned]
    about = {n for n in values[0] if len({json.dumps(v[n]) for v in values}) > 1}
    if len({table for table, _ in found}) == 1:
        about |= set(published.varying(found[0][0]))
    changed = {name for each in planned for name in each.changed}
    return [name for name in published.varying() if name in about & changed]


def _side(published: PublishedRows, side: Side, label: str | None = None) -> RowSide | NumberSide:
    if isinstance(side, (int, float)):
        return NumberSide(number=float(side))
    metric = side.metric if isinstance(side, Value) else published.task.metric.name
    row = side.row if isinstance(side, Value) else side
    table, position = find_row(row, published.space.tables, "a claim")
    planned = published.planned[table][position]
    return RowSide(
        label=label or published.label(planned.row),
        metric=metric,
        params=planned.trials[0].param_values(),
        published=None if planned.changed else published.number(planned.row, metric),
    )


def _derive_claims(published: PublishedRows, table: int) -> list[RecordedClaim]:
    """Return a claim for each pair of rows whose published numbers differ by more than noise."""
    metric = published.task.metric
    names = published.varying(table)
    rows: dict[str, Row] = {}
    for number, row, key in published.rows:
        if number == table and f"metric.{metric.name}" in row.report:
            rows.setdefault(key, row)
    found = []
    for pair in itertools.combinations(rows.values(), 2):
        if _replaced_params(published, *pair):
            continue
        numbers = {id(row): published.number(row, metric.name) or 0.0 for row in pair}
        low, high = sorted(pair, key=lambda row: numbers[id(row)])
        if numbers[id(high)] - numbers[id(low)] <= published.noise(*numbers.values()):
            continue
        better, worse = (high, low) if metric.direction == "maximize" else (low, high)
        found.append(_make_derived(published, better, worse, names))
    return found


def _make_derived(
    published: PublishedRows, better: Row, worse: Row, names: Sequence[str]
) -> RecordedClaim:
    """Return the claim "A beats B (shared parameters)", where A and B name what differs."""
    values = published.values(better), published.values(worse)
    shared = [name for name in names if values[0][name] == values[1][name]]
    differing = [name for name in names if name not in shared]
    labels = [row.label or published.describe(row, differing) for row in (better, worse)]
    common = published.describe(better, shared)
    return RecordedClaim(
        text=f"{labels[0]} beats {labels[1]}" + (f" ({common})" if common else ""),
        kind="published",
        relation=">" if published.task.metric.direction == "maximize" else "<",
        margin=0.0,
        left=_side(published, better, labels[0]),
        right=_side(published, worse, labels[1]),
    )


def plan_published(published: PublishedRows) -> PublishedSource | None:
    """Return the source of the published numbers, with a line that describes their noise."""
    source = published.space.published
    if source is None:
        return None
    repeat = published.show(published.repeat_difference)
    parts = [f"one configuration published twice differs by {repeat}"]
    if source.standard_error is not None:
        error = published.show(source.standard_error)
        parts.append(f"1.96 standard errors of a difference of two numbers, each {error}")
    elif source.num_units is not None:
        parts.append(f"1.96 binomial standard errors of a difference over {source.num_units}")
    if not published.repeat_difference:
        del parts[0]
    noise = " or ".join(parts) + (", whichever is larger" if len(parts) > 1 else "")
    if not parts:
        noise = "not stated"
    ground = f" ({source.noise})" if source.noise else ""
    return PublishedSource(model=source.model, data=source.data, noise=noise + ground)
