"""``--json``: the document of every command against its schema, and errors as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import typer.main
from harness import run_command
from json_documents import COMMANDS, SCHEMA, check_document
from paths import STORED

from orchestrator.cli import app, entry, list_
from orchestrator.cli.json_output import SCHEMA_VERSION, wants_json
from tasks import contract

SWEEP = ("sweep", "toy", "--engine", "local", "--seeds", "2")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the toy's report and an archive of it."""
    folder = tmp_path_factory.mktemp("json")
    assert run_command(*SWEEP, cwd=folder).returncode == 0
    assert run_command("archive", "paper", "paper.zip", cwd=folder).returncode == 0
    return folder


def run(folder: Path, *words: str, status: int = 0) -> Mapping[str, Any]:
    """Run a command with --json; returns its document, which fits its schema."""
    done = run_command(*words, "--json", cwd=folder)
    assert done.returncode == status, done.stdout + done.stderr
    return check_document(done.stdout, words[0], status)


# --- the schema -----------------------------------------------------------------------------------


def test_every_command_has_a_schema_and_the_option() -> None:
    group: Any = typer.main.get_command(app)
    visible = {name: command for name, command in group.commands.items() if not command.hidden}
    assert set(visible) == set(COMMANDS)
    for name, command in visible.items():
        assert any("--json" in each.opts for each in command.params), name
        assert SCHEMA["$defs"][name]["properties"]["command"] == {"const": name}
        assert SCHEMA["$defs"][name]["properties"]["schema_version"] == {"const": SCHEMA_VERSION}


def test_schema_names_every_kind_of_error() -> None:
    kinds = set(SCHEMA["$defs"]["error_detail"]["properties"]["type"]["enum"])
    errors = {
        name
        for name in vars(contract)
        if isinstance(getattr(contract, name), type)
        and issubclass(getattr(contract, name), contract.SweepError)
    }
    assert kinds == errors | {"UsageError", "Interrupted", "InternalError"}


# --- every command --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (("tasks",), 0),
        (("tasks", "toy"), 0),
        (("tasks", "toy", "--schema"), 0),
        (("sweep", "toy", "--dry-run"), 0),
        (("sweep", "toy", "--space", "search", "--trials", "3", "--dry-run"), 0),
        (("ps",), 0),
        (("list",), 0),
        (("list", "--out", str(STORED)), 0),
        (("report",), 0),
        (("report", "--out", str(STORED), "--where", "degree > 1", "--columns", "lr"), 0),
        (("compare", "paper", "paper"), 0),
        (("page", "paper", "page.html"), 0),
        (("check", "stored", "--out", str(STORED)), 0),
        (("check", "stored", "--out", str(STORED), "--strict"), 1),
        (("check", "paper", "--against", "paper.zip"), 0),
        (("check", "paper", "--against", f"{STORED}/toy/stored"), 1),
        (("show", "paper"), 0),
        (("show", "paper", "--where", "degree = 1", "--columns", "status,error"), 0),
        (("query", "SELECT * FROM trials"), 0),
        (("query", "SELECT * FROM samples LIMIT 2"), 0),
        (("query", "DESCRIBE stages"), 0),
        (("verify", "paper", "--engine", "local"), 0),
        (("prune",), 0),
        (("prune", "--weights"), 0),
        (("completion", "bash"), 0),
    ],
)
def test_document_fits_its_schema(folder: Path, words: tuple[str, ...], status: int) -> None:
    run(folder, *words, status=status)


def test_sweep_returns_its_tables(folder: Path) -> None:
    found = run(folder, *SWEEP)
    (sweep,) = found["sweeps"]
    assert sweep["trials_by_status"] == {"finished": 8}
    assert sweep["tables"] == run(folder, "report", "paper")["sweeps"][0]["tables"]


def test_dry_run_returns_the_trials(folder: Path) -> None:
    (planned,) = run(folder, *SWEEP, "--dry-run")["plans"]
    ids = {row["trial_id"] for row in run(folder, "show", "paper")["trials"]}
    assert {trial["trial_id"] for trial in planned["trials"]} == ids
    assert all(trial["is_done"] for trial in planned["trials"])


