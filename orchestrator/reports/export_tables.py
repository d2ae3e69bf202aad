"""Prints tables in an export format, or writes them to files."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path

from orchestrator.reports.files import check_target, save_file
from results.export import FORMATS, SUFFIXES, Document, Export
from tasks.contract import RequestError

#: Formats that write one file per table; the others write one file per sweep.
_FILE_PER_TABLE = ("csv", "latex", "latex-siunitx")
_MAX_LISTED = 8  # tables in an error message


def check_options(
    format_: str | None, to: str | None, table: str | None, *, as_json: bool = False
) -> str:
    """Return the format: the given one, the one that the suffix of --to implies, or terminal.

    Raises:
        RequestError: if an option has a wrong value, or the options contradict each other.
    """
    for option, value in (("--format", format_), ("--to", to), ("--table", table)):
        if as_json and value is not None:
            raise RequestError(f"--json prints one document to stdout; remove {option} {value}")
    format_ = _format_of(to) if format_ is None else format_
    if format_ not in ("terminal", *FORMATS):
        raise RequestError(f"--format takes terminal, {', '.join(FORMATS)}, but got {format_!r}")
    for option, value in (("--to", to), ("--table", table)):
        if value is not None and format_ == "terminal":
            raise RequestError(f"{option} requires a --format other than terminal, such as csv")
    if to is None:
        return format_
    if "://" in to or not to.strip():
        raise RequestError(f"--to takes a local file or folder, but got {to!r}")
    suffix = Path(to).suffix.lower()
    if suffix in SUFFIXES.values() and suffix != SUFFIXES[format_] and not Path(to).is_dir():
        raise RequestError(
            f"--to {to} does not fit --format {format_}: name a file that ends in "
            f"{SUFFIXES[format_]}, or a folder"
        )
    return format_


def _format_of(to: str | None) -> str:
    """Return the format for a file's suffix, or terminal. ``.tex`` gives plain LaTeX."""
    suffix = Path(to or "").suffix.lower()
    return next((name for name, each in SUFFIXES.items() if each == suffix), "terminal")


def export(
    documents: Sequence[Document], format_: str, *, to: str | None = None, table: str | None = None
) -> None:
    """Print the tables, or write them and print the names of the files.

    Args:
        documents: the tables of each sweep.
        format_: a key of ``FORMATS``.
        to: a file, or a folder, which is created if needed.
        table: the number or name of a single table.

    Raises:
        RequestError: if no table has that name, a CSV file would contain several tables, or a file
            cannot be written.
    """
    if table is not None:
        documents = [_select_table(documents, table)]
    if to is None:
        if format_ == "csv":
            _check_single(documents, "--format csv prints one table")
        print(FORMATS[format_](documents), end="")
        return
    files = _files(documents, format_, to)
    texts = {path: FORMATS[format_](parts) for path, parts in files.items()}
    if next(iter(files), to) != to:
        _make_folder(to)
    for path in files:
        check_target(path)
    for path, text in texts.items():
        save_file(path, text.encode())
        print(f"Saved {path}.")


def _files(documents: Sequence[Document], format_: str, to: str) -> dict[str, Sequence[Document]]:
    """Return the documents for each file, by path."""
    suffix = SUFFIXES[format_]
    if to.lower().endswith(suffix) and not Path(to).is_dir():
        if format_ == "csv":
            _check_single(documents, f"--to {to} holds one table")
        return {to: documents}
    files: dict[str, Sequence[Document]] = {}
    for document in documents:
        stem = f"{document.task}-{document.sweep}"
        if format_ not in _FILE_PER_TABLE:
            files[os.path.join(to, stem + suffix)] = [document]
            continue
        for each in document.tables:
            path = os.path.join(to, f"{stem}-{each.name}{suffix}")
            files[path] = [dataclasses.replace(document, tables=[each])]
    return files


def _make_folder(path: str) -> None:
    try:
        os.makedirs(path, exist_ok=True)
    except OSError as error:
        raise RequestError(
            f"--to {path} cannot be created as a folder: {error.strerror}; name another"
        ) from None


def _listed(documents: Sequence[Document]) -> list[tuple[Document, Export]]:
    return [(document, each) for document in documents for each in document.tables]


def _names(documents: Sequence[Document]) -> str:
    several = len(documents) > 1
    names = [
        f"{number} {f'{d.task}/{d.sweep}: ' if several else ''}{each.name}"
        for number, (d, each) in enumerate(_listed(documents), start=1)
    ]
    more = [f"and {len(names) - _MAX_LISTED} more"] if len(names) > _MAX_LISTED else []
    return ", ".join([*names[:_MAX_LISTED], *more])


def _check_single(documents: Sequence[Document], rule: str) -> None:
    number = len(_listed(documents))
    if number != 1:
        raise RequestError(
            f"{rule}, but got {number}: {_names(documents)}; choose one with --table, or write a "
            "file for each with --to DIR"
        )


def _select_table(documents: Sequence[Document], table: str) -> Document:
    listed = _listed(documents)
    found = [
        (document, each)
        for number, (document, each) in enumerate(listed, start=1)
        if table in (str(number), each.name)
    ]
    if len(found) != 1:
        what = f"{len(found)} tables are named" if found else "no table is named"
        raise RequestError(f"--table: {what} {table!r}; choose a number: {_names(documents)}")
    document, each = found[0]
    return dataclasses.replace(document, tables=[each])
