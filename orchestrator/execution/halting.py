"""When a sweep stops before its end: on Ctrl-C or SIGTERM, or when its budget is spent."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Budget:
    """Asks to halt after some seconds, or once interrupted."""

    def __init__(self, seconds: float | None) -> None:
        self._deadline = None if seconds is None else time.monotonic() + seconds
        self.interrupted = False
        self.trials_spent = False  # known at the end: those that were started run on to theirs

    def spent(self) -> bool:
        """Whether the budget is used up."""
        return self.trials_spent or self._time_is_over()

    def _time_is_over(self) -> bool:
        return self._deadline is not None and time.monotonic() >= self._deadline

    def __call__(self) -> bool:
        """Whether to halt."""
        return self.interrupted or self._time_is_over()


@contextmanager
def handle_ctrl_c(
    budget: Budget, num_running: Callable[[], int], say: Callable[[str], None]
) -> Iterator[None]:
    """First Ctrl-C: ask to halt, and say what is waited for. Second: stop at once.

    So does SIGTERM, by which batch systems and clouds announce that they take the machine back.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handle(signum: int, frame: object) -> None:
        if budget.interrupted:
            raise KeyboardInterrupt
        budget.interrupted = True
        say(describe_wait(num_running()))

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def describe_wait(num_running: int) -> str:
    """What the first Ctrl-C waits for."""
    trials = f"{num_running} trial{'s' if num_running > 1 else ''}"
    after = f" after the current step of {trials}" if num_running else ""
    return f"Stopping{after}; press Ctrl-C again to stop now."


def describe_halt(interrupted: bool, any_step: bool, num_kept: int, num_stages: int) -> str:
    """The last line of a sweep that stopped before its end: what is kept, and how to go on.

    ``num_stages`` are all that the sweep needs, 0 if that is not known.
    """
    what = "Interrupted" if interrupted else "Budget reached"
    if any_step:
        return f"{what}. Run the same command to resume."
    number = f"{num_kept} of {num_stages}" if num_stages else str(num_kept)
    are = "is" if num_kept == 1 else "are"
    plural = "" if num_kept == max(1, num_stages) == 1 else "s"
    kept = f"; {number} shared stage{plural} {are} kept" if num_kept else ""
    return f"{what} before any trial made a step{kept}. Run the same command to resume."
