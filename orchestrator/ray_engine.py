"""Packs on Ray Tune: a Tune trial is a slot, a warm actor that is fed one pack after the other.

    driver   the callback asks the coordinator for packs, offers those whose stages are ready, and
             takes events in; stages are Ray tasks whose results the driver owns
    board    a small actor that passes packs to slots and stop requests to running packs
    slot     PackTrainable: takes a pack off the board, advances it step by step, takes the next

Tune schedules the slots and starts a lost one again; a lost slot's pack goes back on the board at
once, for any slot, and its members go on from their checkpoints. A stage never waits for a device
that a slot holds: a slot leaves a tenth of its GPU to the stages, and stages ask for no CPU (the
driver limits how many run at once).
"""

from __future__ import annotations

import itertools
import logging
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import orchestrator.ray_settings  # noqa: F401  before Ray

# isort: split
import ray
from ray import tune
from ray.exceptions import AuthenticationError

from orchestrator.autoscaling import at_its_largest
from orchestrator.engine import Event, Failure, Pack, Work, device_bytes
from orchestrator.placement import STAGE_SHARE, Node, place, room
from orchestrator.ray_stages import RayStages
from orchestrator.ray_workers import Board, PackTrainable
from orchestrator.stages import needed_stages
from tasks.contract import RequestError, Stage, SweepError

MAX_LOST_WORKERS = 3  # times that a pack is tried again after its worker died
MAX_BROKEN_STARTS = 10  # slots in a row that die before they have told anything
HALT_SECONDS = 1.0  # between two looks at whether to go on waiting for a GPU
BOARD_SECONDS = 5.0  # between two looks at whether the board still knows what it was given


