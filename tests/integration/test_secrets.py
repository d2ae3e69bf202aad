"""No secret in a command or in the environment is written or printed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from paths import ROOT

from results.storage.reading import read_sweep


def test_no_secret_of_command_or_environment_is_written(tmp_path: Path) -> None:
    secrets = {"AWS_SECRET_ACCESS_KEY": "s3cr3t-aws", "HF_TOKEN": "s3cr3t-hf", "PASSWORD": "s3cr3t"}
    args = [
        *("sweep", "toy", "--engine", "local", "--name", "paper", "--set", "epochs=2"),
        *("--out", str(tmp_path / "runs"), "--cache", "mock://AKIAKEY:s3cr3t-uri@bucket/kept"),
    ]
    done = subprocess.run(
        [sys.executable, "-m", "orchestrator", *args],
        cwd=tmp_path,
        env={**os.environ, **secrets, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    manifest = read_sweep(str(tmp_path / "runs"), "toy", "paper").manifest
    assert "mock://***@bucket/kept" in manifest.command
    assert "s3cr3t" not in done.stdout + done.stderr
    written = [file for file in (tmp_path / "runs").rglob("*") if file.is_file()]
    assert len(written) >= 4
    for file in written:
        assert b"s3cr3t" not in file.read_bytes(), file
        assert b"AKIAKEY" not in file.read_bytes(), file
    text = (tmp_path / "runs" / "toy" / "paper" / "sweep.json").read_text()
    assert os.environ["PATH"] not in text
