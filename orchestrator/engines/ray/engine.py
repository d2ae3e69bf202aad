"""Runs packs with Ray Tune. A Tune trial is one pack, and workers are reused for several packs.

    driver    Tune asks the searcher for packs and passes results to the scheduler (``tune``);
              stages are Ray tasks whose results the driver owns (``stages``)
    mailbox   an actor that holds packs for the workers and progress reports for the driver
    worker    a ``PackTrainable``, which waits for its pack and runs it step by step (``workers``)

A worker starts while its pack's stages are computed, and then waits for them. This cannot deadlock:
each worker leaves a tenth of its GPU share to stages, and stages reserve no CPU (the driver limits
the number of stages that run at once).
"""

from __future__ import annotations

import contextlib
import gc
import logging
import signal
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orchestrator.engines.ray.settings  # noqa: F401  before Ray

# isort: split
import ray
from ray import tune
from ray._private.utils import resolve_object_store_memory
from ray.exceptions import OutOfMemoryError, RayError
from ray.tune.error import TuneError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from orchestrator.engines.ray.address import check_address, check_reachable, unreachable
from orchestrator.engines.ray.autoscaling import max_cluster_nodes
from orchestrator.engines.ray.limits import local_resources
from orchestrator.engines.ray.paths import job_config
from orchestrator.engines.ray.stages import RayStages
from orchestrator.engines.ray.tune import PackScheduler, PackSearcher
from orchestrator.engines.ray.workers import PackTrainable, RayWorkers
from orchestrator.execution.coordinator import Coordinator
from orchestrator.execution.dispatcher import Dispatcher
from orchestrator.execution.mailbox import Mailbox
from orchestrator.execution.pack_runner import PackSettings
from orchestrator.execution.placement import (
    Gpus,
    Node,
    Placement,
    initial_gpus,
    main_memory,
    num_fitting_workers,
    place_workers,
    processes_per_trial,
    stage_gpus,
)
from orchestrator.execution.sizing import Measurement, measure_first_trial, resize
from orchestrator.execution.timeout import grace_period
from orchestrator.execution.worker_process import measure_alone, read_file
from orchestrator.hardware import device_memory
from tasks.contract import Stage, Trial

logger = logging.getLogger(__name__)

HALT_SECONDS = 1.0  # between two checks for a halt while waiting for a GPU
READ_SECONDS = 30.0  # for nodes to read a file of the driver


def alive_nodes() -> list[dict[str, Any]]:
    """Return the running nodes from ``ray.nodes()``."""
    return [node for node in ray.nodes() if node["Alive"]]


def connect(address: str | None) -> None:
    """Connect to the cluster at ``address``, or start Ray on this machine if it is None.

    Raises:
        RequestError: if that fails.
    """
    if address:
        check_address(address)
        check_reachable(address)
    options: dict[str, Any] = {
        "log_to_driver": False,
        "configure_logging": False,
        "job_config": job_config(),
    }
    if address:
        options |= {"address": address}
    else:
        # "local", because Ray may otherwise use the address of an earlier cluster.
        resources = local_resources(resolve_object_store_memory)
        options |= {"address": "local", "include_dashboard": False, **resources}
    is_main = threading.current_thread() is threading.main_thread()
    sigterm_handler = signal.getsignal(signal.SIGTERM) if is_main else None
    logging.disable(logging.CRITICAL)  # log lines would disturb the live view
    try:
        ray.init(**options)
    except Exception as error:  # Ray also raises Exception itself
        raise unreachable(address, error) from error
    finally:
        logging.disable(logging.NOTSET)
        if callable(sigterm_handler):  # ray.init replaces it
            signal.signal(signal.SIGTERM, sigterm_handler)
    logging.getLogger("ray").handlers[:] = [logging.NullHandler()]  # show only our own messages


def _is_memory_kill(error: BaseException | None) -> bool:
    """Return whether Ray's memory monitor caused an error."""
    while error is not None and not isinstance(error, OutOfMemoryError):
        error = error.__cause__
    return error is not None


