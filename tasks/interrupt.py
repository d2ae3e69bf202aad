"""Lets long loops of tasks and stages stop early when the user presses Ctrl-C.

A loop calls ``check_interrupt()`` once per batch, which costs less than a microsecond. It does
nothing unless the engine that runs the loop has said what to ask (``interruptible``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar


class Interrupted(BaseException):
    """The sweep is to stop: what was being computed is discarded.

    Like ``KeyboardInterrupt`` it is no ``Exception``, so that no task takes it for a failed trial.
    """


def _never() -> bool:
    return False


_should_stop: ContextVar[Callable[[], bool]] = ContextVar("should_stop", default=_never)


def check_interrupt() -> None:
    """Stop here if the sweep is to stop.

    Raises:
        Interrupted: for the engine to catch.
    """
    if _should_stop.get()():
        raise Interrupted


@contextmanager
def interruptible(should_stop: Callable[[], bool]) -> Iterator[None]:
    """Have ``check_interrupt`` ask this function until the end of the block."""
    token = _should_stop.set(should_stop)
    try:
        yield
    finally:
        _should_stop.reset(token)
