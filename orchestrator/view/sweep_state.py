"""The state of a running sweep for the view. Not thread-safe: the view holds a lock."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence

from orchestrator.control.drivers import Progress, RunningTrial
from orchestrator.execution.events import Pack
from orchestrator.planning.labels import (
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
from orchestrator.planning.plan import distinct_stages
from orchestrator.saving.checkpoints import TimedStep
from orchestrator.view.browser import ListedTrial
from orchestrator.view.panel import Panel, Running
from orchestrator.view.time_left import TimeLeft
from orchestrator.view.trial_list import TrialList, thin_out
from results.text import plural
from tasks.contract import Stage, Task, Trial

#: Points of the curve of a running trial for other processes, and of all running trials together.
MIN_SENT_POINTS, MAX_SENT_POINTS, TOTAL_POINTS = 8, 100, 4000
STATUS = {"stopped": "pruned"}  # status -> word to show, if different


class SweepState:
    """Receives events and formats the current state."""

    def __init__(
        self,
        task: Task,
        *,
        total: Callable[[], int],
        trials: Sequence[Trial],
        to_run: Sequence[Trial],
        stages: Sequence[Stage],
        num_workers: Callable[[], int],
        max_started: int | None,
    ) -> None:
        """See ``live.SweepView``."""
        self._task, self._total = task, total
        self._num_workers, self._max_started = num_workers, max_started
        self._began = time.monotonic()
        self._labels = Labels(task.columns)
        self._stages: dict[str, Stage] = {stage.key: stage for stage in stages}
        self._knows_stages = bool(to_run)
        self._time = TimeLeft(queued={trial.id: self._num_steps(trial) for trial in to_run})
        self._time.stages.expect(stages)
        self._counts = dict.fromkeys(("finished", "stopped", "failed"), 0)
        self._num_started = 0
        self._running: dict[str, Running] = {}
        self._best: tuple[float, Configuration] | None = None
        self._list = TrialList()
        self.phase, self.waits_for_nodes = "", False
        for trial in trials:
            self._labels.see(Configuration.of(trial))

    # --- events -----------------------------------------------------------------------------------

    @property
    def maximize(self) -> bool:
        """Whether a higher main metric is better."""
        return self._task.metric.direction == "maximize"

    @property
    def step_unit(self) -> str:
        """What the steps of a trial are, such as ``epoch``."""
        return self._task.step_unit

    def add_earlier(self, one: EarlierTrial) -> None:
        """Add a trial that ended in an earlier run."""
        self._labels.see(one.configuration)
        self._count(one.configuration, one.status, one.value)

    def pack_started(self, pack: Pack) -> None:
        """A pack was handed to the engine."""
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
        """A trial made progress within a step."""
        self._time.progressed(trial.id, share, next_at, time.monotonic())
        if trial.id in self._running:
            self._running[trial.id].is_waiting = False

    def stepped(self, trial: Trial, timed: TimedStep, replayed: bool) -> None:
        """A trial made a step."""
        self._time.stepped(trial.id, timed.step.at, timed.seconds, time.monotonic(), replayed)
        if trial.id in self._running:
            self._running[trial.id].is_waiting = False
            self._running[trial.id].metrics = format_metrics(timed.step.metrics, self._task)
        value = timed.step.metrics.get(self._task.metric.name)
        if value is not None:
            self._list.stepped(trial.id, timed.step.at, float(value))
        self.waits_for_nodes = False

    def stage_progressed(self, stage: Stage, share: float) -> None:
        """A stage made progress, from 0 to 1."""
        self._stages[stage.key] = stage
        self._time.stages.progressed(stage, share, time.monotonic())

    def stage_done(self, stage: Stage, seconds: float | None) -> None:
        """A stage was computed in ``seconds``, or loaded (None)."""
        self._stages[stage.key] = stage
        self._time.stages.done(stage, seconds, time.monotonic())

    def ended(self, trial: Trial, status: str, value: float | None) -> None:
        """A trial ended and its result is durable."""
        self._time.ended(trial.id, time.monotonic())
        self._running.pop(trial.id, None)
        self._list.ended(
            ListedTrial(
                trial_id=trial.id,
                parameters=self._labels.describe(Configuration.of(trial)),
                status=STATUS.get(status, status),
                metrics="" if value is None else format_value(value, self._task),
                value=value,
            )
        )
        self._count(Configuration.of(trial), status, value)

    def _num_steps(self, trial: Trial) -> int | None:
        count = self._task.num_steps(trial)
        return None if count is None else int(count)

    def _count(self, configuration: Configuration, status: str, value: float | None) -> None:
        self._counts[status] = self._counts.get(status, 0) + 1
        if value is None or status != "finished":
            return
        sign = 1 if self._task.metric.direction == "maximize" else -1
        if self._best is None or sign * value > sign * self._best[0]:
            self._best = (value, configuration)

    # --- lines ------------------------------------------------------------------------------------

    def clock(self) -> str:
        """Return the time since the start."""
        return format_duration(time.monotonic() - self._began)

    def ended_line(self, trial: Trial, status: str, value: float | None, reason: str) -> str:
        """Describe an ended trial: ``3/9 finished: lr=1e-5  image-to-text R@1 56.80 %``."""
        metric = "" if value is None else format_value(value, self._task)
        result = reason or f"{self._task.metric.label} {metric}"
        label = self._labels.describe(Configuration.of(trial))
        count = f"{self._num_ended()}/{self._shown_total()}"
        return f"{count} {STATUS.get(status, status)}: {label}  {result}"

    def step_line(self, trial: Trial) -> str:
        """Describe the progress of the sweep and of one running trial."""
        label = self._labels.describe(Configuration.of(trial))
        parts = [f"{self._counts['finished']}/{self._shown_total()} finished"]
        parts += [f"{self.step(trial.id)} of {label}", self.time_left()]
        return "; ".join(part for part in parts if part)

    def stage_done_line(self, stage: Stage, seconds: float | None) -> str:
        """Describe a stage that was computed or loaded."""
        how = "loaded from disk" if seconds is None else f"computed in {seconds:.1f} s"
        number = self._time.stages.num_done
        return f"shared stage {number}{self._of_stages()} {how}: {self._label(stage)}"

    def stage_line(self, stage: Stage, share: float) -> str:
        """Describe a running stage."""
        number, percent = self._time.stages.num_done + 1, math.floor(100 * share)
        left = self._stages_left() if self._knows_stages else ""
        rest = f"; {left} for the shared stages" if left else ""
        count = f"{number}{self._of_stages()}"
        return f"computing shared stage {count}, {percent} %: {self._label(stage)}{rest}"

    def step(self, trial_id: str) -> str:
        """Describe the current step of a trial."""
        unit, work = self._task.step_unit, self._time.trial(trial_id)
        if work is None:
            return ""
        return format_step(unit, work.total, work.at, work.share, work.next_at)

    def time_left(self) -> str:
        """Format the remaining time of the sweep; empty if nothing was measured yet."""
        left = self._shown_total() - self._num_ended() - len(self._running)
        if self._max_started is not None:
            left = min(left, self._max_started - self._num_started)
        if left + len(self._running) <= 0:
            return ""
        now, workers = time.monotonic(), max(1, self._num_workers())
        return format_time_left(self._time.seconds_left(left, workers, now))

    def _stages_left(self) -> str:
        now, workers = time.monotonic(), max(1, self._num_workers())
        return format_time_left(self._time.stages.seconds_left(workers, now))

    def _of_stages(self) -> str:
        number = self._num_stages()
        return "" if number is None else f"/{number}"

    def _num_stages(self) -> int | None:
        """Return the number of stages; None in a search, where it is not known beforehand."""
        stages = self._time.stages
        return stages.num_done + stages.num_left() if self._knows_stages else None

    def _label(self, stage: Stage) -> str:
        return format_stage(stage, list(self._stages.values()))

    def _num_ended(self) -> int:
        return sum(self._counts.values())

    def _shown_total(self) -> int:
        return max(self._total(), self._num_ended() + len(self._running), 1)

    # --- the panel --------------------------------------------------------------------------------

    def _share(self) -> float:
        """Return the completed part of all trials and of a grid's stages, 0 to 1."""
        works = [self._time.trial(trial_id) for trial_id in self._running]
        done = float(self._num_ended())
        done += sum(work.share_done() for work in works if work is not None)
        total, stages = self._shown_total(), self._time.stages
        if self._knows_stages:
            done += stages.num_done + sum(stage.share for stage in stages.running.values())
            total += stages.num_done + stages.num_left()
        return min(1.0, done / total)

    def panel(self) -> Panel:
        """Return the content of the panel."""
        for trial_id, running in self._running.items():
            running.step = self.step(trial_id)
        best, stages = self._best, self._time.stages
        return Panel(
            counts=self._counts,
            total=self._shown_total(),
            share=self._share(),
            clock=self.clock(),
            left=self.time_left(),
            phase="waiting for nodes" if self.waits_for_nodes else self.phase,
            stages=[(self._label(one.stage), one.share) for one in stages.running.values()],
            num_stages_done=stages.num_done,
            num_stages=self._num_stages(),
            stages_left=self._stages_left(),
            metric=self._task.metric.label,
            best=None if best is None else (format_value(best[0], self._task), best[1]),
            running=[running for running in self._running.values() if not running.is_waiting],
            num_waiting=sum(running.is_waiting for running in self._running.values()),
            labels=self._labels,
        )

    def progress(self) -> Progress:
        """Return the same for other processes."""
        best = ""
        if self._best is not None:
            value, configuration = self._best
            label = self._labels.describe(configuration)
            best = f"{self._task.metric.label} {format_value(value, self._task)}  {label}"
        share = TOTAL_POINTS // max(1, len(self._running))
        num_points = min(MAX_SENT_POINTS, max(MIN_SENT_POINTS, share))
        return Progress(
            counts={status: number for status, number in self._counts.items() if number},
            total=self._shown_total(),
            share=round(self._share(), 4),
            left=self.time_left(),
            phase="waiting for nodes" if self.waits_for_nodes else self.phase,
            stages=tuple(self._label(one.stage) for one in self._time.stages.running.values()),
            metric=self._task.metric.label,
            maximize=self.maximize,
            step_unit=self.step_unit,
            best=best,
            num_workers=max(1, self._num_workers()),
            running=tuple(
                RunningTrial(
                    trial_id=trial_id,
                    parameters=self._labels.describe(running.configuration),
                    step=self.step(trial_id),
                    metrics=running.metrics,
                    value=self._list.last_value(trial_id),
                    curve=thin_out(self._list.curve(trial_id), num_points),
                    is_waiting=running.is_waiting,
                )
                for trial_id, running in self._running.items()
            ),
        )

    # --- the list of trials -----------------------------------------------------------------------

    def listed(self) -> list[ListedTrial]:
        """Return the trials of this run: running, waiting, and ended ones."""
        return self._list.all(
            ListedTrial(
                trial_id=trial_id,
                parameters=self._labels.describe(running.configuration),
                status="waiting" if running.is_waiting else "running",
                step=self.step(trial_id),
                metrics=running.metrics,
                value=self._list.last_value(trial_id),
            )
            for trial_id, running in self._running.items()
        )

    def curve(self, trial_id: str) -> list[tuple[float, float]]:
        """Return the main metric of a trial by step, empty if unknown."""
        return self._list.curve(trial_id)

    def workers_line(self) -> str:
        """Describe the workers and the queue: ``2 workers, 4 running, 12 waiting``."""
        waiting = sum(running.is_waiting for running in self._running.values())
        later = self._shown_total() - self._num_ended() - len(self._running)
        parts = [plural(max(1, self._num_workers()), "worker")]
        parts += [f"{len(self._running) - waiting} running", f"{waiting + later} waiting"]
        return ", ".join(parts)
