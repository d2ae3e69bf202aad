"""Fixtures for all tests, a clean environment, and the distribution of files over workers."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

# Must be set before torch is imported. The test workers share two cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.pop("RAY_ADDRESS", None)
# Ray reads this once per process and sets it when a test starts a local Ray. Without it, the
# cluster of one test would ask for a token that the client of another test does not send.
os.environ.setdefault("RAY_AUTH_MODE", "disabled")

import forked_commands
import hypothesis
import pytest
from installed_package import Package
from paths import SHARED

# A slow machine is no failure, and CI must not depend on random examples.
hypothesis.settings.register_profile(
    "tests", deadline=None, derandomize="CI" in os.environ, database=None
)
hypothesis.settings.load_profile("tests")

#: Tests that kill processes, fill the memory or wait for a signal to take effect run one at a time.
ONE_AT_A_TIME = ("tests/faults/", "tests/integration/test_gpus_per_trial_auto.py")
STEERING = ("test_control.py", "test_keys.py", "test_watched_sweep.py")  # not those


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """Use one worker for each of two cores, and a third one if some of the tests mostly wait."""
    if "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ:
        return None  # pytest-xdist reads it
    unit = Path(__file__).parent / "unit"
    is_unit = all(unit in [path, *path.parents] for path in map(_path_of, config.args))
    return 2 if is_unit else 3


def _path_of(argument: str) -> Path:
    return Path(argument.partition("::")[0]).resolve()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Run the tests of a file in one worker, so that they share their fixtures."""
    from xdist.scheduler import LoadScopeScheduling

    class FileScheduling(LoadScopeScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            is_alone = nodeid.startswith(ONE_AT_A_TIME) and not file.endswith(STEERING)
            return "one at a time" if is_alone else file

    return FileScheduling(config, log)


@pytest.fixture(scope="session", autouse=True)
def no_forked_command_is_left() -> Iterator[None]:
    yield
    forked_commands.close()


@pytest.fixture(autouse=True)
def no_forked_command_outlives_its_test() -> Iterator[None]:
    with forked_commands.kill_left():
        yield


@pytest.fixture
def logged() -> Iterator[list[str]]:
    """The messages of warnings and errors that are logged during a test."""
    messages: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: messages.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger().addHandler(handler)
    yield messages
    logging.getLogger().removeHandler(handler)


@pytest.fixture(scope="session")
def flickr() -> Path:
    folder = SHARED / "flickr8k-mini"
    if not folder.is_dir():
        pytest.skip("the photos of ../shared/data are not on this machine")
    return folder


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """A function from a kind of model to the folder of a tiny one."""
    from tiny_models import save_tiny

    root = tmp_path_factory.mktemp("models")
    made: dict[str, str] = {}

    def get(kind: str) -> str:
        if kind not in made:
            made[kind] = str(save_tiny(kind, root / kind))
        return made[kind]

    return get


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Package]:
    """A package with a task, installed for one test."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    made = Package(tmp_path)
    yield made
    made.forget()
