"""``--json``: one JSON document on stdout, also for an error, and everything else on stderr.

docs/reference/json.md describes the documents, and output.schema.json in this folder their schema.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, TextIO

import typer

from orchestrator.view.output import open_output

Json = Annotated[
    bool,
    typer.Option("--json", help="Print one JSON document to stdout, and other text to stderr."),
]
SCHEMA_VERSION = 1  # higher when a field is removed or changes its meaning, not when one is added


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What a command returns with ``--json``: its exit status and the fields of its document."""

    status: int = 0
    fields: Mapping[str, Any] = field(default_factory=dict)


def wants_json(words: Sequence[str]) -> bool:
    """Return whether a command line contains ``--json``, even if it cannot be parsed."""
    options = words[: words.index("--")] if "--" in words else words
    return "--json" in options


def document(command: str | None, status: int, fields: Mapping[str, Any]) -> str:
    """Return the JSON document of a command."""
    from results.json_values import to_json_value

    head = {"schema_version": SCHEMA_VERSION, "command": command, "exit_code": status}
    return json.dumps(to_json_value({**head, **fields}), ensure_ascii=False, allow_nan=False)


def error_fields(kind: str, message: str) -> dict[str, Any]:
    """Return the field of a document that describes an error."""
    return {"error": {"type": kind, "message": message}}


@contextlib.contextmanager
def stdout_to_stderr() -> Iterator[TextIO]:
    """Redirect standard output, also that of other programs, to stderr; yield the original."""
    original = sys.stdout
    if not _is_descriptor_1(original):  # a test or a notebook has replaced it
        with contextlib.redirect_stdout(sys.stderr):
            yield original
        return
    original.flush()
    saved = os.dup(1)
    os.dup2(2, 1)
    try:
        with open_output(os.dup(saved)) as stream:
            yield stream
    finally:
        original.flush()
        os.dup2(saved, 1)
        os.close(saved)


def _is_descriptor_1(stream: TextIO) -> bool:
    try:
        return stream.fileno() == 1
    except (OSError, ValueError):
        return False
