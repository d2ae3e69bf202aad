"""What users ask of a running sweep. The listener's thread writes it, and the sweep reads it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from orchestrator.control.commands import Answer


@dataclass(kw_only=True, slots=True)
class Cancellation:
    """A request to cancel one trial. The sweep's own thread answers it."""

    trial: str  # id, or a unique prefix
    reason: str
    answer: Callable[[Answer], None] = field(default=lambda answer: None)


class Steering:
    """Whether a sweep is paused, and the trials to cancel. Safe to use from several threads."""

    def __init__(self, on_change: Callable[[bool], None] = lambda is_paused: None) -> None:
        """Create the state of a sweep that is not paused.

        Args:
            on_change: called with whether the sweep is paused, whenever that changes. It must not
                call this object.
        """
        self._on_change = on_change
        self._lock = threading.Lock()
        self._cancellations: list[Cancellation] = []
        self._resumed = threading.Event()
        self._resumed.set()
        self.num_pauses = 0  # how often the sweep was paused

    @property
    def is_paused(self) -> bool:
        """Whether packs must wait before their next step."""
        return not self._resumed.is_set()

    def pause(self) -> None:
        """Let packs wait before their next step, and start no new ones."""
        with self._lock:
            if not self.is_paused:
                self.num_pauses += 1
                self._resumed.clear()
                self._on_change(True)

    def resume(self) -> None:
        """Let packs go on."""
        with self._lock:
            if self.is_paused:
                self._on_change(False)
                self._resumed.set()

    def wait(self, seconds: float) -> None:
        """Wait until the sweep is resumed, but not longer than this."""
        self._resumed.wait(seconds)

    def cancel(self, cancellation: Cancellation) -> None:
        """Queue a request to cancel a trial."""
        with self._lock:
            self._cancellations.append(cancellation)

    def take_cancellations(self) -> list[Cancellation]:
        """Return the requests to cancel trials that nobody has taken, and remove them."""
        if not self._cancellations:
            return []
        with self._lock:
            taken, self._cancellations = self._cancellations, []
        return taken
