"""Packs on Ray Tune: a Tune trial is one pack, run on a warm worker that takes one after the other.

    driver    Tune asks the searcher for packs and gives results to the scheduler (``ray_packs``);
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
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import orchestrator.ray_settings  # noqa: F401  before Ray

# isort: split
import ray
from ray import tune
from ray.exceptions import AuthenticationError, OutOfMemoryError, RayError
from ray.tune.error import TuneError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from orchestrator.address import check_address, check_reachable
from orchestrator.autoscaling import at_its_largest
from orchestrator.engine import Work, device_bytes
from orchestrator.placement import STAGE_SHARE, Gpus, Node, place, place_measured, room, whole
from orchestrator.ray_measure import measure
from orchestrator.ray_packs import PackRunner, PackScheduler, PackSearcher
from orchestrator.ray_paths import job_config
from orchestrator.ray_stages import RayStages
from orchestrator.ray_workers import Mailbox, PackTrainable, content_of
from results.roots import redact
from tasks.contract import RequestError

HALT_SECONDS = 1.0  # between two looks at whether to go on waiting for a GPU
BLIND_SECONDS = 30.0  # to wait for a node to say what it sees


def alive_nodes() -> list[dict[str, Any]]:
    """The nodes that live, as Ray tells of them."""
    return [node for node in ray.nodes() if node["Alive"]]


def _memory(nodes: Sequence[Node], num_slots: int) -> int | None:
    return int(sum(n.get("memory", 0) for n in nodes if n.get("CPU")) / num_slots) or None


def _slot_bytes(
    on_gpu: bool, nodes: Sequence[Node], num_slots: int, halt: Callable[[], bool]
) -> int | None:
    """Memory of a slot: of its share of a GPU, or of main memory. Waits for the first GPU."""
    if not on_gpu:
        return _memory(nodes, num_slots)
    measure: Any = ray.remote(num_cpus=0, num_gpus=0.01)(device_bytes)
    measured = measure.remote()
    while not ray.wait([measured], timeout=HALT_SECONDS)[0]:
        if halt():
            return None
    found: int | None = ray.get(measured)
    slots_a_gpu = num_slots / sum(node.get("GPU", 0) for node in nodes)
    return None if found is None else int(found / max(1.0, slots_a_gpu))


def _hush() -> None:
    """Let Ray's own log lines go nowhere: what concerns a user is told by us."""
    logging.getLogger("ray").handlers[:] = [logging.NullHandler()]


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
    _hush()


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
        self._nodes, self._max_packs, self._placement = nodes, max_packs, found
        self.num_slots, self._cpus, self._gpus = found.num_slots, found.cpus, found.gpus
        if room(there, self._cpus, self._gpus) < self.num_slots:
            wait_for_nodes(
                f"The cluster has {len(alive)} of up to {len(nodes)} machines and starts what is "
                "needed, which takes minutes; `ray status` tells how far it is."
            )
        self.slot_bytes = _slot_bytes(bool(self._gpus), nodes, self.num_slots, halt)

    def num_blind_nodes(self, path: str) -> int:
        """Asked of each node itself: one path may lie on two disks."""
        here = Path(path).read_bytes()
        asked = [
            content_of.options(
                scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            ).remote(path)
            for node in alive_nodes()
        ]
        told, late = ray.wait(asked, num_returns=len(asked), timeout=BLIND_SECONDS)
        blind = len(late)
        for answer in told:
            with contextlib.suppress(RayError):  # of a node that is gone since
                blind += ray.get(answer) != here
        return blind

    def run(self, work: Work) -> None:
        """Work until nothing is left, or until halted."""
        mailbox: Any = Mailbox.remote()  # type: ignore[attr-defined]
        stages = RayStages(work, mailbox, self.num_slots, self._gpus * STAGE_SHARE, self._cpus)
        if self._gpus_per_trial == "auto":
            self._measure(work, stages)
        packs = PackRunner(work, mailbox, stages, self.num_slots)
        with tempfile.TemporaryDirectory(prefix="orchestrator-tune-") as scratch:
            while not self._fit(work, mailbox, packs, scratch):
                packs.on_memory_kill()
        if packs.error is not None:
            raise packs.error

    def _fit(self, work: Work, mailbox: Any, packs: PackRunner, scratch: str) -> bool:
        """Have Tune run packs until the end; False if a worker was killed for its memory.

        Tune (2.60) takes that for an unknown error, stops all workers and raises it.
        """
        trainable = tune.with_parameters(
            PackTrainable,
            mailbox=mailbox,
            task=work.task.name,
            checkpoints=work.checkpoints.uri,
            prunes=work.prunes,
            threads=self._cpus,
            deadline=work.deadline,
        )
        resources = {"cpu": self._cpus, "gpu": self._gpus * (1 - STAGE_SHARE)}
        tuner = tune.Tuner(
            tune.with_resources(trainable, resources),
            tune_config=tune.TuneConfig(
                search_alg=PackSearcher(packs),
                scheduler=PackScheduler(packs),
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

    def _measure(self, work: Work, stages: RayStages) -> None:
        """Have a trial measured, and cut the slots to what it uses."""
        usage = measure(work, stages, self._cpus, self._gpus * (1 - STAGE_SHARE))
        if usage is None:
            return
        found = place_measured(
            self._nodes,
            self._placement,
            peak=usage.peak,
            capacity=usage.capacity,
            max_packs=self._max_packs,
            full_packs=work.full_packs,
            cpus_per_trial=self._cpus_per_trial,
        )
        self.num_slots, self._cpus, self._gpus = found.num_slots, found.cpus, found.gpus
        on_gpu = bool(found.gpus)
        self.slot_bytes = (
            int(usage.capacity * found.gpus) if on_gpu else _memory(self._nodes, found.num_slots)
        )
        each = f"{found.cpus} CPU{'s' if found.cpus > 1 else ''}"
        each += f" and {found.gpus:.3g} GPU" if on_gpu else ""
        slots = f"{found.num_slots} slot{'s' if found.num_slots > 1 else ''}"
        work.resize(
            found.num_slots,
            self.slot_bytes,
            f"a trial fills {usage.peak / 1e9:.1f} of {usage.capacity / 1e9:.1f} GB: "
            f"{slots} of {each}",
        )

    def close(self) -> None:
        """Leave the cluster, or stop this machine's Ray."""
        ray.shutdown()
