"""A time limit for steps and shared stages.

The computing process interrupts itself, so that the traceback shows where it hung. A signal cannot
interrupt native code that does not return to Python. With Ray, the driver then kills the worker
after ``grace_period`` seconds; the local engine has no such fallback.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tasks.contract import TrialError


@contextmanager
def timeout(seconds: float | None, what: str) -> Iterator[None]:
    """Raise an error in the main thread after ``seconds``, and again every ``seconds``.

    Has no effect in other threads, which receive no signals.

    Args:
        seconds: the limit, None for no limit.
        what: what is limited, such as "a step", for the error message.

    Raises:
        TrialError: from the code that runs when the time is over.
    """
    if seconds is None or threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(signum: int, frame: object) -> None:
        raise TrialError(timeout_message(what, seconds))

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, seconds, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def timeout_message(what: str, seconds: float) -> str:
    """Return the reason of a failure due to a timeout."""
    return f"{what} took longer than {seconds:g} s (--step-timeout)"


def grace_period(seconds: float) -> float:
    """Return the seconds after which the driver kills a worker that did not interrupt itself."""
    return 2 * seconds + 10
