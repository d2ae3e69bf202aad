"""What ``tasks`` shows of a task: its parameters, spaces and sources."""

from __future__ import annotations

import dataclasses
import io
import re
from typing import Literal

import pytest
from harness import run_checked as run
from rich.console import Console

from orchestrator.planning import discovery
from orchestrator.planning.task_help import TaskView, parameters, split_range


@pytest.mark.parametrize(
    ("doc", "meaning", "limits"),
    [
        ("Width. >= 8.", "Width.", ">= 8"),
        ("Share left out. 0 to below 1.", "Share left out.", "0 to below 1"),
        ("Last beta. beta_1 to 1.", "Last beta.", "beta_1 to 1"),
        ("Divides the logits. > 0; 1 is none.", "Divides the logits.", "> 0; 1 is none"),
        ("Most tokens. >= 2, and more than x.", "Most tokens.", ">= 2, and more than x"),
        ("After each step it is >= 0.01.", "After each step it is >= 0.01.", ""),
        ("What it computes in.", "What it computes in.", ""),
        ("", "", ""),
    ],
)
def test_split_range_separates_meaning_and_limits(doc: str, meaning: str, limits: str) -> None:
    assert split_range(doc) == (meaning, limits)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Params:
    kind: Literal["a", "b", "c"] = "a"
    """Its kind."""
    share: float = 0.5
    """Its share. 0 to 1."""
    number: int | None = None
    """How many; none: all. >= 1."""
    rate: float = 1e-05
    """Its rate. > 0."""
    on: bool = True
    """Whether it is on."""
    text: str = "to "
    """Its text."""


def test_parameters_list_allowed_values() -> None:
    found = {each.name: (each.allowed, each.default, each.meaning) for each in parameters(Params)}
    assert found == {
        "kind": ("a, b or c", "a", "Its kind."),
        "share": ("number from 0 to 1", "0.5", "Its share."),
        "number": ("integer >= 1, or none", "none", "How many; none: all."),
        "rate": ("number > 0", "1e-5", "Its rate."),
        "on": ("true or false", "true", "Whether it is on."),
        "text": ("text", '"to "', "Its text."),
    }


@pytest.mark.parametrize("name", discovery.task_names())
@pytest.mark.parametrize("width", [60, 80, 160])
def test_task_view_fits_and_lists_every_parameter(name: str, width: int) -> None:
    task = discovery.load_task(name)
    console = Console(width=width, record=True, file=io.StringIO(), color_system=None)
    console.print(TaskView(task, discovery.load_space(name)))
    out = console.export_text()
    assert max(len(line.rstrip()) for line in out.splitlines()) <= width
    for field in dataclasses.fields(task.Params):
        assert re.search(rf"^  {field.name}  .*", out, re.M), field.name
    assert task.metric.name in out
    assert f"default: {task.default_model}" in out
    assert f"default: {task.default_data}" in out


def test_tasks_command_lists_spaces_data_and_paper() -> None:
    out, _ = run("tasks", "retrieval")
    assert "paper: 9 rows in 2 tables" in out
    assert "  lr  number > 0  (default: 1e-5)" in out
    assert "start  pretrained or random  (default: pretrained)" in out
    assert "a deep-learning lab report, section 2.2" in out
    assert "folder:DIR,val=0.1" in out
    out, _ = run("tasks")
    assert len(out.splitlines()) < 20
    assert "tasks TASK`" in out
