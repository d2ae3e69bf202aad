"""The help and version of every command."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import typer
from harness import run_checked as run

from orchestrator.cli import app


def test_no_arguments_prints_help() -> None:
    out, err = run()
    assert out.startswith("Usage: ")
    assert "sweep " in out
    assert (out, err) == run("--help")


def test_version_lists_libraries() -> None:
    out, _ = run("--version")
    assert re.fullmatch(
        r"orchestrator \S+ \(Python 3\.\S+, torch \S+, ray \S+, optuna \S+\)\n", out
    )


def commands() -> Iterator[tuple[str, Any]]:
    group: Any = typer.main.get_command(app)
    yield "", group
    yield from group.commands.items()


@pytest.mark.parametrize(("name", "command"), list(commands()))
def test_every_option_has_help_within_80_columns(name: str, command: Any) -> None:
    assert command.help
    for param in command.params:
        assert param.help, f"{name} {param.name}"
        assert param.help[0].isupper(), param.help
        assert param.help.endswith("."), param.help
    out, _ = run(*name.split(), "--help")
    assert max(map(len, out.splitlines())) <= 80


def test_help_avoids_private_vocabulary() -> None:
    output = " ".join(run(*name.split(), "--help")[0] for name, _ in commands())
    for word in ("slot", " else.", "What is", "Of this", "told", "mend", "To spend"):
        assert word not in output