class _Bridge:
    """What the callback and the stopper share; Tune pickles both, so they hold its number."""

    _number = itertools.count()
    live: ClassVar[dict[int, _Bridge]] = {}

    def __init__(self, work: Work, board: Any, stages: RayStages, num_slots: int) -> None:
        self.work, self.board, self.stages = work, board, stages
        # A list keeps a pack ready for each slot; a search should know all it can when it asks.
        self._most = num_slots if work.prunes else 2 * num_slots
        self._waiting: list[tuple[Pack, list[Stage]]] = []  # for their stages
        self._out: dict[int, tuple[Pack, dict[Stage, Any]]] = {}  # offered, or in a slot
        self._losses: dict[int, int] = {}  # of the workers of a pack
        self._broken_starts = 0
        self._looked = time.monotonic()
        self._closed = False
        self.error: Exception | None = None  # ends the sweep, and is raised after it
        self.number = next(self._number)
        self.live[self.number] = self

    def is_over(self) -> bool:
        """Whether nothing is left for any slot; then nobody waits any more."""
        over = (
            self.error is not None
            or self.work.should_halt()
            or (not self._waiting and not self._out and self.work.is_over())
        )
        if over and not self._closed:
            self._closed = True
            self.board.close.remote()
        return over

    def feed(self) -> None:
        """Ask for packs, have their stages computed, and offer those that can start."""
        if self.work.should_halt():
            return
        while len(self._waiting) + len(self._out) < self._most:
            pack = self.work.next_pack()
            if pack is None:
                break
            stages = needed_stages(self.work.task, pack.trials)
            for stage in stages:
                self.stages.want(stage)
            self._waiting.append((pack, stages))
        self.stages.poll()
        for item in list(self._waiting):
            pack, stages = item
            error, refs = self.stages.failed(stages), self.stages.refs(stages)
            if error is not None:
                self._waiting.remove(item)
                self._fail_those_that_need(pack)
            elif refs is not None:
                self._waiting.remove(item)
                self._out[pack.id] = (pack, refs)
                self.board.offer.remote(pack.id, pack.trials, refs)
        self._look_at_board()

    def _fail_those_that_need(self, pack: Pack) -> None:
        """Members whose stages failed have failed too; the others wait for theirs."""
        going = []
        for trial in pack.trials:
            error = self.stages.failed(self.work.task.stages(trial))
            if error is None:
                going.append(trial)
            else:
                self.work.fail_pack(Pack(id=pack.id, trials=(trial,)), error)
        if going:
            rest = Pack(id=pack.id, trials=tuple(going))
            self._waiting.append((rest, needed_stages(self.work.task, going)))

    def told(self, pack_id: int | None, events: Sequence[Event], over: bool) -> None:
        """A slot tells of its pack."""
        self._broken_starts = 0
        if pack_id not in self._out:
            return  # a slot that waits, or one that tells of a pack which went on elsewhere
        pack, _ = self._out[pack_id]
        stop = self.work.record(pack, events)
        done = {e.trial_id for e in events if isinstance(e.outcome, Failure) or e.outcome.step.done}
        if stop:  # the slot asks before its next step, so this must be there first
            ray.get(self.board.end.remote(sorted(stop)))
        if done and not over:
            self.board.end.remote(sorted(done))
        if over:
            self._drop(pack_id)

    def lost(self, slot: str) -> None:
        """A slot's worker died: its pack is for any other now.

        At the second loss its members go on each for itself, so that one which kills its workers
        takes no other along; one that does so again and again has failed.
        """
        pack_id = ray.get(self.board.release.remote(slot))
        if pack_id not in self._out:
            self._broken_starts += 1
            if self._broken_starts > MAX_BROKEN_STARTS:
                raise SweepError(
                    f"{self._broken_starts} workers in a row died before they took any work; "
                    f"--engine local shows why"
                )
            return
        pack, refs = self._out[pack_id]
        self._losses[pack_id] = self._losses.get(pack_id, 0) + 1
        if self._losses[pack_id] > 1 and len(pack.trials) > 1:
            for alone in self.work.split(pack):
                self._out[alone.id] = (alone, refs)
                self.board.offer.remote(alone.id, alone.trials, refs)
            self._drop(pack_id)
        elif self._losses[pack_id] > MAX_LOST_WORKERS:
            reason = f"its worker died {MAX_LOST_WORKERS + 1} times (out of memory?)"
            self.work.fail_pack(pack, Failure(reason=reason, log=""))
            self._drop(pack_id)
        else:
            self.board.offer.remote(pack_id, pack.trials, refs, first=True)

    def _drop(self, pack_id: int) -> None:
        del self._out[pack_id]
        self._losses.pop(pack_id, None)
        self.board.drop.remote(pack_id)

    def _look_at_board(self) -> None:
        """Give a board that died and was started again what it has lost."""
        if not self._out or time.monotonic() - self._looked < BOARD_SECONDS:
            return
        self._looked = time.monotonic()
        known = ray.get(self.board.known.remote())
        for pack_id, (pack, refs) in self._out.items():
            if pack_id not in known:
                self.board.offer.remote(pack_id, pack.trials, refs)


