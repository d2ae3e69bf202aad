"""Whatever a user gives: one line that names the thing and its mend, exit 2, nothing written."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

import pytest
from bad_input import Case, data, models, options, results, spaces
from paths import ROOT

from orchestrator.cli import main

TABLES = {
    "options": options.CASES,
    "spaces": spaces.CASES,
    "data": data.CASES,
    "models": models.CASES,
    "results": results.CASES,
}
TAKE_OUT = ("sweep", "report", "show", "check", "list", "ls")
CASES = [(f"{name}-{i}", case) for name, cases in TABLES.items() for i, case in enumerate(cases)]


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


@cache
def refuse(case: Case) -> tuple[int, str, str, bool]:
    """(status, stdout, stderr, whether anything was written) of ``main`` in this process."""
    out, err, status = io.StringIO(), io.StringIO(), 0
    argv, environ, folder = sys.argv, dict(os.environ), os.getcwd()
    with tempfile.TemporaryDirectory() as name:
        tmp = Path(name).resolve() / "work"
        tmp.mkdir()
        case.prepare(tmp)
        before = tree(tmp)
        try:
            os.chdir(tmp)
            os.environ.update({"XDG_CACHE_HOME": str(tmp.parent / "cache"), **dict(case.environ)})
            sys.argv = ["orchestrator", *arguments(case, tmp)]
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                main()
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else -1
        finally:
            sys.argv = argv
            os.environ.clear()
            os.environ.update(environ)
            os.chdir(folder)
        changed = tree(tmp) != before
        return status, out.getvalue(), err.getvalue().replace(str(tmp), "TMP"), changed


@pytest.mark.timeout(60)
@pytest.mark.parametrize("case", [pytest.param(case, id=name) for name, case in CASES])
def test_bad_input_is_one_line_and_exit_2_and_writes_nothing(case: Case) -> None:
    status, out, err, changed = refuse(case)
    assert (status, out) == (2, ""), err
    assert case.message in err
    assert err.startswith("error: ")
    assert len(err.splitlines()) == 1
    assert len(err) < 600, "a line that can be read"
    assert not changed


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


GOOD = [
    Case(args="sweep captioning --dry-run --data folder:TMP/d", message="", prepare=data.folder),
    Case(
        args="sweep captioning --dry-run --data karpathy:TMP/d", message="", prepare=data.karpathy
    ),
    Case(args="sweep captioning --dry-run --data voc:TMP/d", message="", prepare=data.voc),
    Case(args="sweep diffusion --dry-run --data clevr:TMP/d", message="", prepare=data.clevr),
    Case(
        args="sweep captioning --dry-run --data folder:TMP/d",
        message="",
        prepare=lambda tmp: data.picture(data.folder(tmp) / "val" / "3.png", (1, 1)),
    ),
    Case(args="sweep retrieval --dry-run --model TMP/m", message="", prepare=models.copied),
    Case(
        args="sweep retrieval --dry-run --model TMP/m+TMP/m --set start=random",
        message="",
        prepare=models.copied,
    ),
    Case(args="report", message="", prepare=results.sweep),
    Case(args="show s t1", message="", prepare=results.sweep),
]


@pytest.mark.parametrize("case", GOOD, ids=lambda case: case.args)
def test_what_the_cases_break_is_good_before(case: Case) -> None:
    status, out, err, changed = refuse(case)
    assert status == 0
    assert all(line.startswith("Warning: the default model") for line in err.splitlines())
    assert out
    assert not changed


def test_there_are_as_many_cases_and_messages_as_were_asked_for() -> None:
    def plain(text: str) -> str:
        """Without what differs from case to case: quoted values, paths, numbers."""
        text = re.sub(r"'[^']*'|TMP\S*|\S*/\S*", "X", text)
        return re.sub(r"-?\d[\d.,]*", "N", text)

    messages = {plain(refuse(case)[2]) for _, case in CASES}
    assert len(CASES) >= 150
    assert len(messages) >= 60
