"""Errors that only a stage finds: the trial fails with the file and the fix; exit 1."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from captioned_folder import draw_folder
from harness import Done, run_command
from paths import ROOT

from results.storage.reading import read_sweep

SHIPPED = ROOT / "tasks" / "assets" / "blip-scenes"


def run(*args: str, out: Path) -> Done:
    return run_command(*args, "--out", out, cwd=out.parent, XDG_CACHE_HOME=str(out.parent))


def cut_photo(tmp: Path) -> list[str]:
    data = tmp / "d"
    data.mkdir()
    draw_folder(data, train=16, val=8)
    photo = data / "val" / "3.png"
    os.truncate(photo, photo.stat().st_size - 200)  # its header is complete
    return ["--data", f"folder:{data}"]


def empty_tokenizer(tmp: Path) -> list[str]:
    shutil.copytree(SHIPPED, tmp / "m")
    (tmp / "m" / "tokenizer.json").write_text("{}")
    return ["--model", str(tmp / "m")]


def other_shape(tmp: Path) -> list[str]:
    shutil.copytree(SHIPPED, tmp / "m")
    config = json.loads((tmp / "m" / "config.json").read_text())
    config["vision_config"]["hidden_size"] *= 2
    (tmp / "m" / "config.json").write_text(json.dumps(config))
    return ["--model", str(tmp / "m")]


@pytest.mark.parametrize(
    ("prepare", "parts"),
    [
        (cut_photo, ["d/val/3.png is not a readable image", "replace or remove it"]),
        (empty_tokenizer, ["m: its tokenizer cannot be loaded", "copy its files from"]),
        (other_shape, ["m: it cannot be loaded", "copy its files from"]),
    ],
    ids=["a photo cut short", "a tokenizer of nothing", "weights of another shape"],
)
def test_failed_stage_names_the_file_and_the_fix(
    prepare: Callable[[Path], list[str]], parts: list[str], tmp_path: Path
) -> None:
    args = prepare(tmp_path)
    (tmp_path / "s.py").write_text('GRID = {"decoding": ["greedy"], "num_images": [8]}')
    (tmp_path / "runs").mkdir()
    done = run(
        *("sweep", "captioning", "--engine", "local", "--space", str(tmp_path / "s.py")),
        *("--name", "s", *args),
        out=tmp_path / "runs",
    )
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    (row,) = read_sweep(str(tmp_path / "runs"), "captioning", "s").rows()
    assert row["status"] == "failed"
    for part in parts:
        assert part in row["reason"]
    assert len(row["reason"]) < 500


def toy(out: Path, *more: str) -> dict[str, Any]:
    done = run(
        "sweep", "toy", "--engine", "local", "--set", "epochs=2", "--name", "paper", *more, out=out
    )
    assert done.returncode == 0, done.stderr
    return {row["trial_id"]: row for row in read_sweep(str(out), "toy", "paper").rows()}


def test_repeating_the_sweep_repairs_a_damaged_manifest(tmp_path: Path) -> None:
    rows = toy(tmp_path / "runs")
    manifest = tmp_path / "runs" / "toy" / "paper" / "sweep.json"
    manifest.write_text(manifest.read_text()[:200])
    refused = run("report", out=tmp_path / "runs")
    assert refused.returncode == 2
    assert "run the sweep again" in refused.stderr
    assert toy(tmp_path / "runs") == rows  # nothing was computed again
    assert run("report", out=tmp_path / "runs").returncode == 0


def test_search_that_fails_halfway_is_one_line(tmp_path: Path) -> None:
    space = tmp_path / "s.py"
    space.write_text(
        "asked = []\n"
        "def search(trial):\n"
        "    asked.append(trial)\n"
        "    if len(asked) > 26:\n"  # after the calls before a sweep starts
        "        raise OSError('the moon')\n"
        "    return {'lr': trial.suggest_float('lr', 0.01, 0.1), 'epochs': 1}\n"
    )
    args = ("sweep", "toy", "--engine", "local", "--space", str(space))
    done = run(*args, out=tmp_path / "runs")
    assert done.returncode == 2
    assert "Traceback" not in done.stdout + done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert f"failed at line 5 of {space}: OSError: the moon; fix it" in done.stderr
    assert (
        len(read_sweep(str(tmp_path / "runs"), "toy", "s").rows()) == 2
    )  # finished trials are kept