class RayEngine:
    """Runs packs on a Ray cluster, or on a Ray instance of this machine."""

    def __init__(
        self,
        *,
        address: str | None = None,
        cpus_per_trial: int | None = None,
        gpus_per_trial: Gpus = 1.0,
    ) -> None:
        """Create an engine; ``start`` connects it.

        Args:
            address: the address of a Ray cluster, None to start Ray on this machine.
            cpus_per_trial: CPUs per worker, None to split them evenly.
            gpus_per_trial: GPUs per worker, all on one node; "auto" to measure the memory of a
                trial.
        """
        self._address, self._cpus_per_trial = address, cpus_per_trial
        self._gpus_per_trial = gpus_per_trial
        self._nodes: Sequence[Node] = ()
        self._max_packs: int | None = None

    def start(
        self,
        max_packs: int | None,
        wait_for_nodes: Callable[[str], None],
        should_halt: Callable[[], bool],
    ) -> None:
        """Connect to Ray, and compute the number of workers."""
        connect(self._address)
        alive = alive_nodes()
        running: list[Node] = [node["Resources"] for node in alive]
        nodes = running
        if self._address:  # Ray on this machine has no autoscaler
            nodes = max_cluster_nodes(alive, ray.util.get_node_ip_address())
        placement = place_workers(
            nodes,
            max_packs=max_packs,
            cpus_per_trial=self._cpus_per_trial,
            gpus_per_trial=initial_gpus(self._gpus_per_trial),
        )
        self._nodes, self._max_packs = nodes, max_packs
        self._set_placement(placement)
        fitting = num_fitting_workers(running, placement.cpus, placement.gpus)
        if fitting < placement.num_workers:
            wait_for_nodes(
                f"{len(alive)} of up to {len(nodes)} machines of the cluster are running. Starting "
                "more takes some minutes; see `ray status` for progress."
            )
        self.worker_memory = self._worker_memory(should_halt)

    def _set_placement(self, placement: Placement) -> None:
        logger.info("%s", placement)
        self._placement, self.num_workers = placement, placement.num_workers
        # GPUs per worker, without the part that is left to stages.
        self._gpus = placement.gpus - stage_gpus(placement.gpus)

    def _worker_memory(self, should_halt: Callable[[], bool]) -> int | None:
        """Return the memory per worker: its part of a GPU or of main memory. Waits for a GPU."""
        if not self._placement.gpus:
            return main_memory(self._nodes, self.num_workers)
        measuring = ray.remote(num_cpus=0, num_gpus=0.01)(device_memory).remote()
        while not ray.wait([measuring], timeout=HALT_SECONDS)[0]:
            if should_halt():
                return None
        gpu_memory: int | None = ray.get(measuring)
        workers_per_gpu = self.num_workers / sum(node.get("GPU", 0) for node in self._nodes)
        return None if gpu_memory is None else int(gpu_memory / max(1.0, workers_per_gpu))

    def num_nodes_without_shared_storage(self, path: str) -> int:
        """Return the number of nodes that do not read the driver's content at ``path``.

        Nodes compare the content, because the same path may be on different disks.
        """
        content, refs = read_file(path), list[Any]()
        for node in alive_nodes():
            on_node = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            reader = ray.remote(num_cpus=0, scheduling_strategy=on_node)(read_file)
            refs.append(reader.remote(path))
        done, late = ray.wait(refs, num_returns=len(refs), timeout=READ_SECONDS)
        number = len(late)
        for ref in done:
            with contextlib.suppress(RayError):  # the node has been lost
                number += ray.get(ref) != content
        return number

    def run(self, coordinator: Coordinator) -> None:
        """Run packs until all have ended or the coordinator halts."""
        restartable = {"num_cpus": 0, "max_restarts": -1, "max_task_retries": -1}
        mailbox: Any = ray.remote(**restartable)(Mailbox).remote()
        gpus, cpus = stage_gpus(self._placement.gpus), self._placement.cpus
        stages = RayStages(coordinator, mailbox, self.num_workers, gpus, cpus)
        if self._gpus_per_trial == "auto":
            self._measure(coordinator, stages)
        dispatcher = Dispatcher(coordinator, RayWorkers(mailbox), stages, self.num_workers)
        with tempfile.TemporaryDirectory(prefix="tune-", ignore_cleanup_errors=True) as scratch:
            while not self._fit(coordinator, mailbox, dispatcher, scratch):
                with dispatcher.capture_errors():
                    dispatcher.on_all_lost_to_memory()
        if dispatcher.error is not None:
            raise dispatcher.error

    def _fit(
        self, coordinator: Coordinator, mailbox: Any, dispatcher: Dispatcher, scratch: str
    ) -> bool:
        """Let Tune run packs until the end; return False if a worker was killed to free memory.

        In that case Tune (2.60) stops all workers and raises an error.
        """
        settings = PackSettings(
            task=coordinator.task,
            checkpoints=coordinator.checkpoints,
            checkpoint_interval=coordinator.checkpoint_interval,
            is_adaptive=coordinator.is_adaptive,
            threads=self._placement.cpus,
            step_timeout=coordinator.step_timeout,
            num_processes=processes_per_trial(self._gpus_per_trial),
        )
        trainable = tune.with_parameters(PackTrainable, mailbox=mailbox, settings=settings)
        resources = {"cpu": self._placement.cpus, "gpu": self._gpus}
        tuner = tune.Tuner(
            tune.with_resources(trainable, resources),
            tune_config=tune.TuneConfig(
                search_alg=PackSearcher(dispatcher),
                scheduler=PackScheduler(dispatcher),
                num_samples=-1,
                max_concurrent_trials=self.num_workers,
                reuse_actors=True,
            ),
            run_config=tune.RunConfig(
                storage_path=scratch,
                verbose=0,
                failure_config=tune.FailureConfig(max_failures=-1),  # see Recovery
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
        """Measure the memory of a trial, and compute the number of workers from it."""
        usage = measure_first_trial(
            coordinator, stages, lambda *args: self._measure_trial(coordinator, *args)
        )
        if usage is None:
            return
        limits = {"max_packs": self._max_packs, "cpus_per_trial": self._cpus_per_trial}
        self._set_placement(resize(coordinator, self._nodes, self._placement, usage, **limits))

    def _measure_trial(
        self, coordinator: Coordinator, trial: Trial, values: Mapping[Stage, Any]
    ) -> Measurement | None:
        """Run a trial's next step in a new process. Waits for it even on a halt."""
        cpus, step_timeout = self._placement.cpus, coordinator.step_timeout
        timeout = step_timeout and grace_period(step_timeout)
        new_process = {"max_retries": 0, "max_calls": 1}
        measuring = ray.remote(num_cpus=cpus, num_gpus=self._gpus, **new_process)(measure_alone)
        of_trial = (coordinator.task, trial, coordinator.checkpoints)
        ref = measuring.remote(*of_trial, cpus, step_timeout, list(values), *values.values())
        try:
            measurement: Measurement = ray.get(ref, timeout=timeout)
        except Exception:
            ray.cancel(ref, force=True)
            return None
        return measurement

    def close(self) -> None:
        """Disconnect from the cluster, or stop Ray on this machine.

        Ray (2.60) exits with status 1 if another thread frees a reference meanwhile, for which a
        collection of garbage is enough.
        """
        was_enabled = gc.isenabled()
        gc.disable()
        try:
            ray.shutdown()
        finally:
            if was_enabled:
                gc.enable()
