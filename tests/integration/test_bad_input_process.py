"""Bad input to a separate process: one line on stderr, exit status 2, nothing written."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from bad_input import Case
from bad_input.running import arguments, tree
from paths import ROOT


@pytest.mark.parametrize(
    "args",
    [
        "sweep retrieval --address foo",
        "sweep diffusion --address 127.0.0.1:1",
        "sweep retrieval --space TMP/exits.py",
        "sweep retrieval --space TMP/asks.py --engine local",
        "sweep captioning --model TMP",
        "report --out foo://bar",
    ],
)
def test_bad_input_in_a_process_is_one_line(args: str, tmp_path: Path) -> None:
    (tmp_path / "exits.py").write_text("import sys\nsys.exit(3)\n")
    (tmp_path / "asks.py").write_text("def search(trial):\n    raise OSError('no')\n")
    before = tree(tmp_path)
    command = [
        sys.executable,
        "-m",
        "orchestrator",
        *arguments(Case(args=args, message=""), tmp_path),
    ]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ")
    assert len(done.stderr.splitlines()) == 1
    assert tree(tmp_path) == before
