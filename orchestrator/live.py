"""The view while a sweep runs: a live panel on a terminal, plain lines elsewhere."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Sequence

from rich.console import Console, RenderableType
from rich.live import Live

from orchestrator.checkpoints import TimedStep
from orchestrator.engine import Pack
from orchestrator.labels import (
    Configuration,
    EarlierTrial,
    Labels,
    format_duration,
    format_metrics,
    format_stage,
    format_step,
    format_time_left,
    format_value,
)
from orchestrator.panel import Panel, Running, render
from orchestrator.plan import distinct_stages
from orchestrator.time_left import TimeLeft
from tasks.contract import Stage, Task, Trial

QUIET_SECONDS = 30  # without a line, where there is no panel, before one says how far the sweep is
STATUS = {"stopped": "pruned"}  # as it is shown, where that is another word


class SweepView:
    """Watches a sweep (``coordinator.View``) and shows it on a console.

    Events come from several threads. The lock guards what they change and is never held while
    something is printed: the thread that draws the panel holds the console's own lock and waits for
    this one.
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
        self._console, self._task, self._total = console, task, total
        self._num_workers, self._max_started = num_workers, max_started
        self._lock = threading.RLock()
        self._began = self._last_line = time.monotonic()
        self._labels = Labels(task.columns)
        self._stages: dict[str, Stage] = {stage.key: stage for stage in stages}
        self._knows_stages = bool(to_run)
        self._time = TimeLeft(queued={trial.id: self._num_steps(trial) for trial in to_run})
        self._time.stages.expect(stages)
        self._counts = dict.fromkeys(("finished", "stopped", "failed"), 0)
        self._num_started = 0
        self._running: dict[str, Running] = {}
        self._best: tuple[float, Configuration] | None = None
        self._phase, self._waits_for_nodes = "", False
        for trial in trials:
            self._labels.see(Configuration.of(trial))
        for one in earlier:
            self.add_earlier(one)
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
        self._last_line = time.monotonic()
        self._console.print(line, highlight=False, markup=False, soft_wrap=self._live is None)

    def phase(self, text: str) -> None:
        """What is being waited for before the first stage or step."""
        self._phase = text

    def wait_for_nodes(self, line: str) -> None:
        """Machines have yet to be started: so it stays until a trial has made a step."""
        self._waits_for_nodes = True
        self.say(line)

    def add_earlier(self, one: EarlierTrial) -> None:
        """A trial that does not run again; it counts, and may be the best."""
        with self._lock:
            self._labels.see(one.configuration)
            self._count(one.configuration, one.status, one.value)

    # --- coordinator.View -------------------------------------------------------------------------

    def pack_started(self, pack: Pack) -> None:
        """A pack was given to the engine."""
        with self._lock:
            totals = {trial.id: self._num_steps(trial) for trial in pack.trials}
            self._time.pack_started(totals, time.monotonic())
            self._num_started += sum(trial.id not in self._running for trial in pack.trials)
            for trial in pack.trials:
                configuration = Configuration.of(trial)
                self._labels.see(configuration)
                self._running[trial.id] = Running(configuration=configuration)
            stages = distinct_stages(self._task, pack.trials)
            self._stages |= {stage.key: stage for stage in stages}
            self._time.stages.expect(stages)

    def progressed(self, trial: Trial, share: float, next_at: int | None) -> None:
        """A trial is within a step."""
        with self._lock:
            self._time.progressed(trial.id, share, next_at, time.monotonic())
            if trial.id in self._running:
                self._running[trial.id].is_waiting = False
        self._say_if_quiet(trial)

    def stepped(self, trial: Trial, timed: TimedStep, replayed: bool = False) -> None:
        """A trial made a step, in this run or (replayed) in an earlier one."""
        with self._lock:
            now, step = time.monotonic(), timed.step
            self._time.stepped(trial.id, step.at, timed.seconds, now, replayed)
            if trial.id in self._running:
                self._running[trial.id].is_waiting = False
                self._running[trial.id].metrics = format_metrics(step.metrics, self._task)
            self._waits_for_nodes = False
        self._say_if_quiet(trial)

    def stage_progressed(self, stage: Stage, share: float) -> None:
        """So much of a stage is computed; 0 when that begins."""
        with self._lock:
            self._stages[stage.key] = stage
            stages = self._time.stages
            stages.progressed(stage, share, time.monotonic())
            of = f"/{stages.num_done + stages.num_left()}" if self._knows_stages else ""
            label = format_stage(stage, list(self._stages.values()))
            left = format_time_left(
                stages.seconds_left(max(1, self._num_workers()), time.monotonic())
            )
        if self._is_quiet():
            number, percent = stages.num_done + 1, f"{math.floor(100 * share)} %"
            rest = f"; {left} for the shared stages" if left and self._knows_stages else ""
            self.say(
                f"[{self._clock()}] computing shared stage {number}{of}, {percent}: {label}{rest}"
            )

    def stage_done(self, stage: Stage, seconds: float | None) -> None:
        """A stage was computed, or read from the cache."""
        with self._lock:
            self._stages[stage.key] = stage
            stages = self._time.stages
            stages.done(stage, seconds, time.monotonic())
            of = f"/{stages.num_done + stages.num_left()}" if self._knows_stages else ""
            label = format_stage(stage, list(self._stages.values()))
        if self._live is None:
            how = "read from the cache" if seconds is None else f"computed in {seconds:.1f} s"
            self.say(f"[{self._clock()}] shared stage {stages.num_done}{of} {how}: {label}")

    def ended(self, trial: Trial, status: str, value: float | None, reason: str) -> None:
        """A trial ended, and is durable."""
        with self._lock:
            self._time.ended(trial.id, time.monotonic())
            self._running.pop(trial.id, None)
            configuration = Configuration.of(trial)
            self._count(configuration, status, value)
            count, label = f"{self._num_ended()}/{self._shown_total()}", self._labels.describe
            metric = "" if value is None else format_value(value, self._task)
            result = reason or f"{self._task.metric.label} {metric}"
            line = f"{count} {STATUS.get(status, status)}: {label(configuration)}  {result}"
        if self._live is None or status == "failed":
            self.say(f"[{self._clock()}] {line}")

    # --- what is known ----------------------------------------------------------------------------

    def _num_steps(self, trial: Trial) -> int | None:
        count = getattr(self._task, "num_steps", None)
        return None if count is None else int(count(trial))

    def _count(self, configuration: Configuration, status: str, value: float | None) -> None:
        self._counts[status] = self._counts.get(status, 0) + 1
        if value is None or status != "finished":
            return
        sign = 1 if self._task.metric.direction == "maximize" else -1
        if self._best is None or sign * value > sign * self._best[0]:
            self._best = (value, configuration)

    def _num_ended(self) -> int:
        return sum(self._counts.values())

    def _shown_total(self) -> int:
        return max(self._total(), self._num_ended() + len(self._running), 1)

    def _clock(self) -> str:
        return format_duration(time.monotonic() - self._began)

    def _step(self, trial_id: str) -> str:
        unit, work = getattr(self._task, "step_unit", "step"), self._time.trial(trial_id)
        if work is None:
            return ""
        return format_step(unit, work.total, work.at, work.share, work.next_at)

    def _time_left(self) -> str:
        left = self._shown_total() - self._num_ended() - len(self._running)
        if self._max_started is not None:
            left = min(left, self._max_started - self._num_started)
        if left + len(self._running) <= 0:
            return ""
        workers = max(1, self._num_workers())
        return format_time_left(self._time.seconds_left(left, workers, time.monotonic()))

    def _share(self) -> float:
        """Of all trials and of a grid's stages, how many are done, with those under way in part."""
        works = [self._time.trial(trial_id) for trial_id in self._running]
        done = float(self._num_ended())
        done += sum(work.share_done() for work in works if work is not None)
        total, stages = self._shown_total(), self._time.stages
        if self._knows_stages:
            done += stages.num_done + sum(stage.share for stage in stages.running.values())
            total += stages.num_done + stages.num_left()
        return min(1.0, done / total)

    def _is_quiet(self) -> bool:
        return self._live is None and time.monotonic() - self._last_line > QUIET_SECONDS

    def _say_if_quiet(self, trial: Trial) -> None:
        """Where there is no panel, a line now and then between the ends of trials."""
        if not self._is_quiet():
            return
        with self._lock:
            left = self._time_left()
            parts = [f"{self._counts['finished']}/{self._shown_total()} finished"]
            parts += [f"{self._step(trial.id)} of {self._labels.describe(Configuration.of(trial))}"]
            parts += [left] if left else []
        self.say(f"[{self._clock()}] {'; '.join(parts)}")

    # --- the panel --------------------------------------------------------------------------------

    def __rich__(self) -> RenderableType:
        with self._lock:
            return render(self._snapshot(), self._console.size)

    def _snapshot(self) -> Panel:
        for trial_id, running in self._running.items():
            running.step = self._step(trial_id)
        stages, every = self._time.stages, list(self._stages.values())
        now, workers = time.monotonic(), max(1, self._num_workers())
        return Panel(
            counts=self._counts,
            total=self._shown_total(),
            share=self._share(),
            clock=self._clock(),
            left=self._time_left(),
            phase="waiting for nodes" if self._waits_for_nodes else self._phase,
            stages=[(format_stage(s.stage, every), s.share) for s in stages.running.values()],
            num_stages_done=stages.num_done,
            num_stages=stages.num_done + stages.num_left() if self._knows_stages else None,
            stages_left=format_time_left(stages.seconds_left(workers, now)),
            metric=self._task.metric.label,
            best=None
            if self._best is None
            else (format_value(self._best[0], self._task), self._best[1]),
            running=[running for running in self._running.values() if not running.is_waiting],
            num_waiting=sum(running.is_waiting for running in self._running.values()),
            labels=self._labels,
        )
