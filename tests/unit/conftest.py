"""Unit tests start no process and do not wait for the disk."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import Any

import pytest

#: A sweep asks these for its commit and for the GPUs of the machine.
ALLOWED = ("git", "nvidia-smi")

_is_unit_test = [False]


def _refuse_processes(event: str, args: tuple[Any, ...]) -> None:
    if event == "subprocess.Popen" and _is_unit_test[0]:
        program = os.path.basename(os.fsdecode(args[0] or args[1][0]))
        if program not in ALLOWED:
            raise RuntimeError(f"a unit test starts {program}; move it to tests/integration")


sys.addaudithook(_refuse_processes)


@pytest.fixture(autouse=True)
def no_process() -> Iterator[None]:
    _is_unit_test[0] = True
    yield
    _is_unit_test[0] = False


@pytest.fixture(autouse=True, scope="session")
def no_fsync() -> Iterator[None]:
    """Replace ``os.fsync``, which takes milliseconds, thousands of times; tests/faults keeps it."""
    patch = pytest.MonkeyPatch()
    patch.setattr(os, "fsync", lambda descriptor: None)
    yield
    patch.undo()
