"""The environment of a rank, and the group that ranks join."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from orchestrator.execution.rank import visible_gpu
from orchestrator.execution.rank_messages import Setup, join, leave
from orchestrator.hardware import num_gpus
from tasks.process_group import ProcessGroup
from tasks.retrieval.task import TASK


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
    assert visible_gpu(1) == {"CUDA_VISIBLE_DEVICES": number}


def test_a_group_that_another_thread_has_left_is_left_once(tmp_path: Path) -> None:
    setup = Setup(
        group=ProcessGroup(0, 1),
        folder=str(tmp_path),
        task=TASK,
        on_gpu=False,
        threads=1,
        timeout=10,
    )
    for number in range(2):  # a later trial joins again
        setup = dataclasses.replace(setup, folder=str(tmp_path / str(number)))
        Path(setup.folder).mkdir()
        join(setup)
        assert torch.distributed.is_initialized()
        for _ in range(2):  # the thread that sees a rank die, and the one that closes the group
            leave(on_gpu=True)
            assert not torch.distributed.is_initialized()
