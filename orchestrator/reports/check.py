"""``check``: prints verdicts on claims, or the differences between two sweeps."""

from __future__ import annotations

from collections import Counter

from rich.console import Console, RenderableType
from rich.text import Text

from orchestrator.reports.export_tables import export
from results.compare.cells import compare_cells, stated_tolerance
from results.export import make_document
from results.render.claims_table import ClaimsView, ErrataView, claims_table, errata_table
from results.render.sweep_tables import DetailView
from results.storage.reading import Sweep
from results.tables.details import DetailTable
from tasks.contract import RequestError


def check_sweep(
    sweep: Sweep, *, strict: bool, format_: str, to: str | None = None, table: str | None = None
) -> int:
    """Print the verdicts on a sweep's claims; return 1 if one is contradicted, otherwise 0.

    Args:
        sweep: the sweep.
        strict: whether an undecided or untested claim also gives 1.
        format_: terminal, or one of the export formats.
        to, table: see ``orchestrator.reports.export_tables.export``.

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
    if format_ == "terminal":
        shown: list[RenderableType] = [ClaimsView(claims)]
        shown += [Text(), ErrataView(errata)] if errata else []
        Console().print(*shown, sep="\n")
    else:
        tables: list[tuple[str, DetailTable]] = [("claims", claims)]
        tables += [("mistakes", errata)] if errata else []
        document = make_document(sweep.manifest.task, sweep.manifest.name, tables)
        export([document], format_, to=to, table=table)
    counts = Counter(claim.verdict for claim in claims.claims)
    failing = ["contradicted", *(["undecided", "not tested"] if strict else [])]
    return int(any(counts[verdict] for verdict in failing))  # type: ignore[index]


def check_against(
    first: Sweep,
    second: Sweep,
    names: tuple[str, str],
    *,
    tolerance: float | None,
    format_: str,
    to: str | None = None,
    table: str | None = None,
) -> int:
    """Print where two sweeps differ; return 1 if they differ anywhere, otherwise 0.

    ``tolerance`` is absolute and relative; None for the task's.

    Raises:
        RequestError: if the sweeps cannot be compared.
    """
    if tolerance is None:
        tolerance = stated_tolerance(first, second)
    found = compare_cells(first, second, names, tolerance)
    if format_ == "terminal":
        Console().print(DetailView(found.table))
    else:
        task, sweep = first.manifest.task, f"{first.manifest.name}-differences"
        document = make_document(task, sweep, [("differences", found.table)])
        export([document], format_, to=to, table=table)
    return int(found.num_differences > 0)
