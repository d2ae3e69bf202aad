"""``report --format`` and ``--to``: which tables are printed or written, and where."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from exported_tables import assert_reads_back
from paths import STORED

from orchestrator.reports.export_tables import check_options, export
from results.export import (
    FORMATS,
    Document,
    sweep_document,
)
from results.export.records import records_of
from results.storage.reading import read_sweep
from tasks.contract import RequestError


def stored() -> Document:
    return sweep_document(read_sweep(str(STORED), "toy", "stored"))


def test_csv_of_several_tables_is_refused_with_their_names(capsys: Any) -> None:
    with pytest.raises(RequestError) as raised:
        export([stored()], "csv")
    message = str(raised.value)
    assert "--format csv prints one table, but got" in message
    for part in ("claims", "--table", "--to DIR"):
        assert part in message
    assert capsys.readouterr().out == ""


def test_table_is_selected_by_number_or_name(capsys: pytest.CaptureFixture[str]) -> None:
    document = stored()
    for number, table in enumerate(document.tables, start=1):
        printed = []
        for choice in (str(number), table.name):
            export([document], "csv", table=choice)
            printed.append(capsys.readouterr().out)
        assert printed[0] == printed[1]
        assert_reads_back(pd.read_csv(io.StringIO(printed[0])), records_of(table))
    with pytest.raises(RequestError, match="no table is named '9'; choose a number: 1 "):
        export([document], "markdown", table="9")
    with pytest.raises(RequestError, match="2 tables are named 'claims'; choose a number"):
        export([document, document], "csv", table="claims")


@pytest.mark.parametrize("form", FORMATS)
def test_folder_gets_one_file_per_table(
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
        with pytest.raises(RequestError, match="holds one table, but got"):
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
def test_conflicting_options_are_refused(options: Any, message: str) -> None:
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
def test_file_suffix_selects_the_format(format_: Any, to: Any, wanted: str) -> None:
    assert check_options(format_, to, None) == wanted


def test_unwritable_path_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for to, message in (
        ("file/x", "cannot be created as a folder"),
        ("no/x.html", "no such folder"),
    ):
        with pytest.raises(RequestError, match=message):
            export([stored()], "html", to=str(tmp_path / to))
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
