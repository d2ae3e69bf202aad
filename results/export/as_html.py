"""Export tables and figures as one self-contained HTML page."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence

from results.export.cells import best_rows, columns_of
from results.export.document import Document, Export, Picture

_STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 70em; padding: 0 1em; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .25em .8em; text-align: left; white-space: nowrap; }
td.prose { white-space: normal; min-width: 14em; }
.number { text-align: right; }
thead { border-bottom: 2px solid; } tbody tr { border-bottom: 1px solid #8883; }
.best { font-weight: 600; } .caption { opacity: .7; margin: .2em 0; }
figure { margin: 1.5em 0; }
img { max-width: 100%; height: auto; background: #fff; border-radius: 4px; }
@media (prefers-color-scheme: dark) { body { background: #111; color: #ddd; } }
"""
_PROSE = 40  # longer cells may be wrapped


def to_html(documents: Sequence[Document]) -> str:
    """Return one page with the tables of each sweep, followed by its figures."""
    parts = []
    for document in documents:
        parts.append(f"<h1>{html.escape(f'{document.task}/{document.sweep}')}</h1>")
        parts += [_table(export) for export in document.tables]
        parts += [_figure(picture) for picture in document.draw()]
    titles = ", ".join(f"{document.task}/{document.sweep}" for document in documents)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>{html.escape(titles)}</title>"
        '<meta name="viewport" content="width=device-width">'
        f"<style>{_STYLE}</style></head><body>\n" + "\n".join(parts) + "\n</body></html>\n"
    )


def _table(export: Export) -> str:
    table = export.table
    columns = columns_of(table)
    numeric = [' class="number"' if column.is_numeric else "" for column in columns]
    head = "".join(
        f'<th scope="col"{kind}>{html.escape(column.heading)}</th>'
        for column, kind in zip(columns, numeric, strict=True)
    )
    best = best_rows(table)
    lines = []
    for number, cells in enumerate(zip(*(column.cells for column in columns), strict=True)):
        texts = [
            f"<td{kind or _prose(cell)}>{html.escape(cell)}</td>"
            for cell, kind in zip(cells, numeric, strict=True)
        ]
        row = ' class="best"' if number in best else ""
        lines.append(f"<tr{row}>{''.join(texts)}</tr>")
    captions = [f'<p class="caption">{html.escape(line)}</p>' for line in table.caption]
    return "\n".join(
        [
            f"<h2>{html.escape(table.title)}</h2>",
            f'<div class="wide"><table><thead><tr>{head}</tr></thead>',
            *("<tbody>", *lines, "</tbody></table></div>"),
            *captions,
        ]
    )


def _prose(cell: str) -> str:
    return ' class="prose"' if len(cell) > _PROSE else ""


def _figure(picture: Picture) -> str:
    title = html.escape(picture.title)
    if picture.error:
        return f'<p class="caption">{title}: {html.escape(picture.error)}</p>'
    data = base64.b64encode(picture.blob).decode()
    source = f"data:{picture.media_type};base64,{data}"
    return f'<figure><img alt="{title}" src="{source}"><figcaption>{title}</figcaption></figure>'
