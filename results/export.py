"""The summary tables for elsewhere: Markdown, LaTeX, CSV, JSON."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from collections.abc import Callable, Sequence

from results.summary import (
    SummaryTable,
    format_plain,
    format_value,
    interval_cell,
    main_cell,
    report_cell,
)


def _cells(table: SummaryTable) -> tuple[list[str], list[list[str]]]:
    unit = " %" if table.main["format"] == "percent" else ""
    headings = [c["label"] for c in table.params] + [f"{table.main['label']}{unit}", "95 %"]
    headings += ["report"] * table.has_report + [c["label"] for c in table.metrics] + ["status"]
    rows = []
    for row in table.rows:
        cells = [format_plain(row.params.get(c["key"][len("param.") :])) for c in table.params]
        cells += [main_cell(row, table), interval_cell(row, table)]
        cells += [report_cell(row, table)] * table.has_report
        cells += [format_value(row.metrics.get(c["key"]), c["format"]) for c in table.metrics]
        rows.append([*cells, row.status])
    return headings, rows


def to_markdown(tables: Sequence[SummaryTable]) -> str:
    """GitHub's tables, each under its title."""
    parts = []
    for table in tables:
        headings, rows = _cells(table)
        lines = [f"### {table.title}", "", _bar(headings), _bar(["---"] * len(headings))]
        lines += [_bar(cell.replace("|", "\\|") for cell in row) for row in rows]
        parts.append("\n".join([*lines, "", *table.caption]))
    return "\n\n".join(parts) + "\n"


def _bar(cells: object) -> str:
    return f"| {' | '.join(cells)} |"  # type: ignore[arg-type]


def to_latex(tables: Sequence[SummaryTable]) -> str:
    """One ``tabular`` a table, with booktabs' rules."""
    parts = []
    for table in tables:
        headings, rows = _cells(table)
        lines = [f"% {table.title}", f"\\begin{{tabular}}{{{'r' * len(headings)}}}", "\\toprule"]
        lines += [" & ".join(map(_escape, headings)) + r" \\", "\\midrule"]
        lines += [" & ".join(map(_escape, row)) + r" \\" for row in rows]
        parts.append("\n".join([*lines, "\\bottomrule", "\\end{tabular}"]))
    return "\n\n".join(parts) + "\n"


def _escape(text: str) -> str:
    for sign in "\\&%$#_{}":
        text = text.replace(sign, f"\\{sign}" if sign != "\\" else r"\textbackslash ")
    signs = {"★": r"$\star$", "≈": r"$\approx$", "±": r"$\pm$"}
    for sign, command in signs.items():
        text = text.replace(sign, command)
    return text


def to_csv(tables: Sequence[SummaryTable]) -> str:
    """All tables' rows under one heading each, the title in the first column."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    for table in tables:
        headings, rows = _cells(table)
        writer.writerow(["table", *headings])
        writer.writerows([table.title, *row] for row in rows)
    return out.getvalue()


def to_json(tables: Sequence[SummaryTable]) -> str:
    """The tables with their numbers unrounded."""
    return json.dumps([dataclasses.asdict(table) for table in tables], indent=1) + "\n"


FORMATS: dict[str, Callable[[Sequence[SummaryTable]], str]] = {
    "markdown": to_markdown,
    "latex": to_latex,
    "csv": to_csv,
    "json": to_json,
}
