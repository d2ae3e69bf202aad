r"""Export tables as LaTeX: a ``table`` each, with a caption, a label, booktabs rules and notes.

Text is left-aligned and numbers are right-aligned, or aligned at the decimal point with siunitx.
Special characters are escaped, and the best row is bold. Notes are plain text below the tabular.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from results.export.cells import Column, best_rows, columns_of
from results.export.document import Document, Export

_SIGNS = {
    "\\": r"\textbackslash{}",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\char34{}",  # \textquotedbl is an error in the default font encoding
    "`": r"\textasciigrave{}",
    "★": r"$\star$",
    "≈": r"$\approx$",
    "±": r"$\pm$",
    "◆": r"$\diamond$",
    "†": r"$\dagger$",
    "▲": r"$\bigtriangleup$",
    "▼": r"$\bigtriangledown$",
    "→": r"$\rightarrow$",
    "←": r"$\leftarrow$",
    "×": r"$\times$",
    "≤": r"$\le$",
    "≥": r"$\ge$",
    "−": "$-$",
    "…": r"\dots{}",
    "–": r"\textendash{}",
    "—": r"\textemdash{}",
    "\N{NO-BREAK SPACE}": "~",
}
_ESCAPE = re.compile("|".join(map(re.escape, _SIGNS)))
_LIGATURE = re.compile(r"(?<=-)(?=-)|(?<=')(?=')|(?<=,)(?=,)")  # -- would become a dash
_PROSE, _PROSE_WIDTH = 40, 0.25  # cells of more characters are broken, at this width
_NEGATIVE = re.compile(r"-\d[\d.]*(e-?\d+)?")


def to_latex(documents: Sequence[Document]) -> str:
    """Return LaTeX with right-aligned numbers."""
    return _tables(documents, siunitx=False)


def to_latex_siunitx(documents: Sequence[Document]) -> str:
    """Return LaTeX with numbers aligned at the decimal point, in siunitx columns of type ``S``."""
    return _tables(documents, siunitx=True)


def escape(text: str) -> str:
    """Escape text for LaTeX, on one line."""
    plain = "".join(sign for sign in " ".join(text.split()) if sign.isprintable())
    return _LIGATURE.sub("{}", _ESCAPE.sub(lambda found: _SIGNS[found[0]], plain))


def _tables(documents: Sequence[Document], *, siunitx: bool) -> str:
    packages = "booktabs,siunitx" if siunitx else "booktabs"
    tables = [
        _table(export, siunitx=siunitx) for document in documents for export in document.tables
    ]
    return f"% \\usepackage{{{packages}}}\n" + "\n\n".join(tables) + "\n"


def _table(export: Export, *, siunitx: bool) -> str:
    table = export.table
    columns = columns_of(table, separate_marks=True)
    decimals = [siunitx and column.is_plain for column in columns]
    kinds = [_kind(column, decimal) for column, decimal in zip(columns, decimals, strict=True)]
    label = f"tab:{export.task}-{export.sweep}-{export.name}"
    lines = [
        r"\begin{table}",
        r"\centering",
        *([r"\sisetup{detect-weight=true, mode=text}"] if siunitx else []),
        f"\\caption{{{escape(table.title)}}}",
        f"\\label{{{re.sub(r'[^A-Za-z0-9:.-]', '-', label)}}}",
        f"\\begin{{tabular}}{{@{{}}{''.join(kinds)}@{{}}}}",
        r"\toprule",
        _row([f"{{{escape(column.heading)}}}" for column in columns]),
        r"\midrule",
    ]
    best = best_rows(table)
    for number, cells in enumerate(zip(*(column.cells for column in columns), strict=True)):
        pairs = zip(cells, decimals, strict=True)
        lines.append(_row([_cell(cell, decimal, number in best) for cell, decimal in pairs]))
    lines += [r"\bottomrule", r"\end{tabular}", *_notes(table.caption), r"\end{table}"]
    return "\n".join(lines)


def _row(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"


def _kind(column: Column, decimal: bool) -> str:
    if not column.heading and not column.is_plain:
        return "c"  # marks
    if not decimal and not column.is_numeric:
        return (
            f"p{{{_PROSE_WIDTH}\\linewidth}}"
            if max(map(len, column.cells), default=0) > _PROSE
            else "l"
        )
    if not decimal:
        return "r"
    numbers = [cell for cell in column.cells if cell not in ("", "-")]
    parts = [number.lstrip("+-").partition(".") for number in numbers]
    whole, rest = (max(len(part[place]) for part in parts) for place in (0, 2))
    sign = "-" if any(number.startswith("-") for number in numbers) else ""
    return f"S[table-format={sign}{whole}.{rest}]"


def _cell(text: str, decimal: bool, bold: bool) -> str:
    if decimal:
        number = text if text not in ("", "-") else f"{{{text}}}"
        return f"\\bfseries {number}" if bold and text not in ("", "-") else number
    shown = f"$-${escape(text[1:])}" if _NEGATIVE.fullmatch(text) else escape(text)
    if bold and shown:
        return f"\\textbf{{{shown}}}"
    # After the end of a row, a bracket or a star would be read as its argument.
    return f"{{}}{shown}" if shown.startswith(("[", "*")) else shown


def _notes(caption: Sequence[str]) -> list[str]:
    if not caption:
        return []
    lines = [f"{escape(line)}\\par" for line in caption]
    return [
        r"\par\smallskip",
        r"\begin{minipage}{\linewidth}\footnotesize\raggedright",
        *lines,
        r"\end{minipage}",
    ]