class _Callback(tune.Callback):  # type: ignore[misc]
    def __init__(self, number: int) -> None:
        self._number = number

    def on_step_begin(self, iteration: int, trials: list[Any], **info: Any) -> None:
        self._guarded(lambda bridge: bridge.feed())

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        events = result.pop("events", [])  # before Tune keeps the result
        self._guarded(lambda bridge: bridge.told(result["pack"], events, result["over"]))
        self._guarded(lambda bridge: bridge.feed())

    def on_trial_recover(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._guarded(lambda bridge: bridge.lost(trial.trial_id))

    def _guarded(self, act: Callable[[_Bridge], None]) -> None:
        """Tune would wrap an error's traceback in its own: it is kept, and raised after the end."""
        bridge = _Bridge.live[self._number]
        if bridge.error is None:
            try:
                act(bridge)
            except Exception as error:
                bridge.error = error


class _Halt(tune.Stopper):  # type: ignore[misc]
    def __init__(self, number: int) -> None:
        self._number = number

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return False

    def stop_all(self) -> bool:
        return _Bridge.live[self._number].is_over()


def alive_nodes() -> list[dict[str, Any]]:
    """The nodes that live, as Ray tells of them."""
    return [node for node in ray.nodes() if node["Alive"]]


def _slot_bytes(
    on_gpu: bool, nodes: Sequence[Node], num_slots: int, halt: Callable[[], bool]
) -> int | None:
    """Memory of a slot: of its share of a GPU, or of main memory. Waits for the first GPU."""
    if not on_gpu:
        return int(sum(n.get("memory", 0) for n in nodes if n.get("CPU")) / num_slots) or None
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
    if address and address.startswith("ray://"):
        raise RequestError(
            f"--address {address} is a Ray Client's, and no sweep can be driven through one: run "
            "it on the head (`ray exec`) or as a job (`ray job submit`); see docs/cluster.md"
        )
    options: dict[str, Any] = {"log_to_driver": False, "configure_logging": False}
    logging.disable(logging.CRITICAL)  # a live view shows what logging writes to stderr
    try:
        if address:
            ray.init(address=address, **options)
        else:
            # "local": a stale address of an earlier cluster must not be joined.
            ray.init(address="local", include_dashboard=False, **options)
    except (ConnectionError, RuntimeError, AuthenticationError) as error:
        first = str(error).strip().splitlines()[0]
        where = f"the Ray cluster at {address}" if address else "Ray"
        raise RequestError(
            f"cannot reach {where}: {first}; see `ray status`, or use --engine local"
        ) from error
    finally:
        logging.disable(logging.NOTSET)
    _hush()


class RayEngine:
    """Runs packs on a Ray cluster, or on a Ray of this machine alone."""

    def __init__(
        self,
        *,
        address: str | None = None,
        cpus_per_trial: int | None = None,
        gpus_per_trial: float = 1.0,
    ) -> None:
        self._address, self._cpus_per_trial = address, cpus_per_trial
        self._gpus_per_trial = gpus_per_trial

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
            gpus_per_trial=self._gpus_per_trial,
        )
        self.num_slots, self._cpus, self._gpus = found.num_slots, found.cpus, found.gpus
        if room(there, self._cpus, self._gpus) < self.num_slots:
            wait_for_nodes(
                f"The cluster has {len(alive)} of up to {len(nodes)} machines and starts what is "
                "needed, which takes minutes; `ray status` tells how far it is."
            )
        self.slot_bytes = _slot_bytes(bool(self._gpus), nodes, self.num_slots, halt)

    def run(self, work: Work) -> None:
        """Work until nothing is left, or until halted."""
        board: Any = Board.remote()  # type: ignore[attr-defined]
        stages = RayStages(work, self.num_slots, self._gpus * STAGE_SHARE, self._cpus)
        bridge = _Bridge(work, board, stages, self.num_slots)
        scratch = tempfile.mkdtemp(prefix="orchestrator-tune-")
        try:
            trainable = tune.with_parameters(
                PackTrainable,
                board=board,
                task=work.task.name,
                checkpoints=work.checkpoints.uri,
                prunes=work.prunes,
                threads=self._cpus,
            )
            slot = {"cpu": self._cpus, "gpu": self._gpus * (1 - STAGE_SHARE)}
            tuner = tune.Tuner(
                tune.with_resources(trainable, slot),
                tune_config=tune.TuneConfig(num_samples=self.num_slots),
                run_config=tune.RunConfig(
                    name="sweep",
                    storage_path=scratch,
                    stop=_Halt(bridge.number),
                    callbacks=[_Callback(bridge.number)],
                    verbose=0,
                    failure_config=tune.FailureConfig(max_failures=-1),
                    checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
                ),
            )
            tuner.fit()
            if bridge.error is not None:
                raise bridge.error
        finally:
            del _Bridge.live[bridge.number]
            shutil.rmtree(scratch, ignore_errors=True)

    def close(self) -> None:
        """Leave the cluster, or stop this machine's Ray."""
        ray.shutdown()
