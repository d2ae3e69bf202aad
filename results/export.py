"""The summary tables for elsewhere: Markdown, LaTeX, CSV, JSON, HTML."""

from __future__ import annotations

import csv
import dataclasses
import html
import io
import json
from collections.abc import Callable, Sequence

from results.details import DetailTable
from results.summary import (
    SummaryTable,
    format_plain,
    interval_cell,
    main_cell,
    metric_cell,
    report_cell,
)

Tables = SummaryTable | DetailTable


def _cells(table: Tables) -> tuple[list[str], list[list[str]]]:
    if isinstance(table, DetailTable):
        return table.headings, table.rows
    unit = " %" if table.main["format"] == "percent" else ""
    headings = [c["label"] for c in table.params] + [f"{table.main['label']}{unit}", "95 %"]
    headings += ["published"] * table.has_report + [c["label"] for c in table.metrics] + ["status"]
    rows = []
    for row in table.rows:
        cells = [format_plain(row.params.get(c["key"][len("param.") :])) for c in table.params]
        cells += [main_cell(row, table), interval_cell(row, table)]
        cells += [report_cell(row, table)] * table.has_report
        cells += [metric_cell(row, column) for column in table.metrics]
        rows.append([*cells, row.status])
    return headings, rows


def to_markdown(tables: Sequence[Tables]) -> str:
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


def to_latex(tables: Sequence[Tables]) -> str:
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
    signs = {
        "★": r"$\star$",
        "≈": r"$\approx$",
        "±": r"$\pm$",
        "◆": r"$\diamond$",
        "†": r"$\dagger$",
    }
    signs |= {"▲": r"$\bigtriangleup$", "▼": r"$\bigtriangledown$", "→": r"$\rightarrow$"}
    for sign, command in signs.items():
        text = text.replace(sign, command)
    return text


def to_csv(tables: Sequence[Tables]) -> str:
    """All tables' rows under one heading each, the title in the first column."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    for table in tables:
        headings, rows = _cells(table)
        writer.writerow(["table", *headings])
        writer.writerows([table.title, *row] for row in rows)
    return out.getvalue()


def to_json(tables: Sequence[Tables]) -> str:
    """The tables with their numbers unrounded."""
    return json.dumps([dataclasses.asdict(table) for table in tables], indent=1) + "\n"


_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 70em; padding: 0 1em; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .25em .8em; text-align: right; white-space: nowrap; }
thead { border-bottom: 2px solid; } tbody tr { border-bottom: 1px solid #8883; }
.best { font-weight: 600; } .caption { opacity: .7; margin: .2em 0; }
@media (prefers-color-scheme: dark) { body { background: #111; color: #ddd; } }
"""


def to_html(tables: Sequence[Tables]) -> str:
    """One page that needs nothing else."""
    parts = []
    for table in tables:
        headings, rows = _cells(table)
        head = "".join(f'<th scope="col">{html.escape(heading)}</th>' for heading in headings)
        lines = []
        for cells, row in zip(rows, table.rows, strict=True):
            best = ' class="best"' if getattr(row, "mark", "") == "best" else ""
            lines.append(f"<tr{best}>{''.join(f'<td>{html.escape(c)}</td>' for c in cells)}</tr>")
        captions = [f'<p class="caption">{html.escape(line)}</p>' for line in table.caption]
        parts += [
            f"<h2>{html.escape(table.title)}</h2>",
            f'<div class="wide"><table><thead><tr>{head}</tr></thead>',
            f"<tbody>{''.join(lines)}</tbody></table></div>",
            *captions,
        ]
    top = '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Sweeps</title>'
    view = '<meta name="viewport" content="width=device-width">'
    body = "\n".join(parts)
    return f"{top}{view}<style>{_STYLE}</style></head><body>\n{body}\n</body></html>\n"


FORMATS: dict[str, Callable[[Sequence[Tables]], str]] = {
    "markdown": to_markdown,
    "latex": to_latex,
    "csv": to_csv,
    "json": to_json,
    "html": to_html,
}