def test_dry_run_of_a_search_checks_it_as_without_json(folder: Path) -> None:
    at = ("sweep", "toy", "--out", "searched", "--dry-run", "--space")
    (folder / "half.py").write_text(
        "def search(trial):\n"
        "    degree = trial.suggest_int('degree', 0, 5)\n"
        "    if degree < 3:\n"
        "        raise ValueError('too small')\n"
        "    return {'degree': degree}\n"
    )
    (planned,) = run(folder, *at, "half.py", "--set", "epochs=2")["plans"]
    assert len(planned["sampled"]) + len(planned["refused"]) == 24
    assert {each["degree"] for each in planned["sampled"]} == {3, 4, 5}
    assert planned["refused"][0].endswith("too small")
    assert planned["notices"] == ["The results go to toy/half-epochs-2."]
    (folder / "broken.py").write_text("def search(trial):\n    return trial.nope\n")
    assert "search function failed" in run(folder, *at, "broken.py", status=2)["error"]["message"]


def test_failed_trial_gives_status_1(folder: Path) -> None:
    words = ("--set", "lr=1e300", "--name", "diverged", "--out", "failed")
    found = run(folder, *SWEEP, *words, status=1)
    assert found["sweeps"][0]["trials_by_status"]["failed"] > 0
    row = run(folder, "show", "diverged", "--out", "failed", "--limit", "1")["trials"][0]
    assert row["reason"]
    (listed,) = run(folder, "list", "--out", "failed")["sweeps"]
    assert listed["num_failed"] > 0


def test_trial_has_its_steps(folder: Path) -> None:
    row = run(folder, "show", "paper")["trials"][0]
    found = run(folder, "show", "paper", row["trial_id"])
    assert found["trial"] == row
    assert len(found["steps"]) == row["num_steps"]
    assert found["steps"][-1]["metric.error"] == row["metric.error"]


def test_list_and_report_agree_on_the_best(folder: Path) -> None:
    (listed,) = run(folder, "list")["sweeps"]
    records = run(folder, "report")["sweeps"][0]["tables"][0]["records"]
    assert listed["best"] == min(record["metric.error"] for record in records)
    assert listed["num_done"] == listed["num_planned"] == 8


def test_replay_and_archive(folder: Path) -> None:
    archived = run(folder, "archive", "paper", "again.zip")
    assert archived["num_bytes"] == (folder / "again.zip").stat().st_size
    found = run(folder, "replay", "again.zip", "--engine", "local", "--out", "replayed")
    assert found["replay"] == "toy/paper-replay"
    assert found["num_differences"] == 0


def test_export_names_the_trial(folder: Path) -> None:
    found = run(folder, "export", "paper", "model")
    assert found["is_best"]
    files = [file for file in (folder / "model").rglob("*") if file.is_file()]
    assert found["num_files"] == len(files)
    assert found["num_bytes"] == sum(file.stat().st_size for file in files)
    assert run(folder, "export", "paper", "model", status=2)["error"]["type"] == "RequestError"


def test_prune_lists_then_removes(folder: Path) -> None:
    run(folder, *SWEEP, "--out", "pruned")
    words = ("prune", "--sweeps", "--out", "pruned")
    listed = run(folder, *words)
    assert not listed["removed"]
    removed = run(folder, *words, "--yes")
    assert removed["removed"]
    assert removed["items"] == listed["items"]
    assert run(folder, "list", "--out", "pruned", status=2)["error"]["type"] == "RequestError"


def test_damaged_sweep_is_listed(folder: Path) -> None:
    broken = folder / "broken" / "toy" / "bad"
    broken.mkdir(parents=True)
    (broken / "sweep.json").write_text("{")
    (listed,) = run(folder, "list", "--out", "broken")["sweeps"]
    assert listed["state"] == "damaged"
    assert "is damaged" in listed["problem"]
    assert run(folder, "report", "--out", "broken", status=2)["error"]["type"] == "StoreError"
    assert run(folder, "query", "SELECT * FROM trials", "--out", "broken")["num_rows"] == 0


