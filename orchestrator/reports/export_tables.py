"""What ``--format``, ``--table`` and ``--to`` do: print tables in a format, or write them."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path

from orchestrator.reports.files import check_target, save_file
from results.export import FORMATS, SUFFIXES, Document, Export
from tasks.contract import RequestError

#: Formats of which a folder gets a file for each table; otherwise a file for each sweep.
_FILE_A_TABLE = ("csv", "latex", "latex-siunitx")
_MAX_LISTED = 8  # tables that an error names


def check_options(format_: str | None, to: str | None, table: str | None) -> str:
    """The format: as given, as the suffix of ``--to FILE`` says, or for the terminal.

    Raises:
        RequestError: if options do not go together. It names the option and what it takes.
    """
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
    """The format that a file's name asks for; of the two LaTeX formats the plain one."""
    suffix = Path(to or "").suffix.lower()
    return next((name for name, each in SUFFIXES.items() if each == suffix), "terminal")


def export(
    documents: Sequence[Document], format_: str, *, to: str | None = None, table: str | None = None
) -> None:
    """Print the tables, or write them and print the names of the files.

    Args:
        documents: the tables of each sweep.
        format_: a key of ``FORMATS``.
        to: a file, or a folder that is made if needed.
        table: the number or name of one table, as an error lists them.

    Raises:
        RequestError: if there is no such table, one CSV file would have to hold several, or a file
            cannot be written.
    """
    if table is not None:
        documents = [_pick(documents, table)]
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
    """What each file is to hold."""
    suffix = SUFFIXES[format_]
    if to.lower().endswith(suffix) and not Path(to).is_dir():
        if format_ == "csv":
            _check_single(documents, f"--to {to} holds one table")
        return {to: documents}
    files: dict[str, Sequence[Document]] = {}
    for document in documents:
        stem = f"{document.task}-{document.sweep}"
        if format_ not in _FILE_A_TABLE:
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
            f"--to {path} cannot be a folder: {error.strerror}; name another"
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
            f"{rule}, but there are {number}: {_names(documents)}; choose one with --table, or "
            "write a file for each with --to DIR"
        )


def _pick(documents: Sequence[Document], table: str) -> Document:
    listed = _listed(documents)
    found = [
        (document, each)
        for number, (document, each) in enumerate(listed, start=1)
        if table in (str(number), each.name)
    ]
    if len(found) != 1:
        what = f"{len(found)} tables are named" if found else "there is no table"
        raise RequestError(f"--table: {what} {table!r}; choose a number: {_names(documents)}")
    document, each = found[0]
    return dataclasses.replace(document, tables=[each])
