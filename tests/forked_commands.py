"""Commands in processes forked from one that has imported everything; see ``plugin/zygote.py``."""

from __future__ import annotations

import functools
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from paths import PLUGIN, PYTHONPATH, ROOT


class ForkedCommand:
    """``python -m orchestrator`` in a forked process, with the methods of ``subprocess.Popen``.

    Args:
        args: arguments of the command.
        cwd: its working directory.
        environment: additional environment variables.
        kill: the moment to kill it at (``zygote.arm``).
        most_configurations: how many configurations keep weights while it runs, if not the default.
        gathers: False writes each result at once instead of together with results that follow soon.
    """

    def __init__(
        self,
        *args: str,
        cwd: Path = ROOT,
        environment: Mapping[str, str] | None = None,
        kill: dict[str, Any] | None = None,
        most_configurations: int | None = None,
        gathers: bool = True,
    ) -> None:
        self._output = Path(tempfile.mkdtemp(prefix="command-", dir=_scratch()))
        request = {
            "args": args,
            "cwd": str(cwd),
            "environment": {**os.environ, "PYTHONPATH": PYTHONPATH, **(environment or {})},
            "output": str(self._output),
            "kill": kill,
            "most_configurations": most_configurations,
            "gathers": gathers,
        }
        zygote = _zygote()
        assert zygote.stdin is not None
        assert zygote.stdout is not None
        zygote.stdin.write(f"{json.dumps(request)}\n")
        zygote.stdin.flush()
        self.pid = int(zygote.stdout.readline())
        self.returncode: int | None = None
        _started.append(self)

    def poll(self) -> int | None:
        """The exit status, negative after a signal; None while it runs."""
        file = self._output / "status"
        if self.returncode is None and file.exists():
            self.returncode = int(file.read_text())
        return self.returncode

    def wait(self, timeout: float = 500) -> int:
        """Wait until it ends; returns the exit status."""
        deadline = time.monotonic() + timeout
        while (status := self.poll()) is None:
            if time.monotonic() > deadline:
                raise TimeoutError(self._describe_hang(timeout))
            time.sleep(0.002)
        return status

    def _describe_hang(self, timeout: float) -> str:
        """Return what it printed, and the stacks of its threads."""
        self.send_signal(signal.SIGUSR1)
        time.sleep(1)
        files = (self._output / name for name in ("stdout", "stderr", "stacks"))
        texts = (file.read_text()[-8000:] for file in files)
        return "\n".join((f"the command did not end within {timeout:g} s", *texts))

    def printed(self) -> str:
        """What it has printed on stdout."""
        output = self._output / "stdout"
        return output.read_text() if output.exists() else ""

    def communicate(self, timeout: float = 500) -> tuple[str, str]:
        """Wait until it ends; returns what it printed on stdout and stderr."""
        self.wait(timeout)
        return (self._output / "stdout").read_text(), (self._output / "stderr").read_text()

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal if it is still running."""
        if self.poll() is None:
            with suppress(ProcessLookupError):  # it has ended, but its status is not written yet
                os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill it if it is still running."""
        self.send_signal(signal.SIGKILL)


_started: list[ForkedCommand] = []  # all that may still run


@contextmanager
def kill_left() -> Iterator[None]:
    """Kill what was started in the context and still runs at its end.

    A sweep that outlives its failed test would keep the cluster from the tests that follow.
    """
    before = len(_started)
    try:
        yield
    finally:
        for command in _started[before:]:
            command.kill()
        del _started[before:]


@functools.cache
def _scratch() -> str:
    return tempfile.mkdtemp(prefix="commands-")


@functools.cache
def _zygote() -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(PLUGIN / "zygote.py")],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": PYTHONPATH},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def close() -> None:
    """Stop every forked process and remove their output."""
    if _zygote.cache_info().currsize:
        _zygote().communicate()  # at the end of its input it kills what it forked, and itself
        shutil.rmtree(_scratch())


def run_killed(
    folder: Path,
    space: str,
    options: Sequence[str],
    kill: dict[str, Any] | None,
    most_configurations: int | None = None,
) -> bool:
    """Run a sweep of the fragile task on the local engine, with ``out`` and ``notes`` in a folder.

    Returns whether it was killed; otherwise it must have exited with status 0. Each result is
    written at once: a sweep of milliseconds would be a single part and have nothing to compact.

    Args:
        folder: for its results and notes.
        space: the text of its space file.
        options: additional options of ``sweep``.
        kill: the moment to kill it at (``zygote.arm``).
        most_configurations: how many configurations keep weights while it runs, if not the default.
    """
    (folder / "notes").mkdir(parents=True, exist_ok=True)
    (folder / "space.py").write_text(space)
    args = ["sweep", "fragile", "--name=s", "--engine=local", f"--out={folder / 'out'}"]
    args += [f"--space={folder / 'space.py'}", f"--set=notes={folder / 'notes'}", *options]
    command = ForkedCommand(
        *args, kill=kill, most_configurations=most_configurations, gathers=False
    )
    status = command.wait()
    assert status in (0, -signal.SIGKILL), command.communicate()
    return status != 0
