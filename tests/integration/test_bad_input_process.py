"""Bad input to a process of its own: one line on stderr, exit status 2, nothing written."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from bad_input import Case
from paths import ROOT

TAKE_OUT = ("sweep", "report", "show", "check", "list", "ls")


def arguments(case: Case, tmp: Path) -> list[str]:
    args = shlex.split(case.args.replace("TMP", str(tmp)))
    takes_out = args and args[0] in TAKE_OUT and "--out" not in args
    return [*args, *(("--out", str(tmp / "runs")) if takes_out and args[-1] != "--seeds" else ())]


def tree(folder: Path) -> dict[str, bytes | str | None]:
    """Every file with its bytes, every link with its target; what Python caches left out."""
    found: dict[str, bytes | str | None] = {}
    for path in sorted(folder.rglob("*")):
        if "__pycache__" not in path.parts:
            content = os.readlink(path) if path.is_symlink() else None
            found[str(path)] = path.read_bytes() if path.is_file() else content
    return found


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
def test_a_process_of_its_own_says_the_same(args: str, tmp_path: Path) -> None:
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
