"""Packs on Ray Tune: a Tune trial is one pack, run on a warm worker that takes one after the other.

    driver    Tune asks the searcher for packs and gives results to the scheduler (``ray_tune``);
              stages are Ray tasks whose results the driver owns (``ray_stages``)
    mailbox   a small actor: packs wait there for their workers, and progress for the driver
    worker    ``PackTrainable``: waits for its pack and advances it step by step (``ray_workers``)

A worker starts while its pack's stages are computed, and then waits for them. It cannot wait for a
device that it holds: a worker leaves a tenth of its GPU to the stages, and stages ask for no CPU
(the driver limits how many run at once).
"""

from __future__ import annotations

import contextlib
import logging
import signal
import tempfile
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orchestrator.engines.ray.settings  # noqa: F401  before Ray

# isort: split
import ray
from ray import tune
from ray.exceptions import AuthenticationError, OutOfMemoryError, RayError
from ray.tune.error import TuneError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from orchestrator.engines.ray.address import check_address, check_reachable
from orchestrator.engines.ray.autoscaling import at_its_largest
from orchestrator.engines.ray.paths import job_config
from orchestrator.engines.ray.stages import RayStages
from orchestrator.engines.ray.tune import PackScheduler, PackSearcher
from orchestrator.engines.ray.workers import PackTrainable, RayWorkers
from orchestrator.execution.coordinator import Coordinator
from orchestrator.execution.deadline import patience
from orchestrator.execution.dispatcher import Dispatcher
from orchestrator.execution.mailbox import Mailbox
from orchestrator.execution.placement import (
    STAGE_SHARE,
    Gpus,
    Node,
    Placement,
    main_memory,
    place,
    place_measured,
    room,
    whole,
)
from orchestrator.execution.sizing import Measured, describe, measure_first
from orchestrator.execution.worker_process import measure_alone, read_file
from orchestrator.hardware import device_bytes
from results.storage.filesystem import redact
from tasks.contract import RequestError, Stage, Trial

logger = logging.getLogger(__name__)

HALT_SECONDS = 1.0  # between two looks at whether to go on waiting for a GPU
BLIND_SECONDS = 30.0  # to wait for a node to say what it sees


def alive_nodes() -> list[dict[str, Any]]:
    """The nodes that live, as Ray tells of them."""
    return [node for node in ray.nodes() if node["Alive"]]


def connect(address: str | None) -> None:
    """Join the cluster there, or start a Ray of this machine alone.

    Raises:
        RequestError: if it cannot be had.
    """
    if address:
        check_address(address)
        check_reachable(address)
    options: dict[str, Any] = {
        "log_to_driver": False,
        "configure_logging": False,
        "job_config": job_config(),
    }
    on_sigterm = signal.getsignal(signal.SIGTERM)
    logging.disable(logging.CRITICAL)  # a live view shows what logging writes to stderr
    try:
        if address:
            ray.init(address=address, **options)
        else:
            # "local": a stale address of an earlier cluster must not be joined.
            ray.init(address="local", include_dashboard=False, **options)
    except (OSError, RuntimeError, ValueError, AuthenticationError) as error:
        first = redact(str(error).strip().splitlines()[0])
        where = f"the Ray cluster at {redact(address)}" if address else "Ray"
        # Ray does not tell a wrong token from a head that is gone.
        mend = "is the token the head's (RAY_AUTH_MODE, ~/.ray/auth_token)? " if address else ""
        raise RequestError(
            f"cannot reach {where}: {first}; {mend}see `ray status`, or use --engine local"
        ) from error
    finally:
        logging.disable(logging.NOTSET)
        if callable(on_sigterm):  # ray.init takes it over
            signal.signal(signal.SIGTERM, on_sigterm)
    logging.getLogger("ray").handlers[:] = [logging.NullHandler()]  # we tell what matters


def _is_memory_kill(error: BaseException | None) -> bool:
    """Whether an error comes from Ray's memory monitor, however it is wrapped."""
    while error is not None and not isinstance(error, OutOfMemoryError):
        error = error.__cause__
    return error is not None


