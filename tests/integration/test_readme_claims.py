"""The documented verdicts are those of the default sweeps."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import readme_claims
from harness import run_command


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("default")
    done = run_command(
        "sweep", "retrieval", "captioning", "--engine", "local", "--out", str(folder)
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.parametrize("task", ["retrieval", "captioning"])
def test_documented_verdicts_match_the_default_sweep(out: Path, task: str) -> None:
    found, shown = readme_claims.rows_of(str(out), task), readme_claims.documented(task)
    assert [row[:3] for row in found] == [row[:3] for row in shown]  # verdict, claim, published
    for ours, printed in zip(found, shown, strict=True):
        # Precision and thread count move a score in its last digits, not beyond.
        for mine, theirs in zip(_numbers(ours[3]), _numbers(printed[3]), strict=True):
            assert mine == pytest.approx(theirs, abs=1.0), ours


@pytest.mark.parametrize("task", ["retrieval", "captioning"])
def test_check_of_the_default_sweep_succeeds(out: Path, task: str) -> None:
    done = run_command("check", f"{task}/report", "--out", str(out))
    assert done.returncode == 0, done.stdout
    assert "reproduced" in done.stdout
    strict = run_command("check", f"{task}/report", "--strict", "--out", str(out))
    assert strict.returncode == 1  # one claim is undecided


def _numbers(text: str) -> list[float]:
    return [float(number) for number in re.findall(r"-?\d+\.\d+", text)]
