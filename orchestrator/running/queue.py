"""A queue of sweeps, which one process runs one after the other.

    <id>.json   a sweep: its command, and whether it runs
    <id>.log    what it prints; deleted when it succeeds
    .lock       locked by the process that runs the queue

These files are in a folder that only the user can write to, because the commands in them are run.
It is ``orchestrator/queue/<host>`` below ``$XDG_STATE_HOME``, by default ``~/.local/state``.

Whoever adds a sweep starts that process if the lock is free. The process looks at the queue once
more after it has released the lock, so a sweep that was added before that is not left behind.
"""

from __future__ import annotations

import dataclasses
import os
import socket
import subprocess
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import pyarrow.fs

from orchestrator.control.json_files import printable, read_json, write_json
from orchestrator.control.processes import is_process, process_start
from orchestrator.running.background import program, start_process
from orchestrator.running.notify import hide_url
from orchestrator.running.queue_lock import is_locked, lock_to_run
from tasks.contract import RequestError

_DISK = pyarrow.fs.LocalFileSystem()
_POLL_SECONDS = 0.5


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """A sweep in the queue."""

    id: str
    program: tuple[str, ...]  # start of its command: with the Python of whoever added it
    words: tuple[str, ...]  # arguments of its command
    folder: str  # working directory of its command
    sweeps: tuple[str, ...]  # task/name of each
    added: str  # ISO 8601, in UTC
    state: Literal["waiting", "running", "failed"] = "waiting"
    pid: int | None = None  # of its process, while it is running
    process_start: str | None = None  # tells it from a later process with its id
    exit_code: int | None = None  # if it failed

    @property
    def short_id(self) -> str:
        """The last part of its id, to type."""
        return self.id.rpartition("-")[2]

    @property
    def names(self) -> str:
        """Its sweeps, to print."""
        return str(printable(", ".join(self.sweeps)))

    def matches(self, text: str) -> bool:
        """Return whether a text is its id, the start or last part of it, or one of its sweeps."""
        return bool(text) and (
            self.id.startswith(text) or text == self.short_id or text in self.sweeps
        )


def queue_folder() -> Path:
    """Return the folder of this user's queue on this machine."""
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state, "orchestrator", "queue", socket.gethostname())


class SweepQueue:
    """The queue of one user on one machine."""

    def __init__(self, folder: Path) -> None:
        """Open the queue in a folder, which ``add`` creates.

        Raises:
            RequestError: if the folder cannot be used, or others can write to it.
        """
        self.folder = folder
        self._check()

    def _check(self, *, create: bool = False) -> None:
        folder = self.folder
        try:
            if create:
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            found = folder.stat()
        except FileNotFoundError:
            return  # an empty queue
        except OSError as error:
            raise RequestError(
                f"the queue cannot use {folder}: {error.strerror}; set XDG_STATE_HOME to another "
                "folder"
            ) from None
        if found.st_uid != os.getuid() or found.st_mode & 0o022:
            raise RequestError(
                f"others can write to {folder}, whose commands are run; make it yours: chmod 700"
            )

    def add(self, words: Sequence[str], sweeps: Sequence[str]) -> Entry:
        """Add a sweep to the end.

        Raises:
            RequestError: if the command contains a secret, which would be written to a file, or
                the folder cannot be used.
            StoreError: if it cannot be written.
        """
        if hide_url(words) != list(words):
            raise RequestError(
                "a command in the queue must not contain credentials or a --notify URL; set them "
                "in the environment"
            )
        self._check(create=True)
        now = datetime.now(UTC)
        entry = Entry(
            id=f"{now:%Y%m%d-%H%M%S-%f}-{uuid.uuid4().hex[:4]}",
            program=tuple(program()),
            words=tuple(words),
            folder=os.getcwd(),
            sweeps=tuple(sweeps),
            added=now.isoformat(timespec="seconds"),
        )
        self._write(entry)
        return entry

    def entries(self) -> list[Entry]:
        """Return the sweeps in the order in which they run.

        A sweep whose process has ended without its queue, as after a restart, waits again.
        """
        files = sorted(self.folder.glob("*.json"))
        found = (read_json(_DISK, str(file), Entry) for file in files)
        return [
            entry if entry.state != "running" or _is_running(entry) else _waiting(entry)
            for entry, file in zip(found, files, strict=True)
            if entry is not None and entry.id == file.stem
        ]

    def remove(self, text: str) -> Entry:
        """Remove the sweep that a text matches.

        Raises:
            RequestError: if there is no such sweep, or several, or it is running.
        """
        found = [entry for entry in self.entries() if entry.matches(text)]
        if len(found) != 1:
            number = len(found) or "no"
            raise RequestError(
                f"{number} sweeps of the queue match {text!r}; give an id from `queue`"
            )
        if found[0].state == "running":
            name = found[0].sweeps[0]
            raise RequestError(f"{text} is running; stop it with `stop {name}`")
        self._delete(found[0])
        return found[0]

    def log(self, entry: Entry) -> Path:
        """Return the file with what a sweep prints."""
        return self.folder / f"{entry.id}.log"

    def is_run(self) -> bool:
        """Return whether a process runs the queue."""
        return is_locked(self.folder)

    def start(self) -> None:
        """Start a process that runs the queue, if there is none."""
        if not self.is_run():
            start_process(["queue", "--run"], self.folder / "queue.log")

    def run(self, say: Callable[[str], None]) -> bool:
        """Run the sweeps one after the other until none waits; False if another process does.

        Args:
            say: prints a line for the user.
        """
        has_run = False
        while True:
            with lock_to_run(self.folder) as is_free:
                if not is_free:
                    return has_run
                has_run = True
                while entry := self._next():
                    self._run(entry, say)
            if self._next() is None:  # nothing was added before the lock was released
                return True

    def _next(self) -> Entry | None:
        return next((entry for entry in self.entries() if entry.state != "failed"), None)

    def _run(self, entry: Entry, say: Callable[[str], None]) -> None:
        """Run a sweep and remove it, or keep it with its exit code if it fails."""
        if entry.state == "running":  # its queue was killed, but it runs on
            say(f"{entry.names} still runs (pid {entry.pid}); the queue waits for its end")
            while _is_running(entry):
                time.sleep(_POLL_SECONDS)
        say(f"{entry.names} starts; its output is in {self.log(entry)}")
        with self.log(entry).open("ab") as output:
            try:
                process = subprocess.Popen(
                    [*entry.program, *entry.words],
                    cwd=entry.folder,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                )
            except OSError as error:  # such as a folder that was removed
                output.write(f"error: {error}\n".encode())
                code = 2
            else:
                start = process_start(process.pid)
                self._write(
                    dataclasses.replace(
                        entry, state="running", pid=process.pid, process_start=start
                    )
                )
                code = process.wait()
        if code == 0:
            self._delete(entry)
        else:
            self._write(dataclasses.replace(_waiting(entry), state="failed", exit_code=code))
        say(f"{entry.names} ended with exit code {code}")

    def _write(self, entry: Entry) -> None:
        write_json(_DISK, str(self.folder / f"{entry.id}.json"), entry)

    def _delete(self, entry: Entry) -> None:
        for file in (self.folder / f"{entry.id}.json", self.log(entry)):
            file.unlink(missing_ok=True)


def _is_running(entry: Entry) -> bool:
    return entry.pid is not None and is_process(entry.pid, entry.process_start)


def _waiting(entry: Entry) -> Entry:
    return dataclasses.replace(entry, state="waiting", pid=None, process_start=None)
