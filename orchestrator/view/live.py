"""The view of a running sweep: a live panel in a terminal, plain lines otherwise."""

from __future__ import annotations

import contextlib
import dataclasses
import threading
import time
from collections.abc import Callable, Sequence

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from orchestrator.control.drivers import Progress
from orchestrator.execution.events import Pack
from orchestrator.planning.labels import EarlierTrial
from orchestrator.saving.checkpoints import TimedStep
from orchestrator.view.browser import Actions, Browser
from orchestrator.view.browser_view import Details, browser_view, footer
from orchestrator.view.keys import can_read_keys, read_keys
from orchestrator.view.notebook import NotebookPanel, in_notebook
from orchestrator.view.panel import render
from orchestrator.view.sweep_state import SweepState
from tasks.contract import Stage, Task, Trial

QUIET_SECONDS = 30  # without a panel: after this time without output, print the progress


class SweepView:
    """Shows the progress of a sweep on a console (see ``execution.view.View``).

    Events come from several threads. The lock guards the state. It must not be held while printing,
    because the thread that draws the panel holds the console's lock and waits for this one.
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
        """Create a view.

        Args:
            console: where to print.
            task: the task of the sweep.
            total: returns the number of all trials, including earlier ones.
            trials: all trials of a grid; empty for a search.
            to_run: the trials of a grid that will run.
            stages: the shared stages that ``to_run`` needs.
            earlier: trials that ended in earlier runs.
            num_workers: returns the number of workers.
            max_started: the number of trials that this run may start, None for no limit.
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
        #: Is called with the id and the reason of each trial that fails.
        self.on_failed: Callable[[str, str], None] = lambda trial_id, reason: None
        self._last_line = time.monotonic()
        for one in earlier:
            self.add_earlier(one)
        self._live = self._make_live()
        self._browser: Browser | None = None
        self._read_log: Callable[[str], Sequence[str]] = lambda trial_id: ()
        self._is_paused: Callable[[], bool] = lambda: False
        self._keys = contextlib.ExitStack()

    def _make_live(self) -> Live | NotebookPanel | None:
        if in_notebook():
            return NotebookPanel(self)
        if not self._console.is_terminal:
            return None
        # Other output goes to the log file, see ``redirect_output``.
        return Live(
            self,
            console=self._console,
            refresh_per_second=4,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def __enter__(self) -> SweepView:
        if self._live:
            self._live.start()
        if self._browser is not None:
            self._keys.enter_context(read_keys(self._on_key))
        return self

    def __exit__(self, *_: object) -> None:
        self._keys.close()
        if self._live:
            self._live.stop()

    def use_keys(
        self,
        actions: Actions,
        read_log: Callable[[str], Sequence[str]],
        is_paused: Callable[[], bool],
    ) -> None:
        """Let the user select trials and steer the sweep with keys, if the input is a terminal.

        Args:
            actions: what keys do to the sweep.
            read_log: returns the last lines of a trial's log.
            is_paused: returns whether the sweep is paused.
        """
        if isinstance(self._live, Live) and can_read_keys():
            self.browse(Browser(actions, maximize=self._state.maximize), read_log, is_paused)

    def browse(
        self,
        browser: Browser,
        read_log: Callable[[str], Sequence[str]],
        is_paused: Callable[[], bool],
    ) -> None:
        """Show a browser below the panel. See ``use_keys``."""
        self._browser, self._read_log, self._is_paused = browser, read_log, is_paused

    def _on_key(self, key: str) -> None:
        with self._lock:
            assert self._browser is not None
            self._browser.on_key(key, self._state.listed())
        if isinstance(self._live, Live):
            self._live.refresh()

    def show_message(self, line: str) -> None:
        """Show the result of an action below the panel."""
        with self._lock:
            if self._browser is not None:
                self._browser.message = line

    def __rich__(self) -> RenderableType:
        with self._lock:
            panel, size = self._state.panel(), self._console.size
            if self._browser is None:
                return render(panel, size)
            if not self._browser.is_open:
                return Group(*self._paused(), render(panel, size), self._footer(size.width))
            head = dataclasses.replace(panel, running=(), num_waiting=0, phase="")
            details = Details(
                metric=panel.metric,
                step_unit=self._state.step_unit,
                curve=self._state.curve,
                log=self._read_log,
            )
            trials = self._state.listed()
            return Group(
                *self._paused(),
                render(head, size),
                Text(self._state.workers_line(), style="dim"),
                browser_view(self._browser, trials, details, size.width, size.height),
            )

    def _paused(self) -> list[Text]:
        return [Text("paused; p resumes", style="bold yellow")] if self._is_paused() else []

    def _footer(self, width: int) -> Text:
        assert self._browser is not None
        return footer(self._browser, width)

    def progress(self) -> Progress:
        """Return how far the sweep is, for other processes."""
        with self._lock:
            return self._state.progress()

    def print_line(self, line: str) -> None:
        """Print a line above the panel."""
        self._last_line = time.monotonic()
        if self._live is None:  # rich would take a good part of the time of a short trial
            with contextlib.suppress(OSError):  # such as a full disk; the results are elsewhere
                self._console.file.write(f"{line}\n")
                self._console.file.flush()
        else:
            self._console.print(line, highlight=False, markup=False)

    def _print_timed_line(self, line: str) -> None:
        self.print_line(f"[{self._state.clock()}] {line}")

    def _is_quiet(self) -> bool:
        """Return whether to print a progress line, because nothing was printed for a while."""
        return self._live is None and time.monotonic() - self._last_line > QUIET_SECONDS

    def set_phase(self, text: str) -> None:
        """Set the text to show before the first stage or step."""
        self._state.phase = text

    def wait_for_nodes(self, line: str) -> None:
        """Show that machines are being started, until the first step."""
        self._state.waits_for_nodes = True
        self.print_line(line)

    def add_earlier(self, one: EarlierTrial) -> None:
        """Add a trial that ended in an earlier run."""
        with self._lock:
            self._state.add_earlier(one)

    # --- execution.view.View ----------------------------------------------------------------------

    def pack_started(self, pack: Pack) -> None:
        """A pack was handed to the engine."""
        with self._lock:
            self._state.pack_started(pack)

    def progressed(self, trial: Trial, share: float, next_at: int | None) -> None:
        """A trial made progress within a step."""
        with self._lock:
            self._state.progressed(trial, share, next_at)
            line = self._state.step_line(trial) if self._is_quiet() else ""
        if line:
            self._print_timed_line(line)

    def stepped(self, trial: Trial, timed: TimedStep, replayed: bool = False) -> None:
        """A trial made a step; ``replayed`` if in an earlier run."""
        with self._lock:
            self._state.stepped(trial, timed, replayed)
            line = self._state.step_line(trial) if self._is_quiet() else ""
        if line:
            self._print_timed_line(line)

    def stage_progressed(self, stage: Stage, share: float) -> None:
        """A stage made progress, from 0 to 1; 0 when its computation starts."""
        with self._lock:
            self._state.stage_progressed(stage, share)
            line = self._state.stage_line(stage, share) if self._is_quiet() else ""
        if line:
            self._print_timed_line(line)

    def stage_done(self, stage: Stage, seconds: float | None) -> None:
        """A stage was computed in ``seconds``, or loaded (None)."""
        with self._lock:
            self._state.stage_done(stage, seconds)
            line = self._state.stage_done_line(stage, seconds)
        if self._live is None:
            self._print_timed_line(line)

    def ended(self, trial: Trial, status: str, value: float | None, reason: str) -> None:
        """A trial ended and its result is durable."""
        with self._lock:
            self._state.ended(trial, status, value)
            line = self._state.ended_line(trial, status, value, reason)
        if self._live is None or status == "failed":
            self._print_timed_line(line)
        if status == "failed":
            self.on_failed(trial.id, reason)
