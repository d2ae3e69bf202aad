"""The command line as a new user meets it: help, versions, lists, one task in full."""

from __future__ import annotations

import dataclasses
import io
import json
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import pytest
import typer
from compared_sweeps import hits, one, write
from harness import run_command
from rich.console import Console

from orchestrator.cli import app
from orchestrator.planning import discovery
from orchestrator.planning.suggestions import SYNONYMS, plain, similar_parameters
from orchestrator.planning.task_help import TaskView, parameters, split_range
from results.render.overview_view import OverviewView
from results.storage.filesystem import open_filesystem
from results.storage.run_lock import run_lock
from results.storage.weights import WeightStore
from results.tables.overview import overview, overview_table


def run(*words: str, status: int = 0, width: int = 80) -> tuple[str, str]:
    """(stdout, stderr) of a command in this process."""
    done = run_command(*words, COLUMNS=str(width))
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout, done.stderr


# --- help -----------------------------------------------------------------------------------------


def test_without_arguments_the_help_is_printed() -> None:
    out, err = run()
    assert out.startswith("Usage: ")
    assert "sweep " in out
    assert (out, err) == run("--help")


def test_the_version_names_what_results_depend_on() -> None:
    out, _ = run("--version")
    assert re.fullmatch(
        r"orchestrator \S+ \(Python 3\.\S+, torch \S+, ray \S+, optuna \S+\)\n", out
    )


def commands() -> Iterator[tuple[str, Any]]:
    group: Any = typer.main.get_command(app)
    yield "", group
    yield from group.commands.items()


@pytest.mark.parametrize(("name", "command"), list(commands()))
def test_every_command_and_option_has_a_help_that_fits(name: str, command: Any) -> None:
    assert command.help
    for param in command.params:
        assert param.help, f"{name} {param.name}"
        assert param.help[0].isupper(), param.help
        assert param.help.endswith("."), param.help
    out, _ = run(*name.split(), "--help")
    assert max(map(len, out.splitlines())) <= 80


def test_help_is_plain_english() -> None:
    told = " ".join(run(*name.split(), "--help")[0] for name, _ in commands())
    for word in ("slot", " else.", "What is", "Of this", "told", "mend", "To spend"):
        assert word not in told


# --- one task in full -----------------------------------------------------------------------------


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
def test_a_range_ends_a_docstring(doc: str, meaning: str, limits: str) -> None:
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


def test_parameters_say_what_they_allow() -> None:
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
def test_a_task_in_full(name: str, width: int) -> None:
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


def test_a_task_names_spaces_sources_and_the_paper() -> None:
    out, _ = run("tasks", "retrieval")
    assert "paper: 9 rows in 2 tables" in out
    assert "  lr  number > 0  (default: 1e-5)" in out
    assert "start  pretrained or random  (default: pretrained)" in out
    assert "a deep-learning lab report, section 2.2" in out
    assert "folder:DIR,val=0.1" in out
    out, _ = run("tasks")
    assert len(out.splitlines()) < 20
    assert "tasks TASK`" in out


def test_synonyms_lead_to_parameters_that_exist() -> None:
    tasks = [discovery.load_task(name) for name in ("retrieval", "captioning", "diffusion")]
    known = {field.name for task in tasks for field in dataclasses.fields(task.Params)}
    for word, meant in SYNONYMS.items():
        assert word == plain(word)
        assert set(meant) & known, word
        assert similar_parameters(word, known)


# --- lists of sweeps ------------------------------------------------------------------------------

NOW = datetime.now(UTC)


def sweep(
    out: Path, name: str, trials: Sequence[Any], *, seconds: float = 5.0, **more: Any
) -> None:
    started = (NOW - timedelta(hours=3)).isoformat()
    write(out, name, trials, started=started, seconds=seconds, **more)


def states(out: Path, name: str, now: datetime = NOW) -> tuple[str, str, str]:
    found = overview(str(out), "toy", name, now)
    return found.state, found.trials, found.best


