"""The Python of the pages on the API and on functions runs, block by block."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from documented import code_blocks
from harness import run_command
from paths import PYTHONPATH, ROOT

HOW_TO = ROOT / "docs" / "how-to"


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.delitem(sys.modules, "train", raising=False)


def run(block: str, names: dict[str, Any]) -> None:
    exec(compile(block, "<page>", "exec"), names)


@pytest.mark.filterwarnings("ignore:the default model")
def test_the_page_on_python(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = HOW_TO / "python.md"
    (tmp_path / "sweep.yaml").write_text(code_blocks(page, "yaml")[0])
    names: dict[str, Any] = {"__name__": "__main__"}
    blocks = code_blocks(page, "python")
    assert len(blocks) == 7
    for block in blocks:
        run(block, names)
    out = capsys.readouterr().out
    assert "retrieval: grid-lr-epochs-1, 2 configurations, best first" in out
    assert "retrieval has no parameter 'learning_rate'; did you mean 'lr'" in out
    assert "'set': {'epochs': 1}" in out
    assert names["found"].trials.num_rows <= 3
    assert (tmp_path / "model" / "README.md").is_file()


def test_the_page_on_functions(tmp_path: Path) -> None:
    saved, calls = code_blocks(HOW_TO / "function.md", "python")
    (tmp_path / "train.py").write_text(saved)
    names: dict[str, Any] = {"__name__": "__main__"}
    run("import orchestrator as orc\nfrom train import train", names)
    run(calls, names)
    sweep = names["orc"].load(tmp_path / "runs" / "train" / "grid-lr-epochs-5")
    assert sweep.trials.num_rows == 6
    assert sweep.best.metrics["accuracy"] > 0.6
    assert sweep.best.interval is not None


def test_the_page_on_queries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its script reads the JSON of a command that it starts."""
    monkeypatch.setenv("PYTHONPATH", PYTHONPATH)
    assert run_command("sweep", "toy", "--engine", "local").returncode == 0
    (block,) = code_blocks(HOW_TO / "query.md", "python")
    run(block, {})
    assert "toy paper complete 0.0" in capsys.readouterr().out
