"""Tables in other formats: read back by what reads them, whatever the texts in them hold."""

from __future__ import annotations

import base64
import html.parser
import io
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from paths import STORED
from PIL import Image
from simulated import published_order, simulate, simulate_retrieval

from orchestrator.planning import discovery
from orchestrator.reports.export_tables import check_options, export
from results.compare.sweeps import compare
from results.export import (
    FORMATS,
    Document,
    Picture,
    as_html,
    as_latex,
    as_markdown,
    make_document,
    sweep_document,
)
from results.export.records import records_of
from results.storage.reading import Sweep, read_sweep
from results.tables.details import DetailTable
from tasks.contract import RequestError

NASTY = [
    "\\input{/etc/passwd}",
    "100 % & more_of #1 $x^2$ {a} ~",
    "★≈◆†±→▲▼",
    "[52.1] * `code` **bold** __init__ | pipe",
    "<script>alert(1)</script> &amp; \"quoted\" 'single'",
    "--sampler tpe -- '' ,, ``",
    "![a](http://x/y) [b](c) <http://x>",
    "\\",
    "\\\\",
    "a\nb\tc",
    "#",
    "1. one",
    "- item",
    "über 日本 é",
    "_a_ *b* ~~c~~ snake_case",
]


@pytest.fixture(scope="module", params=discovery.task_names())
def sweep(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Sweep:
    return simulate(request.param, tmp_path_factory.mktemp("out"))


def document_of(*rows: list[str], caption: list[str] | None = None, title: str = "t") -> Document:
    headings = [f"h{number}" for number in range(len(rows[0]))]
    table = DetailTable(title=title, headings=headings, rows=[*rows], caption=caption or [])
    return make_document("toy", "s", [("table", table)])


# --- CSV and JSON ---------------------------------------------------------------------------------


def assert_reads_back(frame: pd.DataFrame, records: list[dict[str, Any]]) -> None:
    assert list(frame.columns) == list(records[0])
    assert len(frame) == len(records)
    for name, column in frame.items():
        values = [record[str(name)] for record in records]
        known = [value for value in values if value not in (None, "")]
        kinds = {type(value) for value in known}
        assert len(kinds) <= 1 or kinds == {int, float}
        if kinds == {bool}:
            assert column.dtype == bool
        elif kinds <= {int, float}:  # also a column of missing numbers
            assert pd.api.types.is_numeric_dtype(column), name
        else:
            assert column.dtype == object or pd.api.types.is_string_dtype(column)
        assert column.dropna().tolist() == known


def test_pandas_reads_every_table_with_its_types(sweep: Sweep, tmp_path: Path) -> None:
    document = sweep_document(sweep)
    export([document], "csv", to=str(tmp_path / "tables"))
    task, name = sweep.manifest.task, sweep.manifest.name
    files = {f"{task}-{name}-{table.name}.csv": table for table in document.tables}
    assert {file.name for file in (tmp_path / "tables").iterdir()} == set(files)
    for file, table in files.items():
        text = (tmp_path / "tables" / file).read_text()
        assert not re.search("[★≈◆]", text)
        frame = pd.read_csv(io.StringIO(text))
        assert_reads_back(frame, records_of(table))
        assert {*frame["task"], *frame["sweep"]} == {task, name}


def test_a_row_of_csv_is_what_the_parquet_table_holds(tmp_path: Path) -> None:
    sweep = simulate_retrieval(tmp_path, published_order, seeds=2)
    (first, *_) = sweep_document(sweep).tables
    trials = pd.read_parquet(Path(sweep.path) / "trials").set_index("trial_id")
    for record in records_of(first):
        mine = trials.loc[str(record["trial_ids"]).split()]
        assert record["metric.i2t_r1"] == pytest.approx(mine["metric.i2t_r1"].mean())
        assert record["deviation"] == pytest.approx(mine["metric.i2t_r1"].std())
        low, mean, high = (
            record[key] for key in ("interval_low", "metric.i2t_r1", "interval_high")
        )
        assert 0 <= low < mean < high <= 1  # type: ignore[operator]
        assert record["num_seeds"] == 2
        assert record["param.lr"] == mine["param.lr"].iloc[0]
    marks = [record["mark"] for record in records_of(first)]
    assert marks.count("best") == 1
    tested = [r for r in records_of(first) if r["mark"] != "best"]
    assert all(0 <= r["adjusted_p"] <= 1 for r in tested)  # type: ignore[operator]
    assert any(isinstance(record["published"], float) for record in records_of(first))


def test_a_comparison_has_both_sides_in_columns(tmp_path: Path) -> None:
    one, two = (
        simulate_retrieval(tmp_path, published_order, name=name, num_units=50)
        for name in ("one", "two")
    )
    tables = compare(one, two, ("one", "two"))
    document = make_document("retrieval", "both", [("sweeps", tables[0]), ("rows", tables[1])])
    export([document], "csv", to=str(tmp_path / "csv"))
    frame = pd.read_csv(tmp_path / "csv" / "retrieval-both-rows.csv")
    assert_reads_back(frame, records_of(document.tables[1]))
    assert (frame["first.metric.i2t_r1"] == frame["second.metric.i2t_r1"]).all()
    assert (frame["difference"] == 0).all()


def test_json_has_the_records_and_is_strict(sweep: Sweep) -> None:
    document = sweep_document(sweep)

    def refuse(constant: str) -> None:
        raise AssertionError(constant)  # NaN is no JSON

    tables = json.loads(FORMATS["json"]([document]), parse_constant=refuse)
    assert [table["name"] for table in tables] == [table.name for table in document.tables]
    for read, table in zip(tables, document.tables, strict=True):
        assert read["records"] == records_of(table)
        assert read["title"] == table.table.title


@pytest.mark.parametrize("text", NASTY)
def test_texts_survive_csv_and_json(text: str) -> None:
    document = document_of([text, "1"])
    frame = pd.read_csv(io.StringIO(FORMATS["csv"]([document])), keep_default_na=False)
    assert frame["h0"].tolist() == [text]
    assert json.loads(FORMATS["json"]([document]))[0]["records"][0]["h0"] == text


# --- Markdown -------------------------------------------------------------------------------------

MARKDOWN = MarkdownIt("commonmark").enable(["table", "strikethrough"])


def markdown_texts(source: str) -> list[str]:
    """The plain text of every inline part; markup in one is an error."""
    found = []
    for token in MARKDOWN.parse(source):
        if token.type == "inline":
            kinds = {child.type for child in token.children or []}
            assert kinds <= {"text", "text_special", "hardbreak"}, token.content
            found.append("".join(child.content or "\n" for child in token.children or []))
    return found


@given(st.lists(st.text(max_size=20), min_size=2, max_size=3), st.text(max_size=20))
@example(NASTY[:2], NASTY[2])
@example([NASTY[6], NASTY[7]], NASTY[9])
def test_markdown_shows_texts_as_they_are(cells: list[str], caption: str) -> None:
    document = document_of(cells, caption=[f"c {caption}"])
    texts = markdown_texts(FORMATS["markdown"]([document]))
    shown = [" ".join(cell.split()) for cell in cells]
    assert texts[:1] == ["t"]
    assert texts[1 + len(cells) : 1 + 2 * len(cells)] == [plain(cell) for cell in shown]
    assert texts[-1].strip() == plain(" ".join(f"c {caption}".split()))


def plain(text: str) -> str:
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")


@pytest.mark.parametrize("text", NASTY)
def test_a_line_below_a_table_is_a_line(text: str) -> None:
    source = FORMATS["markdown"]([document_of(["x"], caption=[text, text])])
    kinds = {token.type for token in MARKDOWN.parse(source)}
    assert not kinds & {"bullet_list_open", "ordered_list_open", "fence", "html_block"}
    assert markdown_texts(source)[-1].split() == [*text.split(), *text.split()]


def test_markdown_escapes_no_more_than_it_must() -> None:
    assert as_markdown.escape("embed_dim [52.1, 54.6] 95 % ★ 8.28") == (
        "embed_dim [52.1, 54.6] 95 % ★ 8.28"
    )


# --- LaTeX ----------------------------------------------------------------------------------------

LATEX_SIGNS: Mapping[str, str] = {code: sign for sign, code in as_latex._SIGNS.items()}
_TOKEN = re.compile("|".join(re.escape(code) for code in sorted(LATEX_SIGNS, key=len)[::-1]))


def unescape(text: str) -> str:
    """What LaTeX prints of an escaped text; a special sign that is left over is an error."""
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
def test_latex_prints_texts_as_they_are(text: str) -> None:
    escaped = as_latex.escape(text)
    wanted = "".join(sign for sign in " ".join(text.split()) if sign.isprintable())
    assert unescape(escaped) == wanted
    assert not re.search("--|''|,,|[★≈◆†±→▲▼]", escaped)


def check_latex(source: str) -> None:
    """Environments and braces are closed in order, and rows have as many cells as columns."""
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


def test_latex_aligns_by_type_keeps_notes_and_has_the_best_row_bold(tmp_path: Path) -> None:
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


def test_siunitx_columns_hold_numbers_alone() -> None:
    document = document_of(["a", "-1.25", "[1, 2]", "1e-5"], ["b", "-", "[3, 4]", "0.5"])
    source = FORMATS["latex-siunitx"]([document])
    assert "{@{}lS[table-format=-1.2]rr@{}}" in source
    assert "a & -1.25 & {}[1, 2] & 1e-5" in source
    assert "b & {-} &" in source


# --- HTML -----------------------------------------------------------------------------------------


class Page(html.parser.HTMLParser):
    """The tags of a page, its texts, and what it refers to."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.texts: list[str] = []
        self.sources: list[str] = []
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            assert not name.startswith("on")
            if name in ("src", "href", "srcset", "action"):
                self.sources.append(value or "")
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def page(documents: list[Document]) -> Page:
    found = Page(FORMATS["html"](documents))
    assert not found.open
    assert "script" not in found.tags
    return found


def test_a_page_holds_the_figures_and_loads_nothing(sweep: Sweep) -> None:
    found = page([sweep_document(sweep)])
    assert found.sources
    for source in found.sources:
        kind, _, data = source.partition(";base64,")
        blob = base64.b64decode(data, validate=True)
        assert kind in ("data:image/svg+xml", "data:image/png")
        assert blob.startswith(b"<?xml") if "svg" in kind else blob.startswith(b"\x89PNG")
    style = as_html._STYLE
    assert "url(" not in style
    assert "prefers-color-scheme: dark" in style


def test_a_page_of_real_pictures_holds_their_sheet() -> None:
    out = io.BytesIO()
    Image.new("RGB", (4, 4)).save(out, format="PNG")
    pictures = [
        Picture(title="<b>", media_type="image/png", blob=out.getvalue()),
        Picture(title="x", error="<i> is damaged"),
    ]
    document = make_document("toy", "s", [], lambda: pictures)
    found = page([document])
    assert len(found.sources) == 1
    assert "b" not in found.tags
    assert "x: <i> is damaged" in found.texts


@given(st.lists(st.text(max_size=20), min_size=2, max_size=3))
@example(NASTY[:3])
@example(NASTY[3:6])
def test_html_shows_texts_as_they_are(cells: list[str]) -> None:
    found = page([document_of(cells, caption=cells[:1], title=f"t {cells[1]}")])
    assert found.tags <= {
        *("html", "head", "meta", "title", "style", "body", "h1", "h2", "div", "table", "thead"),
        *("tr", "th", "tbody", "td", "p"),
    }
    text = "".join(found.texts)
    for cell in cells:
        # The parser makes one line feed of each carriage return, as a browser does.
        assert cell.replace("\r\n", "\n") in text or cell in text


# --- what is printed and written ------------------------------------------------------------------


def stored() -> Document:
    return sweep_document(read_sweep(str(STORED), "toy", "stored"))


def test_csv_of_several_tables_names_them_and_what_to_do(capsys: Any) -> None:
    with pytest.raises(RequestError) as raised:
        export([stored()], "csv")
    message = str(raised.value)
    assert "--format csv prints one table, but there are" in message
    for part in ("claims", "--table", "--to DIR"):
        assert part in message
    assert capsys.readouterr().out == ""


def test_one_table_is_chosen_by_number_or_name(capsys: pytest.CaptureFixture[str]) -> None:
    document = stored()
    for number, table in enumerate(document.tables, start=1):
        printed = []
        for choice in (str(number), table.name):
            export([document], "csv", table=choice)
            printed.append(capsys.readouterr().out)
        assert printed[0] == printed[1]
        assert_reads_back(pd.read_csv(io.StringIO(printed[0])), records_of(table))
    with pytest.raises(RequestError, match="there is no table '9'; choose a number: 1 "):
        export([document], "markdown", table="9")
    with pytest.raises(RequestError, match="2 tables are named 'claims'; choose a number"):
        export([document, document], "csv", table="claims")


@pytest.mark.parametrize("form", FORMATS)
def test_a_folder_gets_files_and_a_file_gets_everything(
    tmp_path: Path, form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    document = stored()
    export([document], form, to=str(tmp_path / "new" / "folder"))
    files = sorted((tmp_path / "new" / "folder").iterdir())
    assert len(files) == (1 if form in ("markdown", "json", "html") else len(document.tables))
    printed = capsys.readouterr().out.splitlines()
    assert sorted(printed) == [f"Saved {file}." for file in files]
    suffix = files[0].suffix
    file = tmp_path / f"all{suffix}"
    if form == "csv":
        with pytest.raises(RequestError, match="holds one table, but there are"):
            export([document], form, to=str(file))
        assert not file.exists()
        export([document], form, to=str(file), table="1")
    else:
        export([document], form, to=str(file))
    assert capsys.readouterr().out == f"Saved {file}.\n"
    assert file.stat().st_size > 100


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("terminal", "x", None), "--to requires a --format other than terminal"),
        (("terminal", None, "1"), "--table requires a --format other than terminal"),
        (("html", "a.csv", None), "--to a.csv does not fit --format html: name a file that ends"),
        (("csv", "s3://b/x", None), "--to takes a local file or folder, but got 's3://b/x'"),
        (("xml", None, None), "--format takes terminal, markdown, latex"),
    ],
)
def test_options_that_do_not_fit_are_refused(options: Any, message: str) -> None:
    with pytest.raises(RequestError, match=re.escape(message)):
        check_options(*options)


@pytest.mark.parametrize(
    ("format_", "to", "wanted"),
    [
        (None, None, "terminal"),
        (None, "page.HTML", "html"),
        (None, "table.tex", "latex"),
        ("latex-siunitx", "table.tex", "latex-siunitx"),
        ("csv", "tables", "csv"),
    ],
)
def test_the_name_of_a_file_chooses_the_format(format_: Any, to: Any, wanted: str) -> None:
    assert check_options(format_, to, None) == wanted


def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for to, message in (("file/x", "cannot be a folder"), ("no/x.html", "there is no folder")):
        with pytest.raises(RequestError, match=message):
            export([stored()], "html", to=str(tmp_path / to))
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
