"""Requests from the options of a command."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import typer

from orchestrator.cli import app
from orchestrator.cli.requests import given
from orchestrator.request import Request


@pytest.mark.parametrize(
    ("words", "fields"),
    [
        (["--seeds=2"], {"seeds"}),
        (["--set", "lr=0.1"], {"settings"}),
        (["--step-timeout=9s"], {"step_timeout"}),
        (["--deadline=9s"], {"step_timeout"}),
        (["--budget=9s"], {"budget", "budget_trials"}),
    ],
)
def test_given_options_are_fields_of_a_request(words: list[str], fields: set[str]) -> None:
    group: Any = typer.main.get_command(app)
    context = group.commands["sweep"].make_context("sweep", words)
    assert given(context) == fields
    assert fields <= {field.name for field in dataclasses.fields(Request)}
