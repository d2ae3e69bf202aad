"""Compare the best configurations and the spread of two sweeps without common configurations."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from results.compare.rows import Scorer, describe_difference, explain_scoring
from results.storage.manifest import Manifest
from results.tables.cell_text import heading
from results.tables.details import DetailTable
from results.tables.summary import SummaryRow, format_interval, format_plain, format_value
from results.text import plural
from tasks.contract import Column, RequestError

Rows = Sequence[SummaryRow]


def compare_best(
    manifest: Manifest, names: tuple[str, str], rows: tuple[Rows, Rows], scorer: Scorer
) -> DetailTable:
    """Compare the best, median and worst configurations of two sweeps, and test the best ones.

    Raises:
        RequestError: if a sweep has no finished configuration.
    """
    main = manifest.main_column
    maximize = manifest.maximize
    ranked = [_rank(each, main.key, maximize) for each in rows]
    for name, each in zip(names, ranked, strict=True):
        if not each:
            raise RequestError(f"{name} has no finished trial yet; run its sweep first")
    bests = (ranked[0][0], ranked[1][0])
    [compared] = scorer.compare([bests])
    assert compared.difference is not None
    lines = [
        ["configurations tried", *(str(len(each)) for each in rows)],
        ["finished", *(str(len(each)) for each in ranked)],
    ]
    lines += _spread(ranked, main)
    lines += _params(bests, ranked)
    sign = "+" if compared.difference >= 0 else ""
    shown = f"{sign}{format_value(compared.difference, main.format)}"
    interval = format_interval(compared.interval, main.format)
    how = describe_difference(manifest, scorer, scorer.over_seeds) if compared.interval else ""
    caption = [
        "The sweeps have no configuration in common, so this compares the best of "
        f"{plural(len(rows[0]), 'configuration')} with the best of {len(rows[1])}.",
        f"Best of {names[1]} minus best of {names[0]}: {f'{shown} {interval}'.rstrip()}"
        + (f", 95 % interval, {how}." if how else "; there are no samples for an interval."),
        "Each best was chosen on the data that score it, so it is optimistic, the more so the more "
        "configurations were tried. The interval does not correct for that choice.",
    ]
    caption += explain_scoring(scorer)
    if not scorer.same_data:
        caption.append("The data differ, so the difference may come from the data alone.")
    return DetailTable(
        title=f"{heading(main)}: best and spread of {names[0]} and {names[1]}",
        headings=["what", *names],
        rows=lines,
        caption=caption,
    )


def _rank(rows: Rows, key: str, maximize: bool) -> list[SummaryRow]:
    """Return the finished configurations, best first."""
    done = [row for row in rows if row.num_seeds and key in row.metrics]
    return sorted(done, key=lambda row: row.metrics[key], reverse=maximize)


def _spread(ranked: Sequence[Rows], main: Column) -> list[list[str]]:
    def cell(row: SummaryRow) -> str:
        value = format_value(row.metrics[main.key], main.format)
        return f"{value} {format_interval(row.estimate, main.format)}".rstrip()

    middle = [median(row.metrics[main.key] for row in rows) for rows in ranked]
    return [
        ["best", *(cell(rows[0]) for rows in ranked)],
        ["median", *(format_value(value, main.format) for value in middle)],
        ["worst", *(cell(rows[-1]) for rows in ranked)],
    ]


def _params(bests: tuple[SummaryRow, SummaryRow], ranked: Sequence[Rows]) -> list[list[str]]:
    """Return the parameters of the best configurations that vary in a sweep or between them."""
    names = list(dict.fromkeys(name for row in bests for name in row.params))
    every = [row for rows in ranked for row in rows]
    varying = [n for n in names if len({repr(row.params.get(n)) for row in every}) > 1]
    return [
        [f"{name} of the best", *(format_plain(row.params.get(name)) for row in bests)]
        for name in varying
    ]
