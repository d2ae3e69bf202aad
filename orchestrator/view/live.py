"""The view while a sweep runs: a live panel on a terminal, plain lines elsewhere."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from rich.console import Console, RenderableType
from rich.live import Live

from orchestrator.execution.events import Pack
from orchestrator.planning.labels import EarlierTrial
from orchestrator.saving.checkpoints import TimedStep
from orchestrator.view.panel import render
from orchestrator.view.sweep_state import SweepState
from tasks.contract import Stage, Task, Trial

QUIET_SECONDS = 30  # without a line, where there is no panel, before one says how far the sweep is


class SweepView:
    """Watches a sweep (``execution.view.View``) and shows it on a console.

    Events come from several threads. The lock guards the state and is never held while something is
    printed: the thread that draws the panel holds the console's own lock and waits for this one.
    """

    def __init__(
        self,
        console: Console,
        task: Task,
        *,
        total: Callable[[], int],
        trials: Sequence[Trial] = (),
        to_run: Sequence[Trial] = (),
        stages: Sequence[Stage] = (),
        earlier: Sequence[EarlierTrial] = (),
        num_workers: Callable[[], int] = lambda: 1,
        max_started: int | None = None,
    ) -> None:
        """``trials`` of a grid are known beforehand, with those ``to_run`` and their ``stages``.

        ``total`` counts all trials of the sweep, ``earlier`` ones too; ``max_started`` is the
        number of trials that this run may start.
        """
        self._console = console
        self._lock = threading.RLock()
        self._state = SweepState(
            task,
            total=total,
            trials=trials,
            to_run=to_run,
            stages=stages,
            num_workers=num_workers,
            max_started=max_started,
        )
        self._last_line = time.monotonic()
        for one in earlier:
            self.add_earlier(one)
        self._live = (
            # What others print belongs to the log, where descriptors 1 and 2 lead.
            Live(
                self,
                console=console,
                refresh_per_second=4,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            if console.is_terminal
            else None
        )

    def __enter__(self) -> SweepView:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()

    def __rich__(self) -> RenderableType:
        with self._lock:
            return render(self._state.panel(), self._console.size)

    def say(self, line: str) -> None:
        """A line that stays, above the panel."""
        self._last_line = time.monotonic()
        self._console.print(line, highlight=False, markup=False, soft_wrap=self._live is None)

    def _say_timed(self, line: str) -> None:
        self.say(f"[{self._state.clock()}] {line}")

    def _is_quiet(self) -> bool:
        """Whether it is time for a line between the ends of trials and stages."""
        return self._live is None and time.monotonic() - self._last_line > QUIET_SECONDS

    def phase(self, text: str) -> None:
        """What is being waited for before the first stage or step."""
        self._state.phase = text

    def wait_for_nodes(self, line: str) -> None:
        """Machines have yet to be started: so it stays until a trial has made a step."""
        self._state.waits_for_nodes = True
        self.say(line)

    def add_earlier(self, one: EarlierTrial) -> None:
        """A trial that does not run again; it counts, and may be the best."""
        with self._lock:
            self._state.add_earlier(one)

    # --- coordinator.View -------------------------------------------------------------------------

    def pack_started(self, pack: Pack) -> None:
        """A pack was given to the engine."""
        with self._lock:
            self._state.pack_started(pack)

    def progressed(self, trial: Trial, share: float, next_at: int | None) -> None:
        """A trial is within a step."""
        with self._lock:
            self._state.progressed(trial, share, next_at)
            line = self._state.step_line(trial) if self._is_quiet() else ""
        if line:
            self._say_timed(line)

    def stepped(self, trial: Trial, timed: TimedStep, replayed: bool = False) -> None:
        """A trial made a step, in this run or (replayed) in an earlier one."""
        with self._lock:
            self._state.stepped(trial, timed, replayed)
            line = self._state.step_line(trial) if self._is_quiet() else ""
        if line:
            self._say_timed(line)

    def stage_progressed(self, stage: Stage, share: float) -> None:
        """So much of a stage is computed; 0 when that begins."""
        with self._lock:
            self._state.stage_progressed(stage, share)
            line = self._state.stage_line(stage, share) if self._is_quiet() else ""
        if line:
            self._say_timed(line)

    def stage_done(self, stage: Stage, seconds: float | None) -> None:
        """A stage was computed, or read from the disk."""
        with self._lock:
            self._state.stage_done(stage, seconds)
            line = self._state.stage_done_line(stage, seconds)
        if self._live is None:
            self._say_timed(line)

    def ended(self, trial: Trial, status: str, value: float | None, reason: str) -> None:
        """A trial ended, and is durable."""
        with self._lock:
            self._state.ended(trial, status, value)
            line = self._state.ended_line(trial, status, value, reason)
        if self._live is None or status == "failed":
            self._say_timed(line)
