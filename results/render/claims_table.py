"""The verdicts on a sweep's claims, and known mistakes of its paper, as tables and as text."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from results.claims.verdicts import VERDICTS, CheckedClaim, Pair, check_claims
from results.render.wrapping import GLUE, Prose, beside
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
    """The claims as text for every export, and behind them the numbers."""

    claims: list[CheckedClaim]
    formats: Mapping[str, str]  # metric -> how it is printed


def claims_table(sweep: Sweep, *, with_source: bool = True) -> ClaimsTable | None:
    """The verdict on every claim of a sweep; None where it states none.

    ``with_source`` says in the caption where the published numbers come from.
    """
    claims = check_claims(sweep)
    if not claims:
        return None
    manifest = sweep.manifest
    formats = {column.key.removeprefix("metric."): column.format for column in manifest.columns}
    table = ClaimsTable(
        title=f"Claims of the paper: {summary(claims)}",
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
    """``2 reproduced, 1 undecided``."""
    counts = Counter(claim.verdict for claim in claims)
    return ", ".join(f"{counts[verdict]} {verdict}" for verdict in VERDICTS if counts[verdict])


def pair(numbers: Pair, form: str) -> str:
    """Both sides' numbers, or ``-`` where there are none."""
    if numbers[0] is None and numbers[1] is None:
        return "-"
    return " and ".join(format_value(number, form) for number in numbers)


def signed(claim: CheckedClaim, form: str) -> str:
    """Left minus right, with its sign."""
    if claim.difference is None:
        return ""
    sign = "+" if claim.difference.mean >= 0 else ""
    return sign + format_value(claim.difference.mean, form)


def p_text(value: float) -> str:
    """``0.012``, or ``<0.001``."""
    return "<0.001" if value < 0.001 else f"{value:.2g}"


def one_scope(claims: list[CheckedClaim]) -> str:
    """What every tested claim generalizes to; nothing if they differ."""
    scopes = {claim.scope for claim in claims if claim.scope}
    return scopes.pop() if len(scopes) == 1 else ""


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
            "Reproduced: significantly as claimed; contradicted: significantly otherwise; both at "
            f"5 % over all {len(tested)} tested claims (Holm's adjusted p). "
            "Difference: left minus right [unadjusted 95 % interval]."
        )
    if any(claim.verdict in ("reproduced", "contradicted") for claim in tested):
        lines.append(
            "The marks of a table are adjusted for all pairs of its rows, verdicts for the claims "
            "alone: a difference may be ≈ in the table and significant here."
        )
    if any(claim.margin for claim in claims):
        margins = sorted({f"{claim.margin:g}" for claim in claims if claim.margin})
        lines.append(f"A value counts as reached within a margin of {' or '.join(margins)}.")
    if any(claim.decided_by for claim in claims):
        lines.append(
            "What would decide a claim: with 80 % probability, if the true difference is the "
            "observed one."
        )
    if published and _has_repeats(manifest):
        lines.append("Of a configuration that is published several times, the mean counts.")
    if published and any(claim.kind == "published" for claim in claims):
        lines.append(
            "'A beats B' is derived from two published numbers of one table that differ by more "
            f"than their noise: {published.noise}."
        )
    return lines


def _has_repeats(manifest: Manifest) -> bool:
    """Whether a configuration has several published numbers of the main metric."""
    main = manifest.main_key
    rows = [row for table in manifest.tables for row in table.rows]
    keys = [json.dumps(row.params, sort_keys=True) for row in rows if main in row.report]
    return len(set(keys)) < len(keys)


class ClaimsView:
    """The claims for the terminal: the verdict in front, the numbers below each claim.

    ``only_tested`` counts the other claims instead of listing them.
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
            yield from beside(verdict, size, [(text, "bold"), *((n, "") for n in numbers)], options)
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
        numbers.append(f"ours {ours}: {difference}{GLUE}{interval}, p{shown}")
    if numbers:
        lines.append("; ".join(numbers))
    if claim.reason:
        lines.append(claim.reason)
    if claim.decided_by:
        lines.append(f"would be decided by {claim.decided_by}")
    return lines


def errata_table(sweep: Sweep) -> DetailTable | None:
    """The known mistakes of the paper that a sweep reproduces; None where none is known."""
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
    """The mistakes for the terminal, each with its evidence below."""

    def __init__(self, table: DetailTable) -> None:
        self._table = table

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Prose([self._table.title], "bold")
        yield Text()
        for text, how, evidence in self._table.rows:
            lines = [(text, ""), (f"{how}{': ' if evidence else ''}{evidence}", "")]
            yield from beside(Text("-"), 2, lines, options)
