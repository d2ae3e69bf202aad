"""Finds mistakes in a paper's own numbers: those a space declares, and those detected here."""

from __future__ import annotations

import math
from collections.abc import Sequence

from orchestrator.planning.claim_checks import find_row
from orchestrator.planning.planned_claims import PublishedRows
from results.storage.manifest_parts import RecordedClaim, RecordedErratum
from search_spaces.space import Erratum, Row

_ROUNDING = 1e-4  # published percentages have two decimals, rounded or truncated


def plan_errata(published: PublishedRows, claims: Sequence[RecordedClaim]) -> list[RecordedErratum]:
    """Return the declared errata with their evidence, followed by the detected ones."""
    found = [_declared(published, erratum) for erratum in published.space.errata]
    declared = {
        published.key(_row(published, erratum.repeated))
        for erratum in published.space.errata
        if erratum.repeated is not None
    }
    found += [
        RecordedErratum(text=text, evidence=evidence, shown=True)
        for key, text, evidence in _repeated(published)
        if key not in declared
    ]
    return found + [_unsupported(claim) for claim in claims if _contradicts_paper(claim)]


def _row(published: PublishedRows, side: Row | str) -> Row:
    table, position = find_row(side, published.space.tables, "an erratum")
    return published.planned[table][position].row


def _declared(published: PublishedRows, erratum: Erratum) -> RecordedErratum:
    checks = []
    if erratum.best is not None:
        checks.append(_check_best(published, _row(published, erratum.best)))
    if erratum.repeated is not None:
        checks.append(_check_repeated(published, _row(published, erratum.repeated)))
    if erratum.shares_of is not None:
        checks.append(_check_shares(published, erratum.shares_of))
    return RecordedErratum(
        text=erratum.text,
        evidence="; ".join(evidence for _, evidence in checks),
        shown=all(shown for shown, _ in checks) if checks else None,
    )


def _check_best(published: PublishedRows, named: Row) -> tuple[bool, str]:
    """Return whether a better row is published in the same table, and the evidence."""
    metric = published.task.metric
    sign = 1.0 if metric.direction == "maximize" else -1.0
    key = published.key(named)
    tables = {number for number, _, k in published.rows if k == key}
    rivals = [
        (sign * number, row)
        for table, row, _ in published.rows
        if table in tables and (number := published.number(row, metric.name)) is not None
    ]
    ours = published.number(named, metric.name)
    if ours is None or not rivals:
        return False, "the named row has no published number"
    value, best = max(rivals, key=lambda rival: rival[0])
    if value <= sign * ours:
        return False, f"the published numbers do not show it: {published.show(ours)} is the best"
    return True, (
        f"the named row has {published.show(ours)}, but {published.label(best)} "
        f"has {published.show(sign * value)}"
    )


def _check_repeated(published: PublishedRows, row: Row) -> tuple[bool, str]:
    """Return whether several rows are of the same configuration, and the evidence."""
    numbers = published.numbers(row, published.task.metric.name)
    listed = ", ".join(map(published.show, numbers))
    return len(numbers) > 1, f"{len(numbers)} rows of the tables have it, published as {listed}"


def _check_shares(published: PublishedRows, units: int) -> tuple[bool, str]:
    """Return whether every published main metric is k / units, and how likely that is by chance."""
    metric = published.task.metric.name
    numbers = sorted({r.report[f"metric.{metric}"] for _, r, _ in published.rows if r.report})
    off = [abs(number - round(number * units) / units) for number in numbers]
    hits = sum(error <= _ROUNDING for error in off)
    chance = min(1.0, 2 * _ROUNDING * units) ** len(numbers)
    text = f"{hits} of {len(numbers)} published numbers are k/{units} to two decimals"
    if hits == len(numbers) and chance < 1:
        text += f"; by chance, this happens about once in {_round(1 / chance):,} cases"
    return hits == len(numbers) and chance < 0.05, text


def _round(value: float) -> int:
    """Round to one significant digit, because the estimate is rough."""
    step = 10.0 ** math.floor(math.log10(value))
    return int(round(value / step) * step)


def _repeated(published: PublishedRows) -> list[tuple[str, str, str]]:
    """Return (key, text, evidence) of each configuration with several published numbers."""
    found = []
    metric = published.task.metric.name
    for key in dict.fromkeys(key for _, _, key in published.rows):
        row = next(r for _, r, k in published.rows if k == key)
        numbers = published.numbers(row, metric)
        if len(numbers) < 2:
            continue
        listed = ", ".join(map(published.show, numbers))
        label = published.label(row)
        if max(numbers) > min(numbers):
            text = f"One configuration has several published numbers: {label}"
            difference = published.show(max(numbers) - min(numbers))
            evidence = f"{listed}: a difference of {difference} by chance"
        else:
            text = f"One configuration has {len(numbers)} rows: {label}"
            evidence = f"published as {listed}"
        found.append((key, text, evidence))
    return found


def _contradicts_paper(claim: RecordedClaim) -> bool:
    """Return whether a stated claim does not hold for the published numbers of its rows."""
    left, right = claim.left.published, claim.right.published
    if claim.kind != "stated" or left is None or right is None:
        return False
    difference, margin = left - right, claim.margin
    holds = {
        ">": difference > 0,
        "<": difference < 0,
        ">=": difference >= -margin,
        "<=": difference <= margin,
        "==": abs(difference) <= margin,
    }
    return not holds[claim.relation]


def _unsupported(claim: RecordedClaim) -> RecordedErratum:
    return RecordedErratum(
        text=f"The paper's own numbers do not support this claim: {claim.text}",
        evidence=f"{claim.left.published:.4g} and {claim.right.published:.4g}",
        shown=True,
    )
