"""The checks of ``python -m tests.gpu`` as tests, which need a CUDA device."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from gpu.suite import Case, SkipError, cases

pytestmark = pytest.mark.gpu


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("gpu")


@pytest.mark.parametrize("case", list(cases(cuda=True)), ids=lambda case: case.name)
def test_gpu(case: Case, folder: Path) -> None:
    if not torch.cuda.is_available():
        pytest.skip("torch finds no CUDA device")
    try:
        print(case.run("cuda:0", folder))
    except SkipError as reason:
        pytest.skip(str(reason))
