"""Starts a command in a separate process, which keeps running when the terminal is closed."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from orchestrator.control.drivers import read_drivers
from results.storage.filesystem import open_filesystem
from tasks.contract import RequestError

START_SECONDS = 120.0  # for a process to start its sweep
_POLL_SECONDS = 0.1


@dataclass(frozen=True, kw_only=True, slots=True)
class Background:
    """A sweep that runs in the background."""

    sweep: str  # task/name
    pid: int
    log: str  # what it prints
    has_started: bool  # False if it was still starting when the command gave up waiting


def start_sweep(words: Sequence[str], out: str, task: str, name: str) -> Background:
    """Start a sweep in the background, and wait until it runs, at most ``START_SECONDS``.

    Args:
        words: the arguments of the command, without ``--background``.
        out: the folder or URI of the results.
        task: the task of its first sweep.
        name: the name of that sweep.

    Raises:
        RequestError: if it ends with an error before it runs.
    """
    filesystem, base = open_filesystem(out)
    path = f"{base}/{task}/{name}"
    log = _log_file(None if "://" in out else path)
    earlier = {driver.id for driver in read_drivers(filesystem, path)}
    process = start_process(words, log)
    deadline = time.monotonic() + START_SECONDS
    has_started = False
    while not has_started and time.monotonic() < deadline:
        has_ended = process.poll() is not None  # before looking, so that no driver is missed
        has_started = any(
            driver.id not in earlier  # an earlier one may have had the same process id
            and (driver.host, driver.pid) == (socket.gethostname(), process.pid)
            for driver in read_drivers(filesystem, path)
        )
        if has_ended and not has_started:
            lines = log.read_text(errors="replace").strip().splitlines() or ["it printed nothing"]
            last = lines[-1].removeprefix("error: ")
            raise RequestError(f"the sweep ended before it ran ({last}); its output is in {log}")
        time.sleep(_POLL_SECONDS)
    return Background(
        sweep=f"{task}/{name}", pid=process.pid, log=str(log), has_started=has_started
    )


def program() -> list[str]:
    """Return the command that started this process, with an absolute path, without arguments."""
    script = sys.argv[0]
    if os.path.basename(script) == "orchestrator" and os.path.isfile(script):
        return [os.path.abspath(script)]
    return [sys.executable, "-m", "orchestrator"]


def start_process(words: Sequence[str], log: Path) -> subprocess.Popen[bytes]:
    """Start a command in a session of its own. What it prints goes to a file."""
    with log.open("ab") as output:
        return subprocess.Popen(
            [*program(), *words],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # it gets neither the terminal's Ctrl-C nor its hang-up
        )


def _log_file(sweep_path: str | None) -> Path:
    """Return a new file in the sweep's folder, or in a temporary one if that is in a bucket."""
    folder = Path(tempfile.gettempdir())
    if sweep_path is not None:
        with contextlib.suppress(OSError):  # the sweep itself says that it cannot write there
            Path(sweep_path, "logs").mkdir(parents=True, exist_ok=True)
            folder = Path(sweep_path, "logs")
    return folder / f"background-{datetime.now(UTC):%Y-%m-%dT%H-%M-%S-%f}.log"