def test_target_of_a_query_is_checked_before_the_query_runs(folder: Path) -> None:
    words = ("query", "SELECT nope", "--parquet", "none/rows.parquet")
    done = run_command(*words, cwd=folder)
    assert done.returncode == 2
    assert "none/rows.parquet cannot be written: no such folder" in done.stderr


# --- errors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "kind", "part"),
    [
        (("nope",), "UsageError", "No such command 'nope'"),
        (("list", "--nope"), "UsageError", "list has no option --nope"),
        (("show",), "UsageError", "which sweep?"),
        (("report", "--limit", "x"), "UsageError", "--limit"),
        (("report", "lnog"), "RequestError", "no sweep named 'lnog'"),
        (("report", "--format", "csv"), "RequestError", "remove --format csv"),
        (("show", "paper", "--save", "a.png"), "RequestError", "--json writes no files"),
        (("show", "paper", "x", "--limit", "1"), "RequestError", "apply to the list of trials"),
        (("query", "SELECT nope"), "RequestError", "the query failed"),
        (("query", "SELECT 1", "--csv"), "RequestError", "--csv and --json contradict"),
        (("sweep", "toy", "--set", "lr=-1"), "RequestError", "lr"),
        (("sweep", "toy", "--data", "nowhere"), "RequestError", "nowhere"),
        (("check-task", "nope"), "RequestError", "nope"),
    ],
)
def test_error_is_a_document(folder: Path, words: tuple[str, ...], kind: str, part: str) -> None:
    done = run_command(*words, "--json", cwd=folder)
    assert done.returncode == 2
    assert done.stderr == ""
    error = check_document(done.stdout, words[0], 2)["error"]
    assert error["type"] == kind
    assert part in error["message"]


def test_unexpected_error_is_a_document_with_its_own_status(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise KeyError("broken")

    monkeypatch.setattr(list_, "list_sweeps", fail)
    done = run_command("list", "--json", cwd=folder)
    error = check_document(done.stdout, "list", entry.INTERNAL)["error"]
    assert done.returncode == entry.INTERNAL == 3
    assert error["type"] == "InternalError"
    assert "KeyError: 'broken'" in error["message"]
    assert "Traceback" in done.stderr
    plain = run_command("list", cwd=folder)
    assert plain.returncode == 3
    assert plain.stdout == ""
    assert plain.stderr.splitlines()[-1].startswith("error: unexpected KeyError")


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_broken_pipe_that_is_not_the_output_is_an_unexpected_error(
    folder: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]
) -> None:
    def fail(*_: object) -> None:
        raise BrokenPipeError(32, "Broken pipe")

    monkeypatch.setattr(list_, "list_sweeps", fail)
    done = run_command("list", *options, cwd=folder)
    assert done.returncode == entry.INTERNAL
    assert "unexpected BrokenPipeError" in done.stdout + done.stderr
    assert "Traceback" in done.stderr


def test_interrupt_is_a_document(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(list_, "list_sweeps", interrupt)
    done = run_command("list", "--json", cwd=folder)
    assert check_document(done.stdout, "list", 130)["error"]["type"] == "Interrupted"


def test_second_interrupt_of_a_sweep_is_an_interrupt(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("orchestrator.running.sweep.run_sweep", interrupt)
    done = run_command("sweep", "toy", "--engine=local", cwd=folder)
    assert done.returncode == 130
    assert "Traceback" not in done.stderr
    assert "unexpected" not in done.stderr
    done = run_command("sweep", "toy", "--engine=local", "--json", cwd=folder)
    assert check_document(done.stdout, "sweep", 130)["error"]["type"] == "Interrupted"


def test_option_is_found_before_the_command_line_is_parsed() -> None:
    assert wants_json(["list", "--json"])
    assert not wants_json(["list"])
    assert not wants_json(["query", "--", "--json"])


def test_alias_has_the_name_of_its_command(folder: Path) -> None:
    done = run_command("ls", "--json", cwd=folder)
    assert json.loads(done.stdout)["command"] == "list"
