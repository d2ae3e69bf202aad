"""Lets a long loop of a task or a stage report how much of it is done.

The engine that runs the loop says where reports go (``reporting``); without it they go nowhere. A
report is no result: it is never stored, may be dropped, and changes no number.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

INTERVAL = 0.25  # seconds between two reports that are passed on, at least

#: Takes the share of the step that is done, from 0 to 1, and the ``Step.at`` that it will end with
#: (None if that is one more than the last step's).
Receiver = Callable[[float, int | None], None]


@dataclass(slots=True)
class Throttle:
    """Holds back reports that follow one another too quickly; kept from one step to the next."""

    interval: float = INTERVAL
    due: float = 0.0  # when the next report may pass, on the clock of ``time.monotonic``


@dataclass(slots=True)
class _Scope:
    receive: Receiver
    throttle: Throttle
    first: float = 0.0  # the share of the step that was done when this part of it began
    length: float = 1.0  # the share of the step that this part is
    next_at: int | None = None


_scope: ContextVar[_Scope | None] = ContextVar("progress", default=None)


def report_progress(done: float, total: float, next_at: int | None = None) -> None:
    """Report that ``done`` of ``total`` are done of this step, or of this part of it.

    Call it once per batch, from the thread that runs the step. At most four reports a second are
    passed on; the others cost less than a microsecond.

    Args:
        done: batches, images or anything else that takes about the same time each.
        total: how many there are of them. > 0.
        next_at: the ``Step.at`` with which this step will end, where it is not one more than the
            last step's.
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
    """Count this block as ``size`` of ``total``, ``done`` of which came before it.

    Reports within the block then say how much of the block is done. A loop over a pack uses
    ``with progress_part(number, len(pack)): ...``. ``next_at`` is as in ``report_progress``, for
    all reports of the block.
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
    """Pass the reports of this block on, the first of them at its start."""
    token = _scope.set(_Scope(receive, throttle))
    try:
        report_progress(0, 1)
        yield
    finally:
        _scope.reset(token)
