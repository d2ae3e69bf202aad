"""A limit to how long a step, or a shared stage, may take.

The process that computes interrupts itself, so that the failure's log shows where it hung. Code
that does not come back to Python cannot be interrupted so: under Ray the driver then kills the
worker, a little later (``patience``); in process nothing can.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tasks.contract import TrialError


@contextmanager
def limit(seconds: float | None, what: str) -> Iterator[None]:
    """Raise in the main thread once so many seconds are over, and again after as many more.

    Raises:
        TrialError: from wherever the code then is.
    """
    if seconds is None or threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(signum: int, frame: object) -> None:
        raise TrialError(overdue(what, seconds))

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, seconds, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def overdue(what: str, seconds: float) -> str:
    """The reason that a row then gives."""
    return f"{what} took longer than {seconds:g} s (--deadline)"


def patience(seconds: float) -> float:
    """How long the driver waits for a worker to interrupt itself, before it kills it."""
    return 2 * seconds + 10
