"""Tables as LaTeX."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from exported_tables import NASTY, document_of
from hypothesis import example, given
from hypothesis import strategies as st
from simulated import published_order, simulate_retrieval

from results.export import (
    FORMATS,
    as_latex,
    make_document,
    sweep_document,
)
from results.storage.reading import Sweep

LATEX_SIGNS: Mapping[str, str] = {code: sign for sign, code in as_latex._SIGNS.items()}
_TOKEN = re.compile("|".join(re.escape(code) for code in sorted(LATEX_SIGNS, key=len)[::-1]))


def unescape(text: str) -> str:
    """The text that LaTeX prints; a special character that is not escaped is an error."""
    found, place = "", 0
    while place < len(text):
        token = _TOKEN.match(text, place)
        if token:
            found, place = found + LATEX_SIGNS[token[0]], token.end()
        elif text.startswith("{}", place):
            place += 2
        else:
            assert text[place] not in "\\&%$#_{}^~", text
            found, place = found + text[place], place + 1
    return found


@given(st.text(max_size=40))
@example(" ".join(NASTY))
def test_latex_prints_any_text_unchanged(text: str) -> None:
    escaped = as_latex.escape(text)
    wanted = "".join(sign for sign in " ".join(text.split()) if sign.isprintable())
    assert unescape(escaped) == wanted
    assert not re.search("--|''|,,|[★≈◆†±→▲▼]", escaped)


def check_latex(source: str) -> None:
    """Check that environments and braces are balanced, and that rows have all cells."""
    assert source.startswith("% \\usepackage{booktabs")
    stack: list[str] = []
    for kind, name in re.findall(r"\\(begin|end)\{(\w+)\}", source):
        if kind == "begin":
            stack.append(name)
        else:
            assert stack.pop() == name
    assert not stack
    bare = re.sub(r"\\[&%$#_{}\\]", "", source)
    depth = 0
    for sign in bare:
        depth += (sign == "{") - (sign == "}")
        assert depth >= 0
    assert depth == 0
    assert bare.count("$") % 2 == 0
    for spec, body in re.findall(
        r"\\begin\{tabular\}\{@\{\}([^\n]*)@\{\}\}\n\\toprule\n(.*?)\\bottomrule", source, re.S
    ):
        number = len(re.sub(r"\[.*?\]|\{.*?\}", "", spec))
        for line in body.replace("\\midrule\n", "").splitlines():
            assert line.endswith(r" \\")
            assert not line.startswith(("[", "*"))
            cells = re.sub(r"\\&", "", line[:-3]).split(" & ")
            assert len(cells) == number


@pytest.mark.parametrize("form", ["latex", "latex-siunitx"])
def test_latex_is_well_formed_for_every_task(sweep: Sweep, form: str) -> None:
    source = FORMATS[form]([sweep_document(sweep)])
    check_latex(source)
    assert source.count(r"\caption{") == source.count(r"\label{tab:") == source.count(r"\toprule")
    labels = re.findall(r"\\label\{(.*?)\}", source)
    assert len(set(labels)) == len(labels)
    assert ("S[table-format=" in source) == (form == "latex-siunitx")


@pytest.mark.parametrize("form", ["latex", "latex-siunitx"])
def test_latex_is_well_formed_for_any_text(form: str) -> None:
    document = document_of(*([text, "1.5"] for text in NASTY), caption=NASTY, title=NASTY[1])
    check_latex(FORMATS[form]([document]))


def test_latex_aligns_columns_and_sets_the_best_row_bold(tmp_path: Path) -> None:
    document = sweep_document(simulate_retrieval(tmp_path, published_order, seeds=2))
    table = document.tables[1]
    source = FORMATS["latex"]([make_document("t", "s", [("x", table.table)])])
    (spec,) = re.findall(r"\\begin\{tabular\}\{@\{\}(\w+)@\{\}\}", source)
    heads = re.findall(r"\{(.*?)\} (?:&|\\\\)", source.split("\\toprule\n")[1].split("\n")[0])
    kinds = dict(zip(heads, spec, strict=True))
    assert kinds["image-to-text R@1 \\%"] == kinds["lr"] == kinds["95 \\%"] == "r"
    assert kinds[""] == "c"
    assert kinds[r"$\pm$"] == "r"
    (best,) = re.findall(r"^.*\\star.*&.*$", source, re.M)
    assert all(cell.startswith(r"\textbf{") for cell in best.removesuffix(r" \\").split(" & "))
    for line in table.table.caption:
        assert as_latex.escape(line) in source


def test_siunitx_columns_contain_only_numbers() -> None:
    document = document_of(["a", "-1.25", "[1, 2]", "1e-5"], ["b", "-", "[3, 4]", "0.5"])
    source = FORMATS["latex-siunitx"]([document])
    assert "{@{}lS[table-format=-1.2]rr@{}}" in source
    assert "a & -1.25 & {}[1, 2] & 1e-5" in source
    assert "b & {-} &" in source
