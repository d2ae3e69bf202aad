"""Stops a sweep early: on Ctrl-C, on SIGTERM, or when its budget is used up."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from results.text import plural


class Budget:
    """Requests a halt after a number of seconds, or after an interrupt."""

    def __init__(self, seconds: float | None) -> None:
        """``seconds`` is the time limit, None for no limit."""
        self._deadline = None if seconds is None else time.monotonic() + seconds
        self._paused_at: float | None = None
        self.interrupted = False
        self.trials_spent = False  # whether the limit on trials was reached; set at the end

    def spent(self) -> bool:
        """Return whether the budget is used up."""
        return self.trials_spent or self._time_is_over()

    def _time_is_over(self) -> bool:
        is_running = self._deadline is not None and self._paused_at is None
        return is_running and time.monotonic() >= (self._deadline or 0.0)

    def lift_time_limit(self) -> None:
        """Remove the time limit; an interrupt still halts."""
        self._deadline = None

    def set_paused(self, is_paused: bool) -> None:
        """Stop the clock while the sweep is paused: that time does not count."""
        now = time.monotonic()
        if is_paused and self._paused_at is None:
            self._paused_at = now
        elif not is_paused and self._paused_at is not None:
            if self._deadline is not None:
                self._deadline += now - self._paused_at
            self._paused_at = None

    def __call__(self) -> bool:
        """Return whether to halt."""
        return self.interrupted or self._time_is_over()


@contextmanager
def handle_ctrl_c(
    budget: Budget, num_running: Callable[[], int], print_line: Callable[[str], None]
) -> Iterator[None]:
    """Halt the sweep on the first Ctrl-C or SIGTERM; raise KeyboardInterrupt on the second.

    Batch systems and clouds send SIGTERM before they take back a machine. Has no effect outside
    the main thread.

    Args:
        budget: requests the halt.
        num_running: returns the number of running trials, for the message.
        print_line: prints a line for the user.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    printing: list[threading.Thread] = []

    def handle(signum: int, frame: object) -> None:
        if budget.interrupted:
            raise KeyboardInterrupt
        budget.interrupted = True
        # In a thread: what the signal interrupted may hold a lock for which another thread waits
        # while it draws the live view.
        line = describe_wait(num_running())
        printing.append(threading.Thread(target=print_line, args=(line,), daemon=True))
        printing[-1].start()

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for thread in printing:
            thread.join()


def describe_wait(num_running: int) -> str:
    """Return the message after the first Ctrl-C."""
    after = f" after the current step of {plural(num_running, 'trial')}" if num_running else ""
    return f"Stopping{after}; press Ctrl-C again to stop now."


def describe_halt(interrupted: bool, any_step: bool, num_kept: int, num_stages: int) -> str:
    """Return the last line of a sweep that stopped early.

    Args:
        interrupted: whether the user interrupted it; otherwise its budget is used up.
        any_step: whether any trial made a step.
        num_kept: the number of shared stages that the next run can load.
        num_stages: the number of shared stages that the sweep needs, 0 if unknown.
    """
    cause = "Interrupted" if interrupted else "Budget reached"
    if any_step:
        return f"{cause}. Run the same command to resume."
    number = f"{num_kept} of {num_stages}" if num_stages else str(num_kept)
    are = "is" if num_kept == 1 else "are"
    stages = "shared stage" if num_kept == max(1, num_stages) == 1 else "shared stages"
    kept = f"; {number} {stages} {are} kept" if num_kept else ""
    return f"{cause} before any trial made a step{kept}. Run the same command to resume."
