"""What ``check`` prints, and the exit status it gives."""

from __future__ import annotations

from collections import Counter

from rich.console import Console, RenderableType
from rich.text import Text

from results.cells import compare_cells
from results.claims_table import ClaimsView, ErrataView, claims_table, errata_table
from results.export import FORMATS
from results.reading import Sweep
from results.tables import DetailView
from tasks.contract import RequestError


def check_sweep(sweep: Sweep, *, strict: bool, format_: str) -> int:
    """Print the verdicts on a sweep's claims; 0 if none is contradicted, else 1.

    Args:
        sweep: the sweep.
        strict: whether an undecided or untested claim also gives 1.
        format_: terminal, or one of the export formats.

    Raises:
        RequestError: if the sweep holds no claims.
    """
    claims = claims_table(sweep)
    if claims is None:
        raise RequestError(
            f"the sweep {sweep.manifest['name']!r} holds no claims: state CLAIMS beside the REPORT "
            "of its space, and run the same sweep command again (finished trials are reused)"
        )
    errata = errata_table(sweep)
    if format_ == "terminal":
        shown: list[RenderableType] = [ClaimsView(claims)]
        shown += [Text(), ErrataView(errata)] if errata else []
        Console().print(*shown, sep="\n")
    else:
        print(FORMATS[format_]([claims, *([errata] if errata else [])]), end="")
    counts = Counter(claim.verdict for claim in claims.claims)
    failing = ["contradicted", *(["undecided", "not tested"] if strict else [])]
    return int(any(counts[verdict] for verdict in failing))  # type: ignore[index]


def check_against(
    first: Sweep, second: Sweep, names: tuple[str, str], *, tolerance: float, format_: str
) -> int:
    """Print where two sweeps differ; 0 if nowhere, else 1.

    Raises:
        RequestError: if they cannot be compared.
    """
    found = compare_cells(first, second, names, tolerance)
    if format_ == "terminal":
        Console().print(DetailView(found.table))
    else:
        print(FORMATS[format_]([found.table]), end="")
    return int(found.num_differences > 0)
