"""Runs one pack after the other in this process, without Ray.

Use it with one GPU, with a debugger, or on a machine without Ray.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence

from orchestrator.cgroups import available_cpus
from orchestrator.engines.local_stages import LocalStages
from orchestrator.execution.coordinator import Coordinator
from orchestrator.execution.events import Pack, to_failure
from orchestrator.execution.run_pack import run_pack
from orchestrator.execution.trial_processes import TrialProcesses
from orchestrator.execution.worker_process import limit_threads
from orchestrator.hardware import device_memory, pick_device
from orchestrator.saving.checkpoint_writer import CheckpointWriter
from tasks.contract import Trial
from tasks.interrupt import Interrupted, interruptible
from tasks.memory import keep_freed_memory
from tasks.progress import Throttle

HOLD_SECONDS = 0.1  # between two looks for a halt or a cancelled trial during a pause
GRACE_SECONDS = 10.0  # to finish a step after Ctrl-C, before it is interrupted


class LocalEngine:
    """Runs packs in the driver's process."""

    num_workers = 1
    worker_memory: int | None = None

    def __init__(self, num_gpus: int = 1) -> None:
        """``num_gpus`` is the number of GPUs that compute a trial together."""
        self._throttle, self._num_gpus = Throttle(), num_gpus
        self._processes: TrialProcesses | None = None

    def start(
        self,
        max_packs: int | None,
        wait_for_nodes: Callable[[str], None],
        should_halt: Callable[[], bool],
    ) -> None:
        """Configure memory allocation."""
        keep_freed_memory()
        self.worker_memory = device_memory()

    def num_nodes_without_shared_storage(self, path: str) -> int:
        """Return 0: the only machine is the driver's."""
        return 0

    def close(self) -> None:
        """End the processes that computed trials together with this one."""
        if self._processes is not None:
            self._processes.close()

    def run(self, coordinator: Coordinator) -> None:
        """Run packs until all have ended or the coordinator halts."""
        device = pick_device()
        limit_threads()
        stages = LocalStages(coordinator, device)
        if self._num_gpus > 1:
            self._processes = TrialProcesses(
                coordinator.task,
                self._num_gpus,
                device=device,
                threads=max(1, available_cpus() // self._num_gpus),
                step_timeout=coordinator.step_timeout,
            )
        with contextlib.suppress(Interrupted):
            while not coordinator.should_halt():
                self._hold((), coordinator)
                pack = coordinator.next_pack()
                if pack is None and coordinator.is_paused():
                    continue  # it was paused just now
                if pack is None:
                    return  # nothing else runs that could lead to more packs
                with interruptible(coordinator.should_halt):
                    ready = self._compute_stages(pack, coordinator, stages)
                with interruptible(_GracePeriod(coordinator.should_halt)):
                    self._run(ready, coordinator, stages, device)

    def _compute_stages(self, pack: Pack, coordinator: Coordinator, stages: LocalStages) -> Pack:
        """Compute a pack's stages; fail the members whose stages fail, and return the others."""
        trials, cancelled = [], set[str]()
        for trial in pack.trials:
            cancelled |= self._hold((), coordinator)
            if trial.id in cancelled:
                continue
            try:
                stages.inputs([trial])
            except Exception as error:
                coordinator.fail_pack(Pack(id=pack.id, trials=(trial,)), to_failure(error))
            else:
                trials.append(trial)
        return Pack(id=pack.id, trials=tuple(t for t in trials if t.id not in cancelled))

    def _run(self, pack: Pack, coordinator: Coordinator, stages: LocalStages, device: str) -> None:
        coordinator.mark_running(pack)
        inputs = stages.inputs(pack.trials)
        writer = CheckpointWriter(
            checkpoints=coordinator.checkpoints, interval=coordinator.checkpoint_interval
        )
        steps = run_pack(
            coordinator.task,
            pack.trials,
            inputs,
            device,
            writer,
            coordinator.step_timeout,
            coordinator.progressed,
            self._throttle,
            self._processes,
        )
        try:
            events = next(steps)
            while True:
                stop = coordinator.record(pack, events) | coordinator.cancel_trials()
                for trial_id in stop:
                    writer.discard(trial_id)
                if coordinator.is_paused():
                    writer.flush()
                    stop |= self._hold(pack.trials, coordinator)
                if coordinator.should_halt():
                    break
                events = steps.send(stop)
            writer.flush()
        except StopIteration:
            pass
        except Interrupted:  # the next run computes the interrupted step again
            writer.flush()
            raise
        finally:
            steps.close()

    def _hold(self, trials: Sequence[Trial], coordinator: Coordinator) -> set[str]:
        """Wait while the sweep is paused; return the ids of trials that are cancelled meanwhile."""
        cancelled = coordinator.cancel_trials()
        while coordinator.is_paused():
            coordinator.mark_held(trials)
            coordinator.confirm_pause()
            coordinator.steering.wait(HOLD_SECONDS)
            cancelled |= coordinator.cancel_trials()
        return cancelled


class _GracePeriod:
    """Returns True ``GRACE_SECONDS`` after ``should_halt`` first does."""

    def __init__(self, should_halt: Callable[[], bool]) -> None:
        self._should_halt = should_halt
        self._halted_at: float | None = None

    def __call__(self) -> bool:
        if not self._should_halt():
            return False
        now = time.monotonic()
        self._halted_at = self._halted_at or now
        return now - self._halted_at > GRACE_SECONDS
