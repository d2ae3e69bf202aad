"""Fixtures of all tests, a clean environment, and which worker runs which file."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

# Before torch is imported: each of the two workers has one core.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.pop("RAY_ADDRESS", None)
# Ray reads this once in a process, and sets it itself when a test starts one: without it, a cluster
# of one test would ask for a token that the client of another does not send.
os.environ.setdefault("RAY_AUTH_MODE", "disabled")

import forked_commands
import pytest
from paths import SHARED

#: What kills processes, fills the memory or waits for the effect of a signal: one at a time.
ONE_AT_A_TIME = ("tests/faults/", "tests/integration/test_gpus_per_trial_auto.py")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Keep the tests of a file with one worker, so that they share their fixtures."""
    from xdist.scheduler import LoadScopeScheduling

    class FileScheduling(LoadScopeScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            if nodeid.startswith(ONE_AT_A_TIME):
                return "one at a time"
            return nodeid.partition("::")[0]

    return FileScheduling(config, log)


@pytest.fixture(scope="session", autouse=True)
def no_forked_command_is_left() -> Iterator[None]:
    yield
    forked_commands.close()


@pytest.fixture(scope="session")
def flickr() -> Path:
    folder = SHARED / "flickr8k-mini"
    if not folder.is_dir():
        pytest.skip("the photos of ../shared/data are not on this machine")
    return folder


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """The folder of a tiny model of a kind."""
    from tiny_models import save_tiny

    root = tmp_path_factory.mktemp("models")
    made: dict[str, str] = {}

    def get(kind: str) -> str:
        if kind not in made:
            made[kind] = str(save_tiny(kind, root / kind))
        return made[kind]

    return get
