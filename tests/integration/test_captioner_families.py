"""The paper's rows and a search on models of other families than BLIP, by the same commands."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from harness import run_checked
from tiny_captioners import save_captioner

from results.storage.reading import read_sweep

DISTINCT_ROWS = 9  # of the paper's ten rows


@pytest.mark.parametrize("family", ["git", "smolvlm", "qwen2_5_vl"])
def test_paper_rows_run_on_another_family(family: str, tmp_path: Path) -> None:
    if family == "smolvlm" and importlib.util.find_spec("num2words") is None:
        pytest.skip("the processor of SmolVLM needs num2words")
    folder = save_captioner(family, tmp_path / "model")
    run_checked(
        *("sweep", "captioning", "--engine", "local", "--model", str(folder), "--name", "family"),
        *("--set", "num_images=16", "--out", str(tmp_path)),
    )
    sweep = read_sweep(str(tmp_path), "captioning", "family")
    rows = sweep.rows()
    assert [row["status"] for row in rows] == ["finished"] * DISTINCT_ROWS
    captions = sweep.samples.to_pylist()
    assert len(captions) == 16 * DISTINCT_ROWS
    assert len({caption["caption"] for caption in captions}) > 16


def test_search_by_another_metric_with_clip_score(tmp_path: Path) -> None:
    folder = save_captioner("git", tmp_path / "model")
    run_checked(
        *("sweep", "captioning", "--engine", "local", "--model", str(folder), "--name", "by-clip"),
        *("--space", "search", "--trials", "3", "--metric", "clip_score"),
        *("--set", "clip=blip-scenes", "--set", "num_images=16", "--out", str(tmp_path)),
    )
    sweep = read_sweep(str(tmp_path), "captioning", "by-clip")
    assert sweep.manifest.metric.name == "clip_score"
    assert all(row["metric.clip_score"] >= 0 for row in sweep.rows())
    output, _ = run_checked("report", "captioning/by-clip", "--out", str(tmp_path))
    assert "CLIPScore" in output