class RayEngine:
    """Runs packs on a Ray cluster, or on a Ray of this machine alone."""

    def __init__(
        self,
        *,
        address: str | None = None,
        cpus_per_trial: int | None = None,
        gpus_per_trial: Gpus = 1.0,
    ) -> None:
        self._address, self._cpus_per_trial = address, cpus_per_trial
        self._gpus_per_trial = gpus_per_trial
        self._nodes: Sequence[Node] = ()
        self._max_packs: int | None = None

    def start(
        self, max_packs: int | None, wait_for_nodes: Callable[[str], None], halt: Callable[[], bool]
    ) -> None:
        """Connect, or start Ray here; then ``num_slots`` is known."""
        connect(self._address)
        alive = alive_nodes()
        there: list[Node] = [node["Resources"] for node in alive]
        nodes = there
        if self._address:  # a Ray of this machine alone has no autoscaler
            nodes = at_its_largest(alive, ray.util.get_node_ip_address())
        found = place(
            nodes,
            max_packs=max_packs,
            cpus_per_trial=self._cpus_per_trial,
            gpus_per_trial=whole(self._gpus_per_trial),
        )
        self._nodes, self._max_packs = nodes, max_packs
        self._place(found)
        if room(there, found.cpus, found.gpus) < found.num_slots:
            wait_for_nodes(
                f"The cluster has {len(alive)} of up to {len(nodes)} machines and starts what is "
                "needed, which takes minutes; `ray status` tells how far it is."
            )
        self.slot_bytes = self._worker_bytes(halt)

    def _place(self, placement: Placement) -> None:
        logger.info("%s", placement)
        self._placement, self.num_slots = placement, placement.num_slots
        self._gpus = placement.gpus * (1 - STAGE_SHARE)  # of a worker itself

    def _worker_bytes(self, halt: Callable[[], bool]) -> int | None:
        """Memory of a worker: of its share of a GPU, or of main memory. Waits for the first GPU."""
        if not self._placement.gpus:
            return main_memory(self._nodes, self.num_slots)
        measuring = ray.remote(num_cpus=0, num_gpus=0.01)(device_bytes).remote()
        while not ray.wait([measuring], timeout=HALT_SECONDS)[0]:
            if halt():
                return None
        found: int | None = ray.get(measuring)
        workers_a_gpu = self.num_slots / sum(node.get("GPU", 0) for node in self._nodes)
        return None if found is None else int(found / max(1.0, workers_a_gpu))

    def num_blind_nodes(self, path: str) -> int:
        """Asked of each node itself: one path may lie on two disks."""
        here, asked = read_file(path), list[Any]()
        for node in alive_nodes():
            there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            reading = ray.remote(num_cpus=0, scheduling_strategy=there)(read_file)
            asked.append(reading.remote(path))
        told, late = ray.wait(asked, num_returns=len(asked), timeout=BLIND_SECONDS)
        blind = len(late)
        for answer in told:
            with contextlib.suppress(RayError):  # of a node that is gone since
                blind += ray.get(answer) != here
        return blind

    def run(self, coordinator: Coordinator) -> None:
        """Coordinator until nothing is left, or until halted."""
        lasting = {"num_cpus": 0, "max_restarts": -1, "max_task_retries": -1}
        mailbox: Any = ray.remote(**lasting)(Mailbox).remote()
        share = self._placement.gpus * STAGE_SHARE
        stages = RayStages(coordinator, mailbox, self.num_slots, share, self._placement.cpus)
        if self._gpus_per_trial == "auto":
            self._measure(coordinator, stages)
        dispatcher = Dispatcher(coordinator, RayWorkers(mailbox), stages, self.num_slots)
        with tempfile.TemporaryDirectory(prefix="tune-", ignore_cleanup_errors=True) as scratch:
            while not self._fit(coordinator, mailbox, dispatcher, scratch):
                with dispatcher.guard():
                    dispatcher.on_all_lost_to_memory()
        if dispatcher.error is not None:
            raise dispatcher.error

    def _fit(
        self, coordinator: Coordinator, mailbox: Any, dispatcher: Dispatcher, scratch: str
    ) -> bool:
        """Have Tune run packs until the end; False if a worker was killed for its memory.

        Tune (2.60) takes that for an unknown error, stops all workers and raises it.
        """
        trainable = tune.with_parameters(
            PackTrainable,
            mailbox=mailbox,
            task=coordinator.task.name,
            checkpoints=coordinator.checkpoints,
            checkpoint_interval=coordinator.checkpoint_interval,
            prunes=coordinator.prunes,
            threads=self._placement.cpus,
            deadline=coordinator.deadline,
        )
        resources = {"cpu": self._placement.cpus, "gpu": self._gpus}
        tuner = tune.Tuner(
            tune.with_resources(trainable, resources),
            tune_config=tune.TuneConfig(
                search_alg=PackSearcher(dispatcher),
                scheduler=PackScheduler(dispatcher),
                num_samples=-1,
                max_concurrent_trials=self.num_slots,
                reuse_actors=True,
            ),
            run_config=tune.RunConfig(
                storage_path=scratch,
                verbose=0,
                failure_config=tune.FailureConfig(max_failures=-1),  # Recovery counts them
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            ),
        )
        try:
            tuner.fit()
        except (TuneError, RuntimeError) as error:
            if not _is_memory_kill(error):
                raise
            return False
        return True

    def _measure(self, coordinator: Coordinator, stages: RayStages) -> None:
        """Have a trial measured, and size the workers to what it uses."""
        usage = measure_first(
            coordinator, stages, lambda *trial: self._run_alone(coordinator, *trial)
        )
        if usage is None:
            return
        self._place(
            place_measured(
                self._nodes,
                self._placement,
                peak=usage.peak,
                capacity=usage.capacity,
                max_packs=self._max_packs,
                full_packs=coordinator.full_packs,
                cpus_per_trial=self._cpus_per_trial,
            )
        )
        gpus = self._placement.gpus
        self.slot_bytes = (
            int(usage.capacity * gpus) if gpus else main_memory(self._nodes, self.num_slots)
        )
        coordinator.resize(self.num_slots, self.slot_bytes, describe(self._placement, usage))

    def _run_alone(
        self, coordinator: Coordinator, trial: Trial, values: Mapping[Stage, Any]
    ) -> Measured | None:
        """A step that was begun is waited for, also on a halt: it ends with a checkpoint."""
        cpus, timeout = (
            self._placement.cpus,
            coordinator.deadline and patience(coordinator.deadline),
        )
        own_process = {"max_retries": 0, "max_calls": 1}
        measuring = ray.remote(num_cpus=cpus, num_gpus=self._gpus, **own_process)(measure_alone)
        arguments = (trial, coordinator.checkpoints, cpus, coordinator.deadline, list(values))
        ref = measuring.remote(*arguments, *values.values())
        try:
            found: Measured = ray.get(ref, timeout=timeout)
        except Exception:
            ray.cancel(ref, force=True)
            return None
        return found

    def close(self) -> None:
        """Leave the cluster, or stop this machine's Ray."""
        ray.shutdown()