def test_the_state_of_a_sweep(tmp_path: Path) -> None:
    done = [one(hits(share), lr=lr) for lr, share in ((0.1, 0.5), (0.2, 0.6))]
    sweep(tmp_path, "whole", done, num_trials=2)
    assert states(tmp_path, "whole") == ("complete", "2/2", "r1 60.00")
    sweep(tmp_path, "budget", done, num_trials=5)
    assert states(tmp_path, "budget") == ("partial", "2/5", "r1 60.00")
    sweep(tmp_path, "reused", done, num_trials=2, seconds=0.0)  # written a moment ago
    assert states(tmp_path, "reused") == ("complete", "2/2", "r1 60.00")
    sweep(tmp_path, "failing", [*done, one(None, lr=0.3, status="failed")], num_trials=3)
    assert states(tmp_path, "failing") == ("1 failed", "2/3", "r1 60.00")
    sweep(tmp_path, "now", done, num_trials=5, seconds=0.0)
    assert states(tmp_path, "now") == ("running?", "2/5", "r1 60.00")
    later = datetime.now(UTC) + timedelta(hours=2)
    assert states(tmp_path, "now", later)[0] == "interrupted"
    sweep(tmp_path, "fresh", [], num_trials=5, seconds=0.0)
    assert states(tmp_path, "fresh") == ("running?", "0/5", "-")


def test_the_best_is_a_mean_over_seeds_in_the_metrics_direction(tmp_path: Path) -> None:
    trials = [
        one(hits(share), lr=lr, seed=seed)
        for lr, seed, share in ((0.1, 0, 0.9), (0.1, 1, 0.1), (0.2, 0, 0.6), (0.2, 1, 0.6))
    ]
    sweep(tmp_path, "s", trials, num_trials=4)
    assert states(tmp_path, "s")[2] == "r1 60.00"
    error = {"name": "r1", "label": "error", "direction": "minimize"}
    sweep(tmp_path, "e", trials, num_trials=4, metric=error)
    assert states(tmp_path, "e")[2] == "r1 50.00"


def test_a_sweep_of_an_earlier_version_counts_its_rows(tmp_path: Path) -> None:
    rows = [{"params": {"lr": lr}, "report": {}} for lr in (0.1, 0.2, 0.2)]
    table = {"title": "t", "note": "", "rows": rows}
    sweep(tmp_path, "old", [one(hits(0.5))], tables=[table])
    assert states(tmp_path, "old")[:2] == ("partial", "1/2")
    sweep(tmp_path, "grid", [one(hits(0.5))])
    assert states(tmp_path, "grid")[:2] == ("complete", "1")


@pytest.mark.parametrize("width", [60, 80, 120])
def test_a_list_is_one_line_a_sweep_at_any_width(tmp_path: Path, width: int) -> None:
    sources: dict[str, Any] = {"model": {"name": "/long/path/blip-scenes", "fingerprint": "m"}}
    for name in ("paper", "search"):
        sweep(tmp_path, name, [one(hits(0.5))], num_trials=12, **sources)
    (tmp_path / "toy" / "bad").mkdir()
    (tmp_path / "toy" / "bad" / "sweep.json").write_text("{")
    found = [overview(str(tmp_path), "toy", name, NOW) for name in ("bad", "paper", "search")]
    console = Console(width=width, record=True, file=io.StringIO(), color_system=None)
    console.print(OverviewView(overview_table(found, NOW)))
    out = console.export_text()
    assert max(len(line.rstrip()) for line in out.splitlines()) <= width
    (line,) = (line for line in out.splitlines() if "toy/paper" in line)
    for part in ("partial", "1/12", " 50.00", " kB"):
        assert part in line
    assert ("r1 50.00" in line) == (width >= 80)
    assert ("blip-scenes, d" in line) == (width >= 80)
    assert "toy/bad" in out
    assert "damaged" in out


