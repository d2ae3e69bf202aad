"""The environment of a rank."""

from __future__ import annotations

import os
import sys

import pytest

from orchestrator.execution.rank import rank_environment
from orchestrator.hardware import num_gpus


@pytest.mark.parametrize(
    ("visible", "number", "gpus"),
    [("3,5", "5", 2), ("GPU-a,GPU-b,GPU-c", "GPU-b", 3), (None, "1", None), ("", "1", 0)],
)
def test_rank_sees_its_own_gpu(
    monkeypatch: pytest.MonkeyPatch, visible: str | None, number: str, gpus: int | None
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
        assert num_gpus() == gpus
    assert rank_environment(1, on_gpu=True)["CUDA_VISIBLE_DEVICES"] == number
    assert rank_environment(1, on_gpu=False).get("CUDA_VISIBLE_DEVICES") == visible


def test_rank_imports_what_this_process_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", ["", "/somewhere"])
    found = rank_environment(1, on_gpu=False)["PYTHONPATH"].split(os.pathsep)
    assert found == [os.getcwd(), "/somewhere"]
