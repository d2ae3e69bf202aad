"""Everything in this process, one pack after the other: no Ray import.

For one GPU, a debugger, or a machine without Ray.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

from orchestrator.engines.local_stages import LocalStages
from orchestrator.execution.coordinator import Coordinator
from orchestrator.execution.events import Pack, failure
from orchestrator.execution.run_pack import run_pack
from orchestrator.hardware import device_bytes, pick_device
from orchestrator.saving.checkpoint_writer import CheckpointWriter
from tasks.interrupt import Interrupted, interruptible
from tasks.memory import keep_freed_memory
from tasks.progress import Throttle

GRACE_SECONDS = 10.0  # that a step has to come to its end after Ctrl-C; the step is then dropped


class LocalEngine:
    """Runs packs in the driver's own process."""

    num_slots = 1
    slot_bytes: int | None = None

    def __init__(self) -> None:
        self._throttle = Throttle()

    def start(
        self, max_packs: int | None, wait_for_nodes: Callable[[str], None], halt: Callable[[], bool]
    ) -> None:
        """Nothing to bring up but the allocator's habits."""
        keep_freed_memory()
        self.slot_bytes = device_bytes()

    def num_blind_nodes(self, path: str) -> int:
        """There is one machine."""
        return 0

    def close(self) -> None:
        """Nothing left running."""

    def run(self, coordinator: Coordinator) -> None:
        """Coordinator until nothing is left, or until halted."""
        device = pick_device()
        stages = LocalStages(coordinator, device)
        with contextlib.suppress(Interrupted):
            while not coordinator.should_halt():
                pack = coordinator.next_pack()
                if pack is None:
                    return  # nothing runs beside this process, so nothing can bring more
                with interruptible(coordinator.should_halt):
                    ready = self._compute_stages(pack, coordinator, stages)
                with interruptible(_Grace(coordinator.should_halt)):
                    self._run(ready, coordinator, stages, device)

    def _compute_stages(self, pack: Pack, coordinator: Coordinator, stages: LocalStages) -> Pack:
        """The members whose stages are there; the others have failed."""
        trials = []
        for trial in pack.trials:
            try:
                stages.inputs([trial])
            except Exception as error:  # of those that need this stage alone
                coordinator.fail_pack(Pack(id=pack.id, trials=(trial,)), failure(error))
            else:
                trials.append(trial)
        return Pack(id=pack.id, trials=tuple(trials))

    def _run(self, pack: Pack, coordinator: Coordinator, stages: LocalStages, device: str) -> None:
        coordinator.pack_runs(pack)
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
            coordinator.deadline,
            coordinator.progressed,
            self._throttle,
        )
        try:
            events = next(steps)
            while not coordinator.should_halt():
                events = steps.send(coordinator.record(pack, events))
            for trial_id in coordinator.record(pack, events):
                writer.forget(trial_id)
            writer.flush()
        except StopIteration:
            pass
        except Interrupted:  # within a step, which the next run computes again
            writer.flush()
            raise
        finally:
            steps.close()


class _Grace:
    """Asks to interrupt a step that goes on for long after the sweep was told to halt."""

    def __init__(self, should_halt: Callable[[], bool]) -> None:
        self._should_halt = should_halt
        self._halted: float | None = None

    def __call__(self) -> bool:
        if not self._should_halt():
            return False
        now = time.monotonic()
        self._halted = self._halted or now
        return now - self._halted > GRACE_SECONDS
