"""The checks of the GPU suite that any device can run, on the CPU."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from gpu.suite import Case, cases
from gpu.waiting import refuse_waiting


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("gpu")


@pytest.mark.parametrize("case", list(cases(cuda=False)), ids=lambda case: case.name)
def test_gpu_suite_on_the_cpu(case: Case, folder: Path) -> None:
    print(case.run("cpu", folder))


def test_waiting_is_found() -> None:
    values = torch.arange(4.0)
    waits = (
        lambda: values.sum().item(),
        lambda: bool(values.isfinite().all()),
        lambda: values[values > 1],
        lambda: values.nonzero(),
        lambda: values.long().bincount(),
    )
    for wait in waits:
        with refuse_waiting("cpu") as refuse:
            wait()
            refuse(True)
            values[torch.tensor([1, 2])] += 1
            with pytest.raises(AssertionError, match="waits for the device"):
                wait()
