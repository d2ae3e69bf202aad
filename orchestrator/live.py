"""The view while a sweep runs: a live panel on a terminal, plain lines elsewhere."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from orchestrator.checkpoints import TimedStep
from orchestrator.engine import Pack
from tasks.contract import Column, Task, Trial

QUIET_SECONDS = 30  # without a line, where there is no panel, before a step is told


def format_value(value: float, task: Task) -> str:
    """The main metric as the tables print it."""
    column = next((c for c in task.columns if c.key == f"metric.{task.metric.name}"), None)
    kind = column.format if column else "number"
    return {"percent": f"{100 * value:.2f} %", "score": f"{value:.2f}"}.get(kind, f"{value:.4g}")


def describe(trial: Trial, varying: Sequence[str]) -> str:
    """The parameters that tell a trial from its siblings, and its seed."""
    values = trial.param_values()
    shown = [f"{name}={_plain(values[name])}" for name in varying]
    return " ".join([*shown, f"seed={trial.seed}"])


def _plain(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def duration(seconds: float) -> str:
    """``75`` as ``1:15``, ``3675`` as ``1:01:15``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class SweepView:
    """Watches a sweep (``coordinator.View``) and shows it on a console."""

    def __init__(
        self,
        console: Console,
        task: Task,
        total: Callable[[], int],
        varying: Sequence[str],
        num_reused: int = 0,
        num_stages: int = 0,
    ) -> None:
        self._console, self._task, self._total = console, task, total
        self._varying = varying
        self._started = self._said = time.monotonic()
        self._ended, self._failed, self._stopped = num_reused, 0, 0
        self._first_ended: float | None = None
        self._ended_here = 0
        self._running: dict[str, tuple[Trial, TimedStep | None]] = {}
        self._best: tuple[float, Trial] | None = None
        self._num_stages, self._stages_done, self._last_stage = num_stages, 0, ""
        self._phase = "starting"
        self._nodes_to_come = False
        self._live = (
            Live(self, console=console, refresh_per_second=4, transient=True)
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

    def say(self, line: str) -> None:
        """A line that stays, above the panel."""
        self._said = time.monotonic()
        self._console.print(line, highlight=False, markup=False, soft_wrap=self._live is None)

    def phase(self, text: str) -> None:
        """What is being waited for before the first pack."""
        self._phase = text

    def wait_for_nodes(self, line: str) -> None:
        """Machines have yet to be started: so it stays until a trial has made a step."""
        self._nodes_to_come = True
        self.say(line)

    # --- coordinator.View -------------------------------------------------------------------------

    def pack_started(self, pack: Pack) -> None:
        """A pack was handed to a slot."""
        self._running |= {trial.id: (trial, None) for trial in pack.trials}

    def stepped(self, trial: Trial, timed: TimedStep) -> None:
        """A trial made a step."""
        self._running[trial.id] = (trial, timed)
        self._phase, self._nodes_to_come = "", False
        if self._live is None and time.monotonic() - self._said > QUIET_SECONDS:
            at = _step_text(timed, self._task)
            self.say(f"[{self._clock()}] {describe(trial, self._varying)}  {at}")

    def stage_done(self, label: str, seconds: float | None) -> None:
        """A stage was computed, or read from the disk."""
        self._stages_done += 1
        self._last_stage = label
        if self._live is None:
            how = "read from the disk" if seconds is None else f"computed in {seconds:.1f} s"
            self.say(f"[{self._clock()}] stage {label} {how}")

    def ended(self, trial: Trial, status: str, value: float | None, reason: str) -> None:
        """A trial ended, and is durable."""
        self._running.pop(trial.id, None)
        self._ended += 1
        self._ended_here += 1
        self._first_ended = self._first_ended or time.monotonic()
        self._failed += status == "failed"
        self._stopped += status == "stopped"
        if value is not None and status == "finished":
            sign = 1 if self._task.metric.direction == "maximize" else -1
            if self._best is None or sign * value > sign * self._best[0]:
                self._best = (value, trial)
        if self._live is None or status == "failed":
            shown = reason or (format_value(value, self._task) if value is not None else "")
            self.say(
                f"[{self._clock()}] {self._ended}/{self._total()} {status}: "
                f"{describe(trial, self._varying)}  {shown}"
            )

    # --- the panel --------------------------------------------------------------------------------

    def _clock(self) -> str:
        return duration(time.monotonic() - self._started)

    def _computing(self) -> bool:
        """Whether stages are done and the first steps are under way."""
        return bool(self._num_stages) and self._stages_done >= self._num_stages

    def _left(self) -> str:
        remaining = self._total() - self._ended
        if not self._ended_here or remaining <= 0:
            return ""
        rate = (time.monotonic() - self._started) / self._ended_here
        return f", about {duration(rate * remaining)} left"

    def __rich__(self) -> RenderableType:
        total = max(self._total(), self._ended, 1)
        head = Table.grid(padding=(0, 1))
        bad = f", {self._failed} failed" if self._failed else ""
        halved = f", {self._stopped} stopped early" if self._stopped else ""
        head.add_row(
            ProgressBar(total=total, completed=self._ended, width=30),
            f"{self._ended}/{total} trials{halved}{bad}",
            Text(f"{self._clock()}{self._left()}", style="dim"),
        )
        parts: list[RenderableType] = [head]
        if self._nodes_to_come:
            parts.append(Text("waiting for nodes", style="dim"))
        elif self._phase and not self._computing():
            parts.append(Text(self._phase, style="dim"))
        if self._num_stages and self._stages_done < self._num_stages:
            done = f"shared stages {self._stages_done}/{self._num_stages}"
            line = f"{done}  {self._last_stage}"
            parts.append(Text(line, style="dim", no_wrap=True, overflow="ellipsis"))
        for trial, timed in list(self._running.values())[:8]:
            at = "waiting" if timed is None else _step_text(timed, self._task)
            line = f"  {at:<18} {describe(trial, self._varying)}"
            parts.append(Text(line, no_wrap=True, overflow="ellipsis"))
        if len(self._running) > 8:
            parts.append(Text(f"  and {len(self._running) - 8} more", style="dim"))
        if self._best:
            value, trial = self._best
            best = f"best so far {format_value(value, self._task)}"
            line = f"{best}  {describe(trial, self._varying)}"
            parts.append(Text(line, style="bold", no_wrap=True, overflow="ellipsis"))
        return Group(*parts)


def _step_text(timed: TimedStep, task: Task) -> str:
    metrics = timed.step.metrics
    if task.metric.name in metrics:
        return f"step {timed.step.at}: {format_value(float(metrics[task.metric.name]), task)}"
    name, value = next(iter(metrics.items()), ("", math.nan))
    return f"step {timed.step.at}: {name} {value:.4g}"


def varying_params(trials: Sequence[Trial], columns: Sequence[Column]) -> list[str]:
    """The parameters that differ among these trials, in the order of the task's columns."""
    values: dict[str, set[Any]] = {}
    for trial in trials:
        for name, value in trial.param_values().items():
            values.setdefault(name, set()).add(value)
    order: Mapping[str, int] = {c.key.removeprefix("param."): i for i, c in enumerate(columns)}
    names = [name for name, seen in values.items() if len(seen) > 1]
    return sorted(names, key=lambda name: order.get(name, len(order)))
