"""Report the progress of long loops in tasks and stages.

The engine receives the reports if it runs the loop inside ``reporting``; otherwise they are
ignored. Reports are not results: they are never stored, and some are dropped.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

INTERVAL = 0.25  # minimum seconds between two reports that are passed on

#: Called with the fraction of the step that is done, from 0 to 1, and the ``Step.at`` with which
#: the step will end (None if it is one more than that of the last step).
Receiver = Callable[[float, int | None], None]


@dataclass(slots=True)
class Throttle:
    """Limits the rate of reports. The same object is used for all steps."""

    interval: float = INTERVAL
    due: float = 0.0  # the ``time.monotonic`` time from which the next report may pass


@dataclass(slots=True)
class _Scope:
    receive: Receiver
    throttle: Throttle
    first: float = 0.0  # the fraction of the step that was done when this part began
    length: float = 1.0  # the fraction of the step that this part makes up
    next_at: int | None = None


_scope: ContextVar[_Scope | None] = ContextVar("progress", default=None)


def report_progress(done: float, total: float, next_at: int | None = None) -> None:
    """Report that ``done`` of ``total`` units of this step are done.

    Inside ``progress_part`` the numbers refer to the part. Call this function once per batch, from
    the thread that runs the step. At most four reports per second are passed on; the others take
    less than a microsecond each.

    Args:
        done: the number of finished batches, images or other units of about equal duration.
        total: the number of all units. > 0.
        next_at: the ``Step.at`` with which this step will end, if it is not one more than that of
            the last step.
    """
    scope = _scope.get()
    if scope is None:
        return
    now = time.monotonic()
    if now < scope.throttle.due:
        return
    scope.throttle.due = now + scope.throttle.interval
    at = scope.next_at if next_at is None else next_at
    scope.receive(scope.first + scope.length * min(1.0, done / total), at)


@contextmanager
def progress_part(
    done: float, total: float, size: float = 1, next_at: int | None = None
) -> Iterator[None]:
    """Count this block as ``size`` of ``total`` units, of which ``done`` are finished before it.

    Reports inside the block give the progress of the block. A loop over a pack uses
    ``with progress_part(number, len(pack)): ...``. ``next_at`` has the same meaning as in
    ``report_progress`` and applies to all reports in the block.
    """
    scope = _scope.get()
    if scope is None:
        yield
        return
    inner = _Scope(
        receive=scope.receive,
        throttle=scope.throttle,
        first=scope.first + scope.length * min(1.0, done / total),
        length=scope.length * min(1.0, size / total),
        next_at=scope.next_at if next_at is None else next_at,
    )
    token = _scope.set(inner)
    try:
        report_progress(0, 1)
        yield
    finally:
        _scope.reset(token)


@contextmanager
def reporting(receive: Receiver, throttle: Throttle) -> Iterator[None]:
    """Pass the reports of this block to ``receive``, beginning with one at its start."""
    token = _scope.set(_Scope(receive, throttle))
    try:
        report_progress(0, 1)
        yield
    finally:
        _scope.reset(token)
