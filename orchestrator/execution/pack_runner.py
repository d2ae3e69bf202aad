"""Runs packs in a worker process, a few steps at a time. Does not import Ray."""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass

from orchestrator.execution.events import Event, ProgressListener, to_failure
from orchestrator.execution.run_pack import run_pack
from orchestrator.execution.trial_processes import TrialProcesses
from orchestrator.execution.worker_process import configure_worker
from orchestrator.hardware import pick_device
from orchestrator.saving.checkpoint_writer import CheckpointWriter
from orchestrator.saving.checkpoints import Checkpoints
from tasks.contract import Inputs, Task, Trial
from tasks.progress import Throttle

RESULT_SECONDS = 0.05  # quick steps within this time are reported together


@dataclass(frozen=True, kw_only=True, slots=True)
class PackSettings:
    """What all packs of a sweep have in common."""

    task: Task
    checkpoints: Checkpoints
    checkpoint_interval: float  # seconds
    is_adaptive: bool  # whether the searcher needs each step before the next one
    threads: int
    step_timeout: float | None  # seconds
    num_processes: int = 1  # that compute a step together, each on its own GPU


class PackRunner:
    """Runs one pack after the other in this process."""

    def __init__(self, settings: PackSettings) -> None:
        """Configure this process and choose a device."""
        threads = max(1, settings.threads // settings.num_processes)
        configure_worker(threads)
        self.writer = CheckpointWriter(
            checkpoints=settings.checkpoints, interval=settings.checkpoint_interval
        )
        self._settings, self._device, self._throttle = settings, pick_device(), Throttle()
        self._processes = None
        if settings.num_processes > 1:
            self._processes = TrialProcesses(
                settings.task,
                settings.num_processes,
                device=self._device,
                threads=threads,
                step_timeout=settings.step_timeout,
            )
        self._cancelled: frozenset[str] = frozenset()
        self._dropped: set[str] = set()  # cancelled trials that ``run_pack`` does not know yet
        self.reset()

    def reset(self) -> None:
        """Forget the pack, before another one."""
        self._trial_ids: list[str] = []
        self._steps: Generator[list[Event], set[str] | None, None] | None = None
        self._has_started = False

    @property
    def has_pack(self) -> bool:
        """Whether a pack was started."""
        return self._steps is not None

    def cancel(self, trial_ids: frozenset[str]) -> None:
        """Set all trials that are cancelled; they make no further step."""
        self._dropped |= trial_ids - self._cancelled
        self._cancelled = trial_ids

    def start(self, trials: Sequence[Trial], inputs: Inputs, on_progress: ProgressListener) -> None:
        """Start a pack, without trials that are already cancelled."""
        trials = tuple(trial for trial in trials if trial.id not in self._cancelled)
        self._trial_ids = [trial.id for trial in trials]
        self._steps = run_pack(
            self._settings.task,
            trials,
            inputs,
            self._device,
            self.writer,
            self._settings.step_timeout,
            on_progress,
            self._throttle,
            self._processes,
        )

    def advance(self) -> list[Event]:
        """Return the events of the next steps; none if the remaining trials were cancelled."""
        assert self._steps is not None
        start, events = time.perf_counter(), list[Event]()
        try:
            while True:
                dropped, self._dropped = self._dropped, set()
                events += self._steps.send(dropped if self._has_started else None)
                self._has_started = True
                if self._settings.is_adaptive or time.perf_counter() - start > RESULT_SECONDS:
                    break
        except StopIteration:
            pass
        except Exception as error:  # not of the task, such as a full disk
            failure = to_failure(error)
            events += [Event(trial_id=trial_id, outcome=failure) for trial_id in self._trial_ids]
        assert events or self._cancelled, "the pack has ended, but the driver asks for more steps"
        return events
