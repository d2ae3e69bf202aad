"""``check``: verdicts, exit status, and comparison with a copy."""

from __future__ import annotations

import shutil
from pathlib import Path

from harness import run_command as run
from paths import STORED
from simulated import published_order, simulate_retrieval

from results.storage.reading import read_sweep
from results.storage.store import SweepStore, TrialResult


def test_check_status_depends_on_the_verdicts(tmp_path: Path) -> None:
    simulate_retrieval(tmp_path / "good", published_order)
    assert run("check", "paper", "--out", str(tmp_path / "good"))[0] == 0
    simulate_retrieval(tmp_path / "bad", lambda p: 1 - published_order(p))
    status, out, _ = run("check", "paper", "--out", str(tmp_path / "bad"))
    assert status == 1
    assert "contradicted" in out
    assert "Known mistakes of the paper" in out
    simulate_retrieval(tmp_path / "flat", lambda p: 0.5)
    assert run("check", "paper", "--out", str(tmp_path / "flat"))[0] == 0
    assert run("check", "paper", "--out", str(tmp_path / "flat"), "--strict")[0] == 1


def test_check_against_a_copy_and_a_changed_copy(tmp_path: Path) -> None:
    for name in ("same", "other"):
        shutil.copytree(STORED, tmp_path / name)
    args = ("check", f"{STORED}/toy/stored", "--against")
    status, out, _ = run(*args, f"{tmp_path}/same/toy/stored")
    assert status == 0
    assert "no difference" in " ".join(out.split())
    sweep = read_sweep(str(tmp_path / "other"), "toy", "stored")
    first, second, *_ = sweep.rows()
    types = sweep.manifest.params
    store = SweepStore(str(tmp_path / "other"), "toy", "stored", types)
    samples = [s for s in sweep.samples.to_pylist() if s["trial_id"] == first["trial_id"]]
    columns = {k: [s[k] for s in samples] for k in ("point", "squared_error")}
    columns["squared_error"][3] += 0.5
    row = {k: v for k, v in first.items() if v is not None}
    row["metric.error"] += 1e-3
    store.add([TrialResult(trial=row, steps=[], samples=columns)])
    status, out, _ = run(*args, f"{tmp_path}/other/toy/stored", "--format", "csv")
    assert status == 1
    # The heading, the metric and samples of the trial, and four numbers of their row.
    assert len(out.splitlines()) == 1 + 2 + 4
    assert "metric.error" in out
    assert '"1 of 200 differ, by at most 0.5"' in out
    assert run(*args, f"{tmp_path}/other/toy/stored", "--tolerance", "0.9")[0] == 0
    assert second["trial_id"] not in out


def test_check_against_lists_at_most_20_missing_trials(tmp_path: Path) -> None:
    simulate_retrieval(tmp_path, published_order, num_units=50)
    simulate_retrieval(tmp_path, published_order, num_units=50, seeds=5, name="five")
    status, out, _ = run("check", "paper", "--against", "five", "--out", str(tmp_path))
    assert status == 1
    assert "32 differences" in out
    assert "12 further differences are not listed." in out
    assert out.count("missing") == 20
