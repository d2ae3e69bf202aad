"""When a sweep in the background counts as started; tests/faults/test_control.py starts one."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow.fs
import pytest

from orchestrator.control.drivers import Driver, new_driver, write_driver
from orchestrator.running.background import Background, start_sweep
from tasks.contract import RequestError

DISK = pyarrow.fs.LocalFileSystem()


@dataclasses.dataclass
class Process:
    """A process whose id is known before it starts, which is not so with a real one."""

    exit_code: int | None
    pid: int = os.getpid()

    def poll(self) -> int | None:
        return self.exit_code


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Background]:
    def start(*drivers: Driver, exit_code: int | None) -> Background:
        """Start a process that writes these drivers and then runs, or ends with an exit code."""

        def start_process(words: Sequence[str], log: Path) -> Process:
            log.write_text("error: no memory\n" if exit_code else "")
            for driver in drivers:
                write_driver(DISK, f"{tmp_path}/toy/s", driver)
            return Process(exit_code)

        monkeypatch.setattr("orchestrator.running.background.start_process", start_process)
        monkeypatch.setattr("orchestrator.running.background.START_SECONDS", 0.3)
        return start_sweep(["sweep", "toy"], str(tmp_path), "toy", "s")

    return start


@pytest.mark.parametrize("exit_code", [None, 0, 1])
def test_process_that_has_written_its_driver_has_started(
    start: Callable[..., Background], exit_code: int | None
) -> None:
    started = start(new_driver("toy/s", "local", ""), exit_code=exit_code)
    assert (started.pid, started.has_started) == (os.getpid(), True)


def test_earlier_driver_with_the_same_process_id_does_not_count(
    tmp_path: Path, start: Callable[..., Background]
) -> None:
    earlier = dataclasses.replace(new_driver("toy/s", "local", ""), state="ended")
    write_driver(DISK, f"{tmp_path}/toy/s", earlier)
    with pytest.raises(RequestError, match=r"ended before it ran \(no memory\)"):
        start(exit_code=1)


def test_driver_on_another_machine_does_not_count(start: Callable[..., Background]) -> None:
    far = dataclasses.replace(new_driver("toy/s", "local", ""), host="far")
    with pytest.raises(RequestError, match=r"ended before it ran \(no memory\)"):
        start(far, exit_code=1)


def test_process_without_a_driver_is_still_starting(start: Callable[..., Background]) -> None:
    assert not start(exit_code=None).has_started
