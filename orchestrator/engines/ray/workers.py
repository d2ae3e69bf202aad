"""The code that runs in Ray workers, and the driver's access to them."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orchestrator.engines.ray.settings  # noqa: F401  before Ray

# isort: split
import ray
from ray import tune
from ray.exceptions import OutOfMemoryError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from orchestrator.execution.dispatcher import Contents, Orders, Snapshot
from orchestrator.execution.events import StepProgress
from orchestrator.execution.pack_runner import PackRunner, PackSettings

TAIL_LINES = 30  # of a dead worker's log
TAIL_SECONDS = 20.0  # to read them
DEATH_SECONDS = 10.0  # for Ray to report why a worker died
ORDERS_SECONDS = 0.05  # between two looks for orders, which cost as much as a quick step
HELD_SECONDS = 1.0  # between two reports of a worker that holds its pack during a pause


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkerLocation:
    """Where a worker runs."""

    actor: Any
    node: str
    pid: int


class RayWorkers:
    """The driver's access to the workers (see ``dispatcher.Workers``)."""

    def __init__(self, mailbox: Any) -> None:
        self._mailbox = mailbox
        self._pending: Any = None  # a requested snapshot that has not arrived

    def put(self, pack_id: int, contents: Contents, finished_packs: Sequence[int]) -> None:
        """Put a pack into the mailbox."""
        self._mailbox.put.remote(pack_id, contents, finished_packs)

    def snapshots(self, wait: bool) -> Iterator[Snapshot]:
        """Return the snapshots of the mailbox that have arrived, and request the next one.

        The driver must not wait for the mailbox in its loop.
        """
        pending, self._pending = self._pending, None
        if pending is not None and (wait or ray.wait([pending], timeout=0)[0]):
            yield ray.get(pending)
            pending = None
        if wait:
            yield ray.get(self._mailbox.snapshot.remote())
        else:
            self._pending = pending or self._mailbox.snapshot.remote()

    def order(self, orders: Orders) -> None:
        """Send orders to all workers."""
        self._mailbox.order.remote(orders)

    def halt(self) -> None:
        """Make all workers save their checkpoints."""
        self._mailbox.halt.remote()

    def kill(self, worker: WorkerLocation) -> None:
        """Kill a worker's process; Tune starts another."""
        ray.kill(worker.actor)

    def ran_out_of_memory(self, worker: WorkerLocation) -> bool:
        """Return whether Ray's memory monitor killed a worker."""
        try:
            ray.get(worker.actor.__ray_ready__.remote(), timeout=DEATH_SECONDS)
        except OutOfMemoryError:
            return True
        except Exception:  # another cause, or Ray does not know it yet
            return False
        return False

    def tail_log(self, worker: WorkerLocation) -> str:
        """Return the last lines of a worker's output, empty if its node is lost too."""
        on_node = NodeAffinitySchedulingStrategy(node_id=worker.node, soft=False)
        try:
            lines = tail_worker_log.options(scheduling_strategy=on_node).remote(worker.pid)
            return str(ray.get(lines, timeout=TAIL_SECONDS))
        except Exception:
            return ""


@ray.remote(num_cpus=0, max_retries=0)  # type: ignore[untyped-decorator]
def tail_worker_log(pid: int) -> str:
    """Return the last lines of the standard output and error of a worker on this node."""
    logs = Path(ray._private.worker._global_node.get_logs_dir_path())
    files = sorted(logs.glob(f"worker-*-{pid}.*"))
    text = "".join(file.read_text(errors="replace") for file in files if file.is_file())
    lines = [line for line in text.splitlines() if not line.startswith(":")]  # markers of Ray
    return "\n".join(lines[-TAIL_LINES:])


class PackTrainable(tune.Trainable):  # type: ignore[misc]
    """Runs one pack per Tune trial; ``config["pack"]`` is the id of the pack."""

    def setup(
        self, config: dict[str, Any], mailbox: Any = None, settings: PackSettings | None = None
    ) -> None:
        """Choose a device. The stages of the first pack may still be running."""
        assert settings is not None
        self._runner, self._mailbox = PackRunner(settings), mailbox
        context = ray.get_runtime_context()
        self._location = WorkerLocation(
            actor=context.current_actor, node=context.get_node_id(), pid=os.getpid()
        )
        self._halted = mailbox.wait_for_halt.remote()  # done when the sweep halts
        self._orders = Orders()
        self._new_orders = mailbox.wait_for_orders.remote(0)
        self._next_look = 0.0  # for orders
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Switch to another pack in the same process."""
        self._pack: int = new_config["pack"]
        self._contents = self._mailbox.get.remote(self._pack, self._location)
        self._runner.reset()
        return True

    def step(self) -> dict[str, Any]:
        """Return the next events of the pack, and whether all of its steps are saved.

        There are no events while the stages are computed, or while the sweep is paused. The
        trainable never reports that it is done: the driver stops the Tune trial when all members
        have ended.
        """
        writer = self._runner.writer
        self._read_orders()
        if self._orders.is_paused:
            writer.flush()
            ray.wait([self._new_orders, self._halted], timeout=HELD_SECONDS)
            return {"events": [], "saved": True, "held": self._orders.number}
        if not self._runner.has_pack and not self._receive_pack():
            return {"events": [], "saved": True}
        if not writer.is_flushed() and ray.wait([self._halted], timeout=0)[0]:
            writer.flush()
            return {"events": [], "saved": True}
        return {"events": self._runner.advance(), "saved": writer.is_flushed()}

    def _read_orders(self) -> None:
        """Receive new orders, if there are any."""
        if time.perf_counter() < self._next_look:
            return
        self._next_look = time.perf_counter() + ORDERS_SECONDS
        while ray.wait([self._new_orders], timeout=0)[0]:
            self._orders = ray.get(self._new_orders)
            self._runner.cancel(self._orders.cancelled)
            self._new_orders = self._mailbox.wait_for_orders.remote(self._orders.number)

    def _receive_pack(self) -> bool:
        """Wait for the pack and the values of its stages; return False if it did not arrive."""
        contents = ray.get(self._contents)
        if contents is None:
            self._contents = self._mailbox.get.remote(self._pack, self._location)
            return False
        trials, refs = contents
        inputs = dict(zip(refs, ray.get(list(refs.values())), strict=True))
        self._runner.start(trials, inputs, self._report)
        return True

    def _report(self, progress: StepProgress) -> None:
        """Send progress to the mailbox without waiting."""
        self._mailbox.report_step.remote(self._pack, progress)
