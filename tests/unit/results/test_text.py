"""Plural nouns, and wrapped lines."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from results.text import plural, plural_of, print_line, wrap_for


@pytest.mark.parametrize(
    ("number", "noun", "text"),
    [
        (0, "trial", "0 trials"),
        (1, "trial", "1 trial"),
        (2, "trial", "2 trials"),
        (1234, "query", "1,234 queries"),
        (1, "query", "1 query"),
        (3, "key", "3 keys"),
        (2, "pass", "2 passes"),
        (2, "distinct stage", "2 distinct stages"),
    ],
)
def test_plural(number: int, noun: str, text: str) -> None:
    assert plural(number, noun) == text


def test_plural_of() -> None:
    assert (plural_of("image"), plural_of("batch")) == ("images", "batches")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


LONG = "error: " + "a-word-with-hyphens and others " * 9 + "/a/path/" + "x" * 90


def test_wrap_for_wraps_only_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert wrap_for(io.StringIO(), LONG) == LONG
    lines = wrap_for(Terminal(), LONG).splitlines()
    assert " ".join(lines) == LONG
    assert all(len(line) <= 80 or " " not in line for line in lines)


def test_print_line_breaks_paths_after_a_slash() -> None:
    terminal = io.StringIO()
    console = Console(file=terminal, width=40, force_terminal=True, color_system=None)
    print_line(
        console, "Kept the weights of 2 trials in runs/toy/space/weights and in /a/" + "b/" * 30
    )
    lines = [line.rstrip() for line in terminal.getvalue().splitlines()]
    assert "runs/toy/space/weights and in" in lines
    assert all(len(line) <= 40 for line in lines)
    assert all(line.endswith("/") for line in lines[2:])


def test_print_line_wraps_only_on_a_terminal() -> None:
    text = LONG.partition(" /a/")[0]
    pipe, terminal = io.StringIO(), io.StringIO()
    print_line(Console(file=pipe, width=80), text)
    assert pipe.getvalue() == f"{text}\n"
    print_line(Console(file=terminal, width=80, force_terminal=True, color_system=None), text)
    lines = [line.rstrip() for line in terminal.getvalue().splitlines()]
    assert len(lines) > 2
    assert " ".join(lines) == text
