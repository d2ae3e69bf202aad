"""``check``: prints verdicts on claims, or the differences between two sweeps."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from rich.console import Console, RenderableType
from rich.text import Text

from orchestrator.reports.export_tables import export
from results.compare.cells import CellComparison
from results.export import Document, make_document
from results.render.claims_table import (
    ClaimsTable,
    ClaimsView,
    ErrataView,
    claims_table,
    errata_table,
)
from results.render.sweep_tables import DetailView
from results.storage.reading import Sweep
from results.tables.details import DetailTable
from tasks.contract import RequestError


@dataclass(frozen=True, kw_only=True)
class Checked:
    """The verdicts on the claims of a sweep."""

    claims: ClaimsTable
    errata: DetailTable | None
    document: Document
    status: int  # 1 if a claim fails, otherwise 0


def check_claims(sweep: Sweep, *, strict: bool) -> Checked:
    """Return the verdicts on a sweep's claims.

    Args:
        sweep: the sweep.
        strict: whether an undecided or untested claim fails, too.

    Raises:
        RequestError: if the sweep has no claims.
    """
    claims = claims_table(sweep)
    if claims is None:
        raise RequestError(
            f"the sweep {sweep.manifest.name!r} has no claims; add CLAIMS to the file of its "
            "REPORT, and run the same sweep command again (finished trials are reused)"
        )
    errata = errata_table(sweep)
    tables: list[tuple[str, DetailTable]] = [("claims", claims)]
    tables += [("mistakes", errata)] if errata else []
    counts = Counter(claim.verdict for claim in claims.claims)
    failing = ["contradicted", *(["undecided", "not tested"] if strict else [])]
    return Checked(
        claims=claims,
        errata=errata,
        document=make_document(sweep.manifest.task, sweep.manifest.name, tables),
        status=int(any(counts[verdict] for verdict in failing)),  # type: ignore[index]
    )


def print_claims(
    checked: Checked, format_: str, *, to: str | None = None, table: str | None = None
) -> None:
    """Print the verdicts, or write them; see ``orchestrator.reports.export_tables.export``."""
    if format_ != "terminal":
        export([checked.document], format_, to=to, table=table)
        return
    shown: list[RenderableType] = [ClaimsView(checked.claims)]
    shown += [Text(), ErrataView(checked.errata)] if checked.errata else []
    Console().print(*shown, sep="\n")


def print_differences(
    found: CellComparison,
    first: Sweep,
    format_: str,
    *,
    to: str | None = None,
    table: str | None = None,
) -> None:
    """Print where two sweeps differ, or write it."""
    if format_ == "terminal":
        Console().print(DetailView(found.table))
        return
    task, sweep = first.manifest.task, f"{first.manifest.name}-differences"
    document = make_document(task, sweep, [("differences", found.table)])
    export([document], format_, to=to, table=table)
