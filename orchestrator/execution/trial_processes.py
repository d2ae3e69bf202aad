"""Computes trials on several GPUs of one machine, with one process per GPU.

The process that runs the trial is rank 0. It starts the other ranks, runs each step of the task at
the same time as they do, and knows the state, so checkpoints and weights are as with one process.
The other ranks keep the state of their last step, and get it from rank 0 if they have another.
"""

from __future__ import annotations

import contextlib
import logging
import math
import queue
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from types import TracebackType

from orchestrator.execution.events import Failure
from orchestrator.execution.rank import Answers, Rank
from orchestrator.execution.rank_messages import (
    TIMEOUT,
    Advance,
    Answer,
    Setup,
    join,
    leave,
    outline,
    send_tensors,
)
from tasks.contract import Advanced, Inputs, Member, State, SweepError, Task, TrialError
from tasks.interrupt import check_interrupt
from tasks.process_group import PeerError, ProcessGroup, joined

MAX_ATTEMPTS = 2  # at a step whose ranks die
GRACE_SECONDS = 5.0  # for other ranks to say why they failed
POLL_SECONDS = 0.1

Results = Sequence[Advanced | Exception]
logger = logging.getLogger(__name__)


class LostRankError(TrialError):
    """A rank died without an answer."""


class TrialProcesses:
    """Runs the steps of one task in several processes, of which this one is the first.

    The others start with the first step, and again after a failure, because a rank that failed
    leaves the others in the middle of an exchange.
    """

    def __init__(
        self, task: Task, size: int, *, device: str, threads: int, step_timeout: float | None
    ) -> None:
        """``size`` is the number of processes, of ``threads`` each. ``device`` is this one's."""
        self._task, self._size = task, size
        self._device, self._threads = device, threads
        self._timeout = step_timeout or TIMEOUT
        self._group = ProcessGroup(0, size)
        self._ranks: list[Rank] = []  # the others, while they run
        self._folder, self._has_joined = "", False
        self._answers: Answers = queue.Queue()  # of the others
        self._states: list[State] = []  # that the others have

    def __enter__(self) -> TrialProcesses:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the other processes."""
        self.close()

    def advance(self, members: Sequence[Member], inputs: Inputs, device: str) -> Results:
        """Run one step of every member, as ``Task.advance``.

        If a rank dies, the step runs again in new processes, once.

        Raises:
            TrialError: if a rank failed or died twice.
        """
        for member in members:
            self._task.check_gpus(member.trial, self._size)
        for attempt in range(1, MAX_ATTEMPTS + 1):
            try:
                return self._advance(members, inputs)
            except LostRankError as error:
                self.close()
                if attempt == MAX_ATTEMPTS:
                    raise
                logger.warning("%s; the step runs again", error)
            except BaseException:
                self.close()
                raise
        raise AssertionError

    def _advance(self, members: Sequence[Member], inputs: Inputs) -> Results:
        if not self._ranks:
            self._start()
        states = [member.state for member in members]
        known = [id(each) for each in states] == [id(each) for each in self._states]
        message = Advance(
            trials=[member.trial for member in members],
            inputs=inputs,
            states=None if known else [outline(state) for state in states],
        )
        if not known:
            self._states = []  # frees the memory of trials that have ended
        for rank in self._ranks:
            rank.send(message)
        error: Exception | None = None
        results: Results = ()
        try:
            with joined(self._group):
                if not known:
                    send_tensors(self._group, members)
                results = self._task.advance(members, inputs, self._device)
        except Exception as raised:
            error = raised
        failed = error or next((each for each in results if isinstance(each, Exception)), None)
        if failed is not None:
            self._raise_cause(failed)
            self.close()
            if error is not None:
                raise error
            return results
        self._raise_failure(self._collect())
        self._states = [
            result[0]
            for result in results
            if not isinstance(result, Exception) and not result[1].done
        ]
        return results

    # --- the other processes ----------------------------------------------------------------------

    def _start(self) -> None:
        _check_alone()
        self._folder = tempfile.mkdtemp(prefix="ranks-")  # only this user can read it
        for number in range(1, self._size):
            self._ranks.append(Rank(number, self._folder, self._device, self._answers))
        setups = [
            Setup(
                group=ProcessGroup(number, self._size),
                folder=self._folder,
                task=self._task,
                on_gpu=self._device.startswith("cuda"),
                threads=self._threads,
                timeout=self._timeout,
            )
            for number in range(self._size)
        ]
        for rank, setup in zip(self._ranks, setups[1:], strict=True):
            rank.send(setup)
        self._raise_failure(self._collect())  # they have imported what they need
        join(setups[0])
        self._has_joined = True

    def _collect(self, seconds: float = math.inf) -> list[Answer]:
        """Return an answer of each rank.

        Some are missing if a rank died, or not all answer within ``seconds``, or soon after one
        failed.
        """
        deadline, answers = time.monotonic() + seconds, list[Answer]()
        while len(answers) < len(self._ranks) and time.monotonic() < deadline:
            check_interrupt()
            with contextlib.suppress(queue.Empty):
                answer = self._answers.get(timeout=POLL_SECONDS)
                if answer is None:
                    break
                answers.append(answer)
                if answer.failure is not None:
                    deadline = min(deadline, time.monotonic() + GRACE_SECONDS)
        return answers

    def _raise_failure(self, answers: Sequence[Answer]) -> None:
        """Raise the error of a rank that died or failed; prefer one that no other rank caused.

        Raises:
            LostRankError: if a rank died.
            TrialError, MemoryError: if a rank failed.
        """
        for rank in self._ranks:
            if rank.is_lost():
                raise LostRankError(f"process {rank.number + 1} of {self._size} {rank.describe()}")
        for answer in sorted(answers, key=lambda each: each.by_peer):
            if answer.failure is not None:
                raise _to_error(answer.failure)

    def _raise_cause(self, failed: Exception) -> None:
        """Raise the error of another rank if that made this one fail."""
        is_own = isinstance(failed, (SweepError, MemoryError)) and not isinstance(failed, PeerError)
        answers = [] if is_own else self._collect(GRACE_SECONDS)
        self._raise_failure(answers)

    def close(self) -> None:
        """End the other processes."""
        if not self._ranks:
            return
        for rank in self._ranks:
            rank.stop()
        joined, self._has_joined = self._has_joined, False
        self._ranks, self._states, self._answers = [], [], queue.Queue()
        shutil.rmtree(self._folder, ignore_errors=True)
        if joined:
            leave(on_gpu=self._device.startswith("cuda"))


def _to_error(failure: Failure) -> Exception:
    kind: Callable[[str], Exception] = MemoryError if failure.out_of_memory else TrialError
    error = kind(failure.reason)
    error.add_note(failure.log)
    return error


def _check_alone() -> None:
    """Refuse to join a group if this process has one already: torch allows a single one."""
    import torch.distributed as dist

    if dist.is_initialized():
        raise TrialError(
            "this process already uses torch.distributed; run one sweep with several GPUs per "
            "trial at a time, and not under torchrun"
        )