def test_a_narrow_list_shows_the_best_of_sweeps_with_long_names(tmp_path: Path) -> None:
    name = "search-random-a-model-of-a-long-name-learning_rate-0.001"
    sources: dict[str, Any] = {"model": {"name": "/long/path/blip-scenes", "fingerprint": "m"}}
    sweep(tmp_path, name, [one(hits(0.5))], num_trials=12, **sources)
    console = Console(width=80, record=True, file=io.StringIO(), color_system=None)
    console.print(OverviewView(overview_table([overview(str(tmp_path), "toy", name, NOW)], NOW)))
    heading, line, *_, below = console.export_text().splitlines()
    assert heading.split() == ["sweep", "state", "trials", "best"]
    assert line.split() == [f"toy/{name}"[: len(line.split()[0])], "partial", "1/12", "50.00"]
    hidden = "A wider terminal also shows the metric's name, model, data, started, size."
    assert " ".join(below.split()) == hidden


def test_the_size_of_a_sweep_counts_its_weights(tmp_path: Path) -> None:
    sweep(tmp_path, "s", [one(hits(0.5))])
    before = overview(str(tmp_path), "toy", "s", NOW).size
    files = [path for path in (tmp_path / "toy" / "s").rglob("*") if path.is_file()]
    assert before == sum(path.stat().st_size for path in files)
    WeightStore(str(tmp_path), "toy", "s").write("a" * 16, bytes(12345))
    assert overview(str(tmp_path), "toy", "s", NOW).size == before + 12345


def test_the_lock_says_whether_a_sweep_runs(tmp_path: Path) -> None:
    sweep(tmp_path, "s", [one(hits(0.5))], num_trials=5, seconds=0.0)
    assert states(tmp_path, "s")[0] == "running?"
    filesystem, path = open_filesystem(str(tmp_path / "toy" / "s"))
    with run_lock(filesystem, path), run_lock(filesystem, path):  # two runs at once
        assert states(tmp_path, "s")[0] == "running"
    assert states(tmp_path, "s")[0] == "interrupted"  # a moment after it was killed
    (tmp_path / "toy" / "s" / ".lock").write_text("another machine")
    assert states(tmp_path, "s")[0] == "running?"


def test_report_prints_the_only_sweep_or_lists_several(tmp_path: Path) -> None:
    sweep(tmp_path, "a", [one(hits(0.5), lr=lr) for lr in (0.1, 0.2)])
    at = ("--out", str(tmp_path))
    only, _ = run("report", *at)
    assert "best first" in only
    sweep(tmp_path, "b", [one(hits(0.5), lr=lr) for lr in (0.1, 0.2)])
    listed, _ = run("report", *at)
    assert "best first" not in listed
    assert "toy/a" in listed
    assert f"`python -m orchestrator report toy/a --out {tmp_path}`" in listed
    assert listed.startswith(run("list", *at)[0])
    for name in ("a", "toy/a", f"{tmp_path}/toy/a"):
        assert "best first" in run("report", name, *at)[0]
    both, _ = run("report", "toy/a", "b", "a", *at)
    assert both.count("best first") == 2
    assert json.loads(run("list", *at, "--format", "json")[0])[0]["rows"][0][0] == "toy/a"
    assert run("ls", *at) == run("list", *at)


def test_one_name_means_the_same_to_every_command(tmp_path: Path) -> None:
    sweep(tmp_path, "a", [one(hits(0.5))], params={"lr": "float"})
    sweep(tmp_path, "a", [one(hits(0.5))], params={"lr": "float"}, task="other")
    at = ("--out", str(tmp_path))
    expected = (
        f"error: 2 sweeps under {tmp_path} are named 'a'; give the full name: other/a or toy/a"
    )
    for words in (("report", "a"), ("show", "a"), ("check", "a"), ("compare", "a", "toy/a")):
        assert run(*words, *at, status=2)[1].startswith(expected)
    assert run("report", "a", "--task", "toy", *at)[0]
