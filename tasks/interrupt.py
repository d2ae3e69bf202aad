"""Stop the long loops of tasks and stages early when the user presses Ctrl-C.

A loop calls ``check_interrupt()`` once per batch, which takes less than a microsecond. The call
does nothing unless the engine runs the loop inside ``interruptible``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar


class Interrupted(BaseException):
    """Raised in a loop when the sweep must stop; its unfinished work is discarded.

    Like ``KeyboardInterrupt``, this is not an ``Exception``, so that a task does not mistake it
    for a failed trial.
    """


def _never() -> bool:
    return False


_should_stop: ContextVar[Callable[[], bool]] = ContextVar("should_stop", default=_never)


def check_interrupt() -> None:
    """Raise ``Interrupted`` if the sweep must stop.

    Raises:
        Interrupted: the engine catches it.
    """
    if _should_stop.get()():
        raise Interrupted


@contextmanager
def interruptible(should_stop: Callable[[], bool]) -> Iterator[None]:
    """Let ``check_interrupt`` call ``should_stop`` until the end of the block."""
    token = _should_stop.set(should_stop)
    try:
        yield
    finally:
        _should_stop.reset(token)
