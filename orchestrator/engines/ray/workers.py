"""What runs on the workers of a Ray cluster: packs, the mailbox that brings them, and stages."""

from __future__ import annotations

import os
import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orchestrator.engines.ray.settings  # noqa: F401  before Ray

# isort: split
import ray
from ray import tune
from ray.exceptions import OutOfMemoryError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from orchestrator.execution.dispatcher import Contents, Snapshot
from orchestrator.execution.events import Event, StepProgress, failure
from orchestrator.execution.run_pack import run_pack
from orchestrator.execution.stages import StageCache
from orchestrator.execution.worker_process import configure_worker, load_or_compute
from orchestrator.hardware import pick_device
from orchestrator.planning.discovery import load_task
from orchestrator.saving.checkpoint_writer import CheckpointWriter
from orchestrator.saving.checkpoints import Checkpoints
from tasks.contract import Stage
from tasks.progress import Throttle

TAIL_LINES = 30  # of a dead worker's log
TAIL_SECONDS = 20.0  # to wait for it
DEATH_SECONDS = 10.0  # to wait for Ray to say what a worker died of
RESULT_SECONDS = 0.05  # quick steps are reported together, so that reporting costs little


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkerLocation:
    """Where a worker runs."""

    actor: Any
    node: str
    pid: int


class RayWorkers:
    """The workers, as the dispatcher sees them."""

    def __init__(self, mailbox: Any) -> None:
        self._mailbox = mailbox
        self._looking: Any = None  # a look whose answer is not here yet

    def put(self, pack_id: int, contents: Contents, over: Sequence[int]) -> None:
        """Leave a pack in the mailbox."""
        self._mailbox.put.remote(pack_id, contents, over)

    def look(self, wait: bool) -> Iterator[Snapshot]:
        """Look into the mailbox. The driver has other things to do than to wait for it."""
        looking, self._looking = self._looking, None
        if looking is not None and (wait or ray.wait([looking], timeout=0)[0]):
            yield ray.get(looking)
            looking = None
        if wait:
            yield ray.get(self._mailbox.look.remote())
        else:
            self._looking = looking or self._mailbox.look.remote()

    def halt(self) -> None:
        """Have all workers save what they have computed."""
        self._mailbox.halt.remote()

    def kill(self, worker: WorkerLocation) -> None:
        """End its process; Tune starts another."""
        ray.kill(worker.actor)

    def ran_out_of_memory(self, worker: WorkerLocation) -> bool:
        """Whether Ray's memory monitor killed it."""
        try:
            ray.get(worker.actor.__ray_ready__.remote(), timeout=DEATH_SECONDS)
        except OutOfMemoryError:
            return True
        except Exception:  # it died of something else, or Ray does not know yet
            return False
        return False

    def tail_log(self, worker: WorkerLocation) -> str:
        """Its last lines; none, if its node is gone as well."""
        there = NodeAffinitySchedulingStrategy(node_id=worker.node, soft=False)
        try:
            lines = tail_worker_log.options(scheduling_strategy=there).remote(worker.pid)
            return str(ray.get(lines, timeout=TAIL_SECONDS))
        except Exception:
            return ""


@ray.remote(num_cpus=0, max_retries=0)  # type: ignore[untyped-decorator]
def tail_worker_log(pid: int) -> str:
    """The last lines that a worker of this node wrote to its standard streams."""
    logs = Path(ray._private.worker._global_node.get_logs_dir_path())
    files = sorted(logs.glob(f"worker-*-{pid}.*"))
    text = "".join(file.read_text(errors="replace") for file in files if file.is_file())
    lines = [line for line in text.splitlines() if not line.startswith(":")]  # Ray's own marks
    return "\n".join(lines[-TAIL_LINES:])


@ray.remote(num_cpus=0, max_retries=3)  # type: ignore[untyped-decorator]
def compute_stage(
    stage: Stage, threads: int, cache: StageCache, deadline: float | None, mailbox: Any, *needs: Any
) -> tuple[Any, Any]:
    """The stage's value, read or computed, and its ``Origin``."""

    def receive(share: float, next_at: int | None) -> None:
        mailbox.report_stage.remote(stage.key, share)

    return load_or_compute(stage, needs, threads, cache, deadline, receive)


class PackTrainable(tune.Trainable):  # type: ignore[misc]
    """Runs packs, one after the other; a Tune trial is one of them, ``config["pack"]`` its id."""

    def setup(
        self,
        config: dict[str, Any],
        mailbox: Any = None,
        task: str = "",
        checkpoints: Checkpoints | None = None,
        checkpoint_interval: float = 0.0,
        prunes: bool = False,
        threads: int = 1,
        deadline: float | None = None,
    ) -> None:
        """Load the task and choose a device, while the first pack's stages may be computed."""
        configure_worker(threads)
        self._mailbox, self._prunes, self._deadline = mailbox, prunes, deadline
        context = ray.get_runtime_context()
        self._here = WorkerLocation(
            actor=context.current_actor, node=context.get_node_id(), pid=os.getpid()
        )
        assert checkpoints is not None
        self._task = load_task(task)
        self._writer = CheckpointWriter(checkpoints=checkpoints, interval=checkpoint_interval)
        self._halted = mailbox.wait_for_halt.remote()  # an answer means that the sweep is to stop
        self._device = pick_device()
        self._throttle = Throttle()
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Another pack; the process stays."""
        self._pack: int = new_config["pack"]
        self._contents = self._mailbox.take.remote(self._pack, self._here)
        self._trial_ids: list[str] = []
        self._steps: Generator[list[Event], set[str] | None, None] | None = None
        return True

    def step(self) -> dict[str, Any]:
        """The pack's next events, none while its stages are computed; whether all steps are saved.

        It never says that it is done: the driver stops the Tune trial when all members have ended.
        """
        if self._steps is None and not self._take():
            return {"events": [], "saved": True}
        assert self._steps is not None
        if not self._writer.is_flushed() and ray.wait([self._halted], timeout=0)[0]:
            self._writer.flush()
            return {"events": [], "saved": True}
        began, events = time.perf_counter(), list[Event]()
        try:
            for new in self._steps:
                events += new
                if self._prunes or time.perf_counter() - began > RESULT_SECONDS:
                    break  # what prunes hears of each step before the next
        except Exception as error:  # outside of the task, such as a checkpoint's full disk
            reason = failure(error)
            events += [Event(trial_id=trial_id, outcome=reason) for trial_id in self._trial_ids]
        assert events, "nothing is left to run, but the driver waits for more"
        return {"events": events, "saved": self._writer.is_flushed()}

    def _take(self) -> bool:
        """Wait for the pack and what its stages give."""
        contents = ray.get(self._contents)
        if contents is None:
            self._contents = self._mailbox.take.remote(self._pack, self._here)
            return False
        trials, refs = contents
        inputs = dict(zip(refs, ray.get(list(refs.values())), strict=True))
        self._trial_ids = [trial.id for trial in trials]
        self._steps = run_pack(
            self._task,
            trials,
            inputs,
            self._device,
            self._writer,
            self._deadline,
            self._report,
            self._throttle,
        )
        return True

    def _report(self, progress: StepProgress) -> None:
        """For the driver's next look at the mailbox; nobody waits for it."""
        self._mailbox.report_step.remote(self._pack, progress)
