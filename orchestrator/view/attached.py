"""Shows a sweep that another process runs, from its ``driver.json``."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from orchestrator.control.commands import Command, cancelled_by, send
from orchestrator.control.drivers import Driver, Progress, RunningTrial, read_driver
from orchestrator.control.request import RunningSweep
from orchestrator.planning.labels import format_duration
from orchestrator.view.browser import Actions, Browser, ListedTrial
from orchestrator.view.browser_view import Details, browser_view, footer
from orchestrator.view.keys import can_read_keys, read_keys
from orchestrator.view.log_tail import tail
from results.tables.overview import format_when
from results.text import plural
from tasks.contract import StoreError

MAX_RUNNING = 12  # running trials to list
BAR = 20  # width of the progress bar in columns
ID_DIGITS = 8  # of a trial's id
_WORDS = {"stopped": "pruned"}  # status -> word to show, if different


def watch(sweep: RunningSweep, driver: Driver, console: Console) -> Driver:
    """Show a sweep until it ends, or in a terminal until Ctrl-C, and return its last state."""
    if not console.is_terminal:
        return _print_changes(sweep, driver, console)
    view = AttachedView(sweep, driver, console)
    with (
        Live(view, console=console, refresh_per_second=4, transient=True) as live,
        contextlib.suppress(KeyboardInterrupt),
    ):
        view.watch(live.refresh)
    console.print(Text(_line(view.driver)), soft_wrap=True)
    return view.driver


class AttachedView:
    """Shows a sweep in a terminal, and sends it commands when the user presses keys."""

    def __init__(self, sweep: RunningSweep, driver: Driver, console: Console) -> None:
        self.driver = driver
        self._sweep, self._console = sweep, console
        self._left = threading.Event()
        actions = Actions(toggle_pause=self._toggle_pause, cancel=self._cancel, detach=self._leave)
        self.browser = Browser(actions, maximize=driver.progress.maximize)

    def watch(self, refresh: Callable[[], None]) -> None:
        """Read the state of the sweep until it ends or the user leaves."""

        def on_key(key: str) -> None:
            self.browser.on_key(key, self._listed())
            refresh()

        with contextlib.ExitStack() as keys:
            if can_read_keys():
                keys.enter_context(read_keys(on_key))
            while self.driver.is_alive():
                if self._left.wait(max(0.25, self._sweep.poll_seconds)):
                    return
                found = read_driver(self._sweep.filesystem, self._sweep.path, self.driver.id)
                self.driver = found or self.driver

    def __rich__(self) -> RenderableType:
        size = self._console.size
        if not self.browser.is_open:
            return Group(panel(self.driver), footer(self.browser, size.width))
        details = Details(
            metric=self.driver.progress.metric,
            step_unit=self.driver.progress.step_unit,
            curve=self._curve,
            log=self._read_log,
            is_attached=True,
        )
        view = browser_view(self.browser, self._listed(), details, size.width, size.height)
        return Group(panel(self.driver, with_trials=False), view)

    def _listed(self) -> list[ListedTrial]:
        return [
            ListedTrial(
                trial_id=trial.trial_id,
                parameters=trial.parameters,
                status="waiting" if trial.is_waiting else "running",
                step=trial.step,
                metrics=trial.metrics,
                value=trial.value,
            )
            for trial in self.driver.progress.running
        ]

    def _curve(self, trial_id: str) -> Sequence[tuple[float, float]]:
        running = self.driver.progress.running
        return next((trial.curve for trial in running if trial.trial_id == trial_id), ())

    def _read_log(self, trial_id: str) -> list[str]:
        return tail(f"{self._sweep.path}/logs/{os.path.basename(self.driver.log)}")

    # --- commands ---------------------------------------------------------------------------------

    def _send(self, command: Command, message: str) -> str:
        """Send a command without waiting for the answer: the panel shows what it changes."""
        try:
            send(self._sweep.filesystem, self._sweep.path, self.driver, command)
        except StoreError as error:
            return str(error)
        return message

    def _toggle_pause(self) -> str:
        if self.driver.state in ("paused", "pausing"):
            return self._send(Command(action="resume"), "the sweep runs again")
        return self._send(Command(action="pause"), "trials hold after their current step")

    def _cancel(self, trial_id: str) -> str:
        command = Command(action="cancel", trial=trial_id, reason=cancelled_by())
        message = f"{trial_id[:ID_DIGITS]} is cancelled after its current step"
        return self._send(command, message)

    def _leave(self) -> str:
        self._left.set()
        return ""


def _print_changes(sweep: RunningSweep, driver: Driver, console: Console) -> Driver:
    """Print a line whenever the state or the number of ended trials changes."""
    shown = ""
    while True:
        line = _line(driver)
        if line != shown:
            console.print(Text(line), soft_wrap=True)
            shown = line
        if not driver.is_alive():
            return driver
        time.sleep(max(0.25, sweep.poll_seconds))
        driver = read_driver(sweep.filesystem, sweep.path, driver.id) or driver


def _line(driver: Driver) -> str:
    state = driver.state if driver.is_alive() else "ended"
    return f"{driver.sweep} {state}: {counts_text(driver.progress)}"


def counts_text(progress: Progress) -> str:
    """Return ``3/9 trials finished, 1 failed``."""
    counts = dict(progress.counts)
    finished = f"{counts.pop('finished', 0)}/{progress.total} trials finished"
    return ", ".join([finished, *(f"{n} {_WORDS.get(s, s)}" for s, n in counts.items())])


def panel(driver: Driver, *, with_trials: bool = True) -> RenderableType:
    """Render the state of a sweep: progress, best, and running trials."""
    progress = driver.progress
    since = datetime.fromisoformat(driver.since)
    clock = format_duration((datetime.now(UTC) - since).total_seconds())
    head = Table.grid(padding=(0, 2, 0, 0))
    bar = ProgressBar(total=1.0, completed=progress.share, width=BAR)
    times = ", ".join(part for part in (clock, progress.left) if part)
    head.add_row(bar, counts_text(progress), Text(times, style="dim"))
    workers = plural(progress.num_workers, "worker")
    state = f"{driver.sweep} is {driver.state}: {driver.describe()}, {driver.engine}, {workers}"
    parts: list[RenderableType] = [Text(state, style="dim"), head]
    parts += [Text(f"computing shared stage {stage}", style="dim") for stage in progress.stages]
    if progress.best:
        parts.append(Text(f"best so far: {progress.best}", style="bold"))
    if progress.running and with_trials:
        parts.append(trial_table(progress.running))
    elif progress.phase and not progress.running:
        parts.append(Text(progress.phase, style="dim"))
    return Group(*parts)


def trial_table(running: Sequence[RunningTrial]) -> RenderableType:
    """Render running trials: id, step, last metric and parameters. Waiting ones are counted."""
    started = [trial for trial in running if not trial.is_waiting]
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for heading in ("trial", "running", "metric", "parameters"):
        table.add_column(heading, no_wrap=heading != "parameters")
    for trial in started[:MAX_RUNNING]:
        cells = (trial.trial_id[:ID_DIGITS], trial.step, trial.metrics, trial.parameters)
        table.add_row(*map(Text, cells))
    num_waiting = len(running) - len(started)
    lines = []
    if len(started) > MAX_RUNNING:
        lines.append(f"and {len(started) - MAX_RUNNING} more")
    if num_waiting:
        lines.append(f"{plural(num_waiting, 'trial')} waiting to start")
    notes = [Text(line, style="dim") for line in lines]
    return Group(*([table] if started else []), *notes)


def driver_table(drivers: Sequence[Driver]) -> RenderableType:
    """Render one row per sweep: state, progress, and the process that runs it."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for heading in ("sweep", "state", "trials", "left", "engine", "pid", "machine", "since"):
        table.add_column(heading, overflow="fold")
    now = datetime.now(UTC)
    for driver in drivers:
        left = driver.progress.left.removeprefix("about ").removesuffix(" left") or "-"
        since = format_when(datetime.fromisoformat(driver.since).astimezone(), now)
        cells = [driver.sweep, driver.state, _short_counts(driver.progress), left, driver.engine]
        table.add_row(*map(Text, [*cells, str(driver.pid), driver.host, since]))
    return table


def _short_counts(progress: Progress) -> str:
    """Return ``3/9``, or ``3/9, 1 failed``."""
    return counts_text(progress).replace(" trials finished", "") if progress.total else "-"
