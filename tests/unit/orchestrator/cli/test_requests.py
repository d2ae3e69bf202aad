"""Requests from the options of a command."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import typer

from orchestrator.cli import app
from orchestrator.cli.requests import given, make_requests
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


def test_another_metric_has_not_the_stored_direction(tmp_path: Path) -> None:
    file = tmp_path / "request.yaml"
    file.write_text("{task: 'a.py:fit', metric: error, maximize: false}")
    values = {"trials": None, "sampler": None, "pruner": None, "metric": ("accuracy:maximize",)}
    (request,) = make_requests([], str(file), values, {"metric"})
    assert (request.metric, request.maximize) == (("accuracy:maximize",), None)
    (request,) = make_requests([], str(file), values, set())
    assert (request.metric, request.maximize) == ("error", False)
