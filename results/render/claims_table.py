"""Show the verdicts on claims and the errata of a paper, as tables and in the terminal."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from results.claims.verdicts import VERDICTS, CheckedClaim, Pair, check_claims
from results.render.wrapping import NBSP, Prose, labeled_lines
from results.storage.manifest import Manifest
from results.storage.reading import Sweep
from results.tables.details import DetailTable
from results.tables.summary import format_interval, format_value, published_source
from results.text import plural

_HEADINGS = [
    *("verdict", "scope", "claim", "published", "ours", "difference", "95 %", "adjusted p"),
    *("test", "to decide it"),
]
_STYLES = {"reproduced": "green", "contradicted": "bold red", "not tested": "dim"}


@dataclass(kw_only=True)
class ClaimsTable(DetailTable):
    """The claims as text, and the checked claims themselves."""

    claims: list[CheckedClaim]
    formats: Mapping[str, str]  # metric -> the format of its column


def claims_table(sweep: Sweep, *, with_source: bool = True) -> ClaimsTable | None:
    """Return a table with the verdict on every claim of a sweep; None if there are no claims.

    With ``with_source``, the caption names the source of the published numbers.
    """
    claims = check_claims(sweep)
    if not claims:
        return None
    manifest = sweep.manifest
    formats = {column.key.removeprefix("metric."): column.format for column in manifest.columns}
    table = ClaimsTable(
        title=f"{'Claims of the paper' if manifest.published else 'Claims'}: {summary(claims)}",
        headings=_HEADINGS,
        rows=[],
        caption=_caption(manifest, claims, with_source),
        claims=claims,
        formats=formats,
    )
    for claim in claims:
        form = formats.get(claim.metric, "number")
        table.rows.append(
            [
                claim.verdict,
                claim.scope,
                claim.text,
                pair(claim.published, form),
                pair(claim.ours, form),
                signed(claim, form),
                format_interval(claim.difference, form),
                "" if claim.p_value is None else p_text(claim.p_value),
                claim.test,
                claim.reason or claim.decided_by,
            ]
        )
    return table


def summary(claims: list[CheckedClaim]) -> str:
    """Count the verdicts: ``2 reproduced, 1 undecided``."""
    counts = Counter(claim.verdict for claim in claims)
    return ", ".join(f"{counts[verdict]} {verdict}" for verdict in VERDICTS if counts[verdict])


def pair(numbers: Pair, form: str) -> str:
    """Format the numbers of both sides; ``-`` if there are none."""
    if numbers[0] is None and numbers[1] is None:
        return "-"
    return " and ".join(format_value(number, form) for number in numbers)


def signed(claim: CheckedClaim, form: str) -> str:
    """Format left minus right, with its sign."""
    if claim.difference is None:
        return ""
    sign = "+" if claim.difference.mean >= 0 else ""
    return sign + format_value(claim.difference.mean, form)


def p_text(value: float) -> str:
    """Format a p value: ``0.012``, or ``<0.001``."""
    return "<0.001" if value < 0.001 else f"{value:.2g}"


def one_scope(claims: list[CheckedClaim]) -> str:
    """Return the scope of all tested claims; empty if they differ."""
    scopes = {claim.scope for claim in claims if claim.scope}
    return scopes.pop() if len(scopes) == 1 else ""


def _margin(manifest: Manifest, claim: CheckedClaim) -> str:
    """Return the margin of a claim in the unit of its table."""
    column = next((c for c in manifest.columns if c.key == f"metric.{claim.metric}"), None)
    if column is not None and column.format == "percent":
        return f"{100 * claim.margin:g} percentage points"
    return f"{claim.margin:g}"


def _caption(manifest: Manifest, claims: list[CheckedClaim], with_source: bool) -> list[str]:
    published = manifest.published
    lines = []
    if published:
        if with_source:
            lines.append(published_source(manifest))
        lines.append("A verdict is about our model and data.")
    tested = [claim for claim in claims if claim.p_value is not None]
    scope = one_scope(claims)
    if scope.endswith("only"):
        other = "seeds" if "seeds" not in scope else "data"
        lines.append(f"Every verdict holds {scope}: it says nothing about other {other}.")
    if tested:
        lines.append(
            "Reproduced: significantly as claimed. Contradicted: significantly not as claimed. "
            f"5 % error over all {len(tested)} tested claims (p adjusted by Holm's method). "
            "Difference: left minus right [unadjusted 95 % interval]."
        )
    if any(claim.verdict in ("reproduced", "contradicted") for claim in tested):
        lines.append(
            "Marks in tables are adjusted for all pairs of rows, but verdicts only for the claims, "
            "so a difference may be ≈ in a table and significant here."
        )
    if any(claim.margin for claim in claims):
        margins = sorted({_margin(manifest, claim) for claim in claims if claim.margin})
        lines.append(f"A value counts as reached within a margin of {' or '.join(margins)}.")
    if any(claim.decided_by for claim in claims):
        lines.append(
            "The data that would decide a claim do so with 80 % probability, if the true "
            "difference is as observed."
        )
    if published and _has_repeats(manifest):
        lines.append("If a configuration is published several times, the mean counts.")
    if published and any(claim.kind == "published" for claim in claims):
        lines.append(
            "Claims 'A beats B' are derived from two published numbers of one table that differ by "
            f"more than their noise: {published.noise}."
        )
    return lines


def _has_repeats(manifest: Manifest) -> bool:
    """Return whether a configuration has several published numbers of the main metric."""
    main = manifest.main_key
    rows = [row for table in manifest.tables for row in table.rows]
    keys = [json.dumps(row.params, sort_keys=True) for row in rows if main in row.report]
    return len(set(keys)) < len(keys)


class ClaimsView:
    """Shows the claims in the terminal: the verdict, the claim, and its numbers below.

    With ``only_tested``, the other claims are counted instead of listed.
    """

    def __init__(self, table: ClaimsTable, *, only_tested: bool = False) -> None:
        self._table, self._only_tested = table, only_tested

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        size = max(len(claim.verdict) for claim in self._table.claims) + 2
        pairs = list(zip(self._table.claims, self._table.rows, strict=True))
        listed = [pair for pair in pairs if not self._only_tested or pair[0].p_value is not None]
        yield Prose([self._table.title], "bold")
        if not listed:
            yield Prose(["`check` gives the reason for each."])
            return
        yield Text()
        for claim, row in listed:
            text, *numbers = _lines(claim, row)
            if claim.scope.endswith("only") and not one_scope(self._table.claims):
                numbers.append(claim.scope)
            verdict = Text(claim.verdict, style=_STYLES.get(claim.verdict, ""))
            yield from labeled_lines(
                verdict, size, [(text, "bold"), *((n, "") for n in numbers)], options
            )
        left = plural(len(pairs) - len(listed), "claim")
        more = [f"{left} not tested; `check` gives the reason for each."]
        yield Text()
        yield Prose([*(more if len(listed) < len(pairs) else []), *self._table.caption])


def _lines(claim: CheckedClaim, row: list[str]) -> list[str]:
    _, _, text, published, ours, difference, interval, p_value, _, _ = row
    lines = [text]
    numbers = [] if published == "-" else [f"published {published}"]
    if claim.difference is not None:
        shown = p_value if p_value.startswith("<") else f"={p_value}"
        numbers.append(f"ours {ours}: {difference}{NBSP}{interval}, p{shown}")
    if numbers:
        lines.append("; ".join(numbers))
    if claim.reason:
        lines.append(claim.reason)
    if claim.decided_by:
        lines.append(f"would be decided by {claim.decided_by}")
    return lines


def errata_table(sweep: Sweep) -> DetailTable | None:
    """Return a table of the known errata of the paper; None if there are none."""
    errata = sweep.manifest.errata
    if not errata:
        return None
    shown = {True: "shown by the published numbers", False: "not shown", None: "declared"}
    return DetailTable(
        title="Known mistakes of the paper",
        headings=["mistake", "how it is known", "evidence"],
        rows=[[e.text, shown[e.shown], e.evidence] for e in errata],
        caption=[],
    )


class ErrataView:
    """Shows the errata in the terminal, each with its evidence below."""

    def __init__(self, table: DetailTable) -> None:
        self._table = table

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Prose([self._table.title], "bold")
        yield Text()
        for text, how, evidence in self._table.rows:
            lines = [(text, ""), (f"{how}{': ' if evidence else ''}{evidence}", "")]
            yield from labeled_lines(Text("-"), 2, lines, options)
