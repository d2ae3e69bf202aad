"""Published numbers and claims in the manifest of a sweep."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from harness import run_command

from orchestrator.request import Request
from orchestrator.running.manifest import make_manifest, plan_tables
from orchestrator.running.plan import make_plan
from results.claims.verdicts import check_claims
from results.storage.reading import read_sweep
from results.tables.summary import summarize


def sweep(folder: Path, *args: str, status: int = 0) -> str:
    done = run_command("sweep", "toy", "--engine", "local", *args, cwd=folder)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


def _read(folder: Path) -> Any:
    return read_sweep(str(folder / "runs"), "toy", "paper")


@pytest.mark.parametrize(
    ("task", "settings", "kept", "num_changed"),
    [
        ("retrieval", [], 8, 0),
        ("retrieval", ["temperature=0.1"], 7, 1),  # one row has 0.7
        ("retrieval", ["epochs=2"], 0, 9),
        ("retrieval", ["precision=float32"], 8, 0),  # no row says what it is
        ("captioning", ["temperature=0.7"], 8, 2),  # it has no effect on the greedy row
        ("captioning", ["num_references=none"], 0, 10),
        ("diffusion", ["features=64"], 1, 0),
        ("diffusion", ["beta_1=0.001"], 0, 1),
    ],
)
def test_published_number_is_shown_only_for_its_own_configuration(
    task: str, settings: list[str], kept: int, num_changed: int, tmp_path: Path
) -> None:
    request = Request(task=task, settings=settings, engine="local", out=str(tmp_path))
    tables = plan_tables(make_plan(request))
    rows = [row for table in tables for row in table.rows]
    assert sum(bool(row.report) for row in rows) == kept
    notes = " ".join(table.note for table in tables)
    assert ("rows have no published numbers" in notes) == bool(num_changed)
    if num_changed == len(rows):
        assert not any(row.label for row in rows)


def test_trials_are_not_compared_if_their_main_metric_measures_something_else(
    tmp_path: Path,
) -> None:
    request = Request(task="captioning", engine="local", out=str(tmp_path))
    usual = make_manifest(make_plan(request), {}, datetime.now(), 0.0)
    assert "num_samples" not in usual.scoring_params
    settings = {"decoding": "sample", "num_samples": 3}
    request = Request(
        task="captioning",
        engine="local",
        out=str(tmp_path),
        metric="self_bleu4",
        settings=[f"{name}={value}" for name, value in settings.items()],
    )
    by_samples = make_manifest(make_plan(request), {}, datetime.now(), 0.0)
    assert by_samples.scoring_params == (*usual.scoring_params, "num_samples")


def test_a_claim_about_a_replaced_value_is_not_tested(tmp_path: Path) -> None:
    sweep(tmp_path, "--set", "degree=3")
    claims = check_claims(read_sweep(str(tmp_path / "runs"), "toy", "paper-degree-3"))
    assert {claim.reason for claim in claims} == {"--set degree replaces what the claim is about"}
    sweep(tmp_path, "--set", "epochs=25")  # another protocol, the same comparison
    claims = check_claims(read_sweep(str(tmp_path / "runs"), "toy", "paper-epochs-25"))
    assert all(claim.verdict != "not tested" for claim in claims)


def test_published_numbers_can_be_hidden(tmp_path: Path) -> None:
    sweep(tmp_path)
    found = _read(tmp_path)
    assert any(row.reported for table in summarize(found) for row in table.rows)
    hidden = summarize(found, published=False)
    assert not any(table.has_report or row.reported for table in hidden for row in table.rows)
    for args, shown in ((["report"], True), (["report", "--hide-published"], False)):
        done = run_command(*args, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert ("published" in done.stdout) == shown
