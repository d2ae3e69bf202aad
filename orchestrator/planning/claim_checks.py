"""Checks that the claims, errata and published numbers of a REPORT can be tested."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, get_args

from orchestrator.planning.discovery import suggest
from orchestrator.planning.space_checks import shown
from search_spaces.space import Claim, Erratum, Published, Relation, Row, Side, Table, Value
from tasks.contract import RequestError

RELATIONS: tuple[str, ...] = get_args(Relation)
_WITHOUT_MARGIN = (">", "<")


def check_claims(
    claims: Any, published: Any, errata: Any, tables: Sequence[Table], metrics: Sequence[str]
) -> None:
    """Check that claims and errata name rows of ``tables``, metrics of the task and relations.

    Raises:
        RequestError: at the first one that does not.
    """
    for name, value, kind in (("CLAIMS", claims, Claim), ("ERRATA", errata, Erratum)):
        if not isinstance(value, (list, tuple)) or not all(isinstance(v, kind) for v in value):
            raise RequestError(
                f"{name} must be a tuple of {kind.__name__}, but is {shown(value)}; "
                f"write {name} = ({kind.__name__}(...),)"
            )
    for claim in claims:
        _check_claim(claim, tables, metrics)
    for erratum in errata:
        _check_erratum(erratum, tables)
    if published is not None:
        _check_published(published)


def _check_claim(claim: Claim, tables: Sequence[Table], metrics: Sequence[str]) -> None:
    what = f"the claim {shown(claim.text)}"
    if not isinstance(claim.text, str) or not claim.text.strip():
        raise RequestError(
            f"the text of a claim must be a non-empty string, but is {shown(claim.text)}"
        )
    if claim.relation not in RELATIONS:
        raise RequestError(
            f"{what} has the relation {shown(claim.relation)}; use one of {', '.join(RELATIONS)}"
        )
    _check_margin(claim, what)
    sides = (claim.left, claim.right)
    if all(_is_number(side) for side in sides):
        raise RequestError(f"{what} compares two numbers; one side must be a row")
    for side in sides:
        _check_side(side, what, tables, metrics)
    if claim.left == claim.right:
        raise RequestError(f"{what} compares a row with itself; name another row or metric")


def _check_margin(claim: Claim, what: str) -> None:
    margin: Any = claim.margin
    if not _is_number(margin) or margin < 0:
        raise RequestError(f"{what} has the margin {shown(margin)}; use a number of at least 0")
    if claim.relation in _WITHOUT_MARGIN and margin:
        raise RequestError(f"{what} has a margin, but {claim.relation} takes none; remove it")
    if claim.relation not in _WITHOUT_MARGIN and not margin:
        raise RequestError(
            f"{what} uses {claim.relation}, which requires a margin above 0: the largest "
            "difference that does not matter"
        )


def _check_side(side: Side, what: str, tables: Sequence[Table], metrics: Sequence[str]) -> None:
    if _is_number(side):
        return
    if isinstance(side, Value):
        if side.metric not in metrics:
            hint = suggest(str(side.metric), sorted(metrics))
            raise RequestError(f"{what} names the unknown metric {shown(side.metric)}; {hint}")
        side = side.row
    find_row(side, tables, what)


def _check_erratum(erratum: Erratum, tables: Sequence[Table]) -> None:
    what = f"the erratum {shown(erratum.text)}"
    if not isinstance(erratum.text, str) or not erratum.text.strip():
        raise RequestError(
            f"the text of an erratum must be a non-empty string, but is {shown(erratum.text)}"
        )
    for row in (erratum.best, erratum.repeated):
        if row is not None:
            find_row(row, tables, what)
    number: Any = erratum.shares_of
    if number is not None and (type(number) is not int or number < 1):
        raise RequestError(
            f"shares_of of {what} must be an integer of at least 1, but is {shown(number)}"
        )


def _check_published(published: Any) -> None:
    if not isinstance(published, Published):
        raise RequestError(f"PUBLISHED must be a Published, but is {shown(published)}")
    for name in ("num_units", "standard_error"):
        value = getattr(published, name)
        if value is not None and (not _is_number(value) or value <= 0):
            raise RequestError(f"{name} of PUBLISHED must be above 0, but is {shown(value)}")
    if published.num_units and published.standard_error:
        raise RequestError("PUBLISHED has both num_units and standard_error; remove one of the two")


def find_row(side: object, tables: Sequence[Table], what: str) -> tuple[int, int]:
    """Return (table, row) indices of a row, or of the only row with a label.

    Raises:
        RequestError: if REPORT has no such row, or several rows have the label.
    """
    rows = {(t, r): row for t, table in enumerate(tables) for r, row in enumerate(table.rows)}
    if isinstance(side, Row):
        found = [index for index, row in rows.items() if row == side]
        if not found:
            raise RequestError(
                f"{what} names a row that is not in REPORT: {shown(dict(side.params))}; "
                "use a row of its tables"
            )
        return found[0]
    if not isinstance(side, str):
        raise RequestError(
            f"a side of {what} must be a Row, its label, a Value or a number, but is {shown(side)}"
        )
    found = [index for index, row in rows.items() if row.label == side]
    if len({repr(rows[index].params) for index in found}) == 1:
        return found[0]
    labels = sorted({row.label for row in rows.values() if row.label is not None})
    problem = "several rows of REPORT have" if found else "no row of REPORT has"
    raise RequestError(f"{what}: {problem} the label {side!r}; {suggest(side, labels)}")


def _is_number(value: object) -> bool:
    plain = isinstance(value, (int, float)) and not isinstance(value, bool)
    return plain and math.isfinite(value)  # type: ignore[arg-type]
