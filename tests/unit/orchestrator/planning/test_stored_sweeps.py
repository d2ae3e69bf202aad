"""How commands find the sweep that a name means."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

from compared_sweeps import hits, make_trial, write_sweep
from harness import run_checked as run


def test_report_prints_a_single_sweep_and_lists_several(tmp_path: Path) -> None:
    write_sweep(tmp_path, "a", [make_trial(hits(0.5), lr=lr) for lr in (0.1, 0.2)], seconds=5.0)
    at = ("--out", str(tmp_path))
    only, _ = run("report", *at)
    assert "best first" in only
    write_sweep(tmp_path, "b", [make_trial(hits(0.5), lr=lr) for lr in (0.1, 0.2)], seconds=5.0)
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
    rows = list(csv.DictReader(io.StringIO(run("list", *at, "--format", "csv")[0])))
    assert [(row["task"], row["sweep"]) for row in rows] == [("toy", "a"), ("toy", "b")]
    assert list(rows[0])[2:] == [
        *("state", "num_done", "num_failed", "num_planned", "metric", "best", "bytes", "started"),
        *("model", "data", "problem"),
    ]
    assert float(rows[0]["best"]) == 0.5


def test_ambiguous_name_is_refused_by_every_command(tmp_path: Path) -> None:
    write_sweep(tmp_path, "a", [make_trial(hits(0.5))], seconds=5.0, params={"lr": "float"})
    write_sweep(
        tmp_path, "a", [make_trial(hits(0.5))], seconds=5.0, params={"lr": "float"}, task="other"
    )
    at = ("--out", str(tmp_path))
    expected = (
        f"error: 2 sweeps under {tmp_path} are named 'a'; give the full name: other/a or toy/a"
    )
    for words in (("report", "a"), ("show", "a"), ("check", "a"), ("compare", "a", "toy/a")):
        assert run(*words, *at, status=2)[1].startswith(expected)
    assert run("report", "a", "--task", "toy", *at)[0]
