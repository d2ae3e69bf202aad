"""The driver's side of control: a thread that follows commands and writes ``driver.json``."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pyarrow.fs

from orchestrator.control.commands import Answer, Command, read_commands, write_answer
from orchestrator.control.drivers import (
    HEARTBEAT,
    Driver,
    Progress,
    State,
    remove_ended,
    write_driver,
)
from orchestrator.control.steering import Cancellation, Steering
from tasks.contract import StoreError

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.2  # between two looks for commands on a disk
BUCKET_POLL_SECONDS = 2.0  # the same in a bucket, where each is a request
JOIN_SECONDS = 10.0  # for the thread to end, while a bucket does not answer
STATUS_SECONDS = 1.0  # between two versions of ``driver.json`` on a disk, at least
BUCKET_STATUS_SECONDS = 5.0  # the same in a bucket


class Listener:
    """Follows commands and writes the driver's state until the block ends.

    It never disturbs the sweep: errors of the file system are logged, and it tries again.
    """

    def __init__(
        self,
        filesystem: pyarrow.fs.FileSystem,
        sweep_path: str,
        driver: Driver,
        steering: Steering,
        stop: Callable[[], None],
        should_halt: Callable[[], bool],
    ) -> None:
        """Create a listener, which starts with the block.

        Args:
            filesystem: the filesystem of the sweep.
            sweep_path: the folder of the sweep.
            driver: the process, as it starts.
            steering: gets what the commands ask for.
            stop: acts as the first Ctrl-C.
            should_halt: returns whether the sweep halts, for whatever reason.
        """
        self._filesystem, self._path, self._driver = filesystem, sweep_path, driver
        self._steering, self._stop, self._should_halt = steering, stop, should_halt
        self._ended = threading.Event()
        self._written, self._written_at, self._looked_at = driver, 0.0, 0.0
        self._followed: set[str] = set()  # names of commands
        # The answers of both threads. This one writes them: a bucket must not delay the sweep.
        self._answers: deque[tuple[Command, Answer]] = deque()
        self._thread = threading.Thread(target=self._run, name="control", daemon=True)
        is_local = isinstance(filesystem, pyarrow.fs.LocalFileSystem)
        self._poll_seconds = POLL_SECONDS if is_local else BUCKET_POLL_SECONDS
        self._status_seconds = STATUS_SECONDS if is_local else BUCKET_STATUS_SECONDS
        self._is_local = is_local
        self.disconnect(Progress())

    def connect(
        self,
        progress: Callable[[], Progress],
        is_held: Callable[[], bool],
        print_line: Callable[[str], None],
    ) -> None:
        """Watch trials that start to run.

        Args:
            progress: returns how far the sweep is.
            is_held: returns whether a paused sweep has stopped computing.
            print_line: prints a line for the user.
        """
        self._progress, self._is_held, self._print_line = progress, is_held, print_line

    def disconnect(self, progress: Progress) -> None:
        """Keep the last progress, because no trials run now."""
        self.connect(lambda: progress, lambda: True, lambda line: None)

    def progress(self) -> Progress:
        """Return how far the sweep is."""
        return self._progress()

    def __enter__(self) -> Listener:
        with _logged():
            remove_ended(self._filesystem, self._path)
            self._write_status()
        self._thread.start()
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self._ended.set()
        self._thread.join(JOIN_SECONDS)
        for cancellation in self._steering.take_cancellations():
            cancellation.answer(Answer(done=False, message="the sweep has ended"))
        if isinstance(error, StoreError) and not self._is_local:
            return  # the bucket does not answer, and each try would take long
        with _logged():
            self._write_answers()
            ended = dataclasses.replace(
                self._written, state="ended", progress=self._progress(), updated=_now()
            )
            write_driver(self._filesystem, self._path, ended)

    def _run(self) -> None:
        while not self._ended.wait(self._poll_seconds):
            with _logged():
                for command in read_commands(self._filesystem, self._path, self._driver):
                    self._follow(command)
                self._write_answers()
                if time.monotonic() - self._looked_at >= self._status_seconds:
                    self._write_status()

    # --- commands ---------------------------------------------------------------------------------

    def _follow(self, command: Command) -> None:
        """Do what a command says, and answer it. The sweep's own thread cancels trials."""
        if command.name in self._followed:
            return  # it is not answered yet
        self._followed.add(command.name)
        logger.info("command: %s %s", command.action, command.trial)
        if command.action == "cancel":
            self._steering.cancel(
                Cancellation(
                    trial=command.trial,
                    reason=command.reason,
                    answer=lambda answer: self._answers.append((command, answer)),
                )
            )
            return
        message = self._steer(command)
        self._answers.append((command, Answer(done=True, message=message)))
        self._write_status()

    def _steer(self, command: Command) -> str:
        is_paused = self._steering.is_paused
        if command.action == "pause":
            self._steering.pause()
            if is_paused:
                return "was paused already"
            self._print_line("Paused by another terminal. Trials hold after their current step.")
            return "pauses: no new trials start, and running ones hold after their current step"
        if command.action == "resume":
            self._steering.resume()
            if not is_paused:
                return "was not paused"
            self._print_line("Resumed by another terminal.")
            return "runs again"
        self._stop()
        self._print_line("Stopping after the current steps, as another terminal asked.")
        return "stops after the current step of its running trials"

    def _write_answers(self) -> None:
        while self._answers:
            command, answer = self._answers[0]
            write_answer(self._filesystem, self._path, self._driver, command, answer)
            self._answers.popleft()  # only now: after an error, the next look writes it

    # --- driver.json ------------------------------------------------------------------------------

    def _write_status(self) -> None:
        """Write ``driver.json`` if it has changed, and now and then to show that it is alive."""
        now = dataclasses.replace(
            self._driver, state=self._state(), progress=self._progress(), updated=_now()
        )
        self._looked_at = time.monotonic()
        is_changed = now != dataclasses.replace(self._written, updated=now.updated)
        if is_changed or self._looked_at - self._written_at >= HEARTBEAT:
            write_driver(self._filesystem, self._path, now)
            self._written, self._written_at = now, self._looked_at

    def _state(self) -> State:
        if self._should_halt():
            return "stopping"
        if not self._steering.is_paused:
            return "running"
        return "paused" if self._is_held() else "pausing"


@contextlib.contextmanager
def _logged() -> Iterator[None]:
    """Log errors instead of raising them: a sweep must not fail because nobody can steer it."""
    try:
        yield
    except Exception as error:
        logger.info("control: %s", error)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
