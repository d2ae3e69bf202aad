"""Everything in this process, one pack after the other: no Ray import.

For one GPU, a debugger, or a machine without Ray.
"""

from __future__ import annotations

from collections.abc import Callable

from orchestrator.engine import Pack, Work, device_bytes, failure, pick_device, run_pack
from orchestrator.stages import LocalStages
from tasks.memory import keep_freed_memory
from tasks.progress import Throttle


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

    def run(self, work: Work) -> None:
        """Work until nothing is left, or until halted."""
        device = pick_device()
        stages = LocalStages(work, device)
        while not work.should_halt():
            pack = work.next_pack()
            if pack is None:
                return  # nothing runs beside this process, so nothing can bring more
            self._run(pack, work, stages, device)

    def _run(self, pack: Pack, work: Work, stages: LocalStages, device: str) -> None:
        trials = []
        for trial in pack.trials:
            try:
                stages.inputs([trial])
            except Exception as error:  # of those that need this stage alone
                work.fail_pack(Pack(id=pack.id, trials=(trial,)), failure(error))
            else:
                trials.append(trial)
        inputs = stages.inputs(trials)
        steps = run_pack(
            work.task,
            trials,
            inputs,
            device,
            work.checkpoints,
            work.deadline,
            work.progressed,
            self._throttle,
        )
        try:
            events = next(steps)
            while not work.should_halt():
                events = steps.send(work.record(pack, events))
            work.record(pack, events)
        except StopIteration:
            pass
        finally:
            steps.close()
