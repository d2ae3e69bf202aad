"""``--json`` of real processes through a pipe: one document, whatever else is printed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from json_documents import check_document
from paths import PYTHONPATH, STORED


def start(*words: str, cwd: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "orchestrator", *words],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": PYTHONPATH},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(*words: str, cwd: Path, status: int = 0) -> tuple[str, str]:
    process = start(*words, "--json", cwd=cwd)
    out, err = process.communicate(timeout=300)
    assert process.returncode == status, out + err
    return out, err


@pytest.mark.parametrize("engine", ["local", "ray"])
def test_sweep_prints_its_document_alone(tmp_path: Path, engine: str) -> None:
    out, err = run("sweep", "toy", "--engine", engine, cwd=tmp_path)
    (sweep,) = check_document(out, "sweep", 0)["sweeps"]
    assert sweep["trials_by_status"] == {"finished": 4}
    assert "Results: " in err  # text for people, without the tables
    assert "best;" not in err


def test_task_is_checked(tmp_path: Path) -> None:
    out, err = run("check-task", "toy", cwd=tmp_path)
    assert all(c["verdict"] == "passed" for c in check_document(out, "check-task", 0)["checks"])
    assert "passed, in" in err


def test_doctor_finds_the_same_as_without(tmp_path: Path) -> None:
    process = start("doctor", "toy", "--json", cwd=tmp_path)
    out, err = process.communicate(timeout=300)
    assert process.returncode in (0, 1), err  # 1: something is wrong with this machine
    found = check_document(out, "doctor", process.returncode)["findings"]
    assert {"python", "--out"} <= {finding["subject"] for finding in found}


def test_error_goes_to_stdout(tmp_path: Path) -> None:
    out, err = run("report", "nope", "--out", str(STORED), cwd=tmp_path, status=2)
    assert "no sweep named 'nope'" in check_document(out, "report", 2)["error"]["message"]
    assert err == ""


def test_query_is_read_from_standard_input(tmp_path: Path) -> None:
    words = ["query", "-", "--out", str(STORED), "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "orchestrator", *words],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": PYTHONPATH},
        input="SELECT count(*) AS n FROM trials",
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert check_document(done.stdout, "query", 0)["rows"] == [{"n": 12}]


@pytest.mark.parametrize(
    ("option", "begin"), [("--json", '{"schema_v'), ("--csv", "n\n0\n1\n2\n3\n")]
)
def test_closed_pipe_is_no_error(tmp_path: Path, option: str, begin: str) -> None:
    sql = "SELECT range AS n FROM range(1000000)"  # more than a pipe holds
    process = start("query", sql, "--out", str(STORED), option, cwd=tmp_path)
    assert process.stdout is not None
    assert process.stdout.read(10) == begin
    process.stdout.close()
    assert process.stderr is not None
    err = process.stderr.read()
    assert process.wait(timeout=120) == 0, err
    assert err == ""
