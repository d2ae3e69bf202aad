"""Packs on Ray Tune: one Tune trial is one pack in one warm, reused actor.

    driver   Searcher (hands out packs whose stages are ready), Callback (takes events in),
             stages as Ray tasks whose results the driver owns
    board    a small actor that passes packs to slots and stop requests to running packs, so that
             Tune's own config and checkpoints hold nothing but a pack's number
    slot     PackTrainable: advances a pack step by step

A stage never waits for a device that a slot holds: a slot leaves a tenth of its GPU to the stages,
and stages ask for no CPU (the driver limits how many run at once).
"""

from __future__ import annotations

import itertools
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Generator, Sequence
from typing import Any, ClassVar

# Before Ray is imported: its loggers, progress bars and signal handlers are not for our users.
os.environ.update(
    RAY_AIR_NEW_OUTPUT="0",
    TUNE_DISABLE_AUTO_CALLBACK_LOGGERS="1",
    TUNE_DISABLE_SIGINT_HANDLER="1",
    TUNE_PRINT_ALL_TRIAL_ERRORS="0",
    TUNE_GLOBAL_CHECKPOINT_S="1000000000",
    TUNE_MAX_PENDING_TRIALS_PG="1",
    TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S="0",
    RAY_TQDM="0",
    RAY_SCHEDULER_EVENTS="0",
)
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")

import ray
from ray import tune
from ray.tune.search import Searcher

from orchestrator.checkpoints import Checkpoints
from orchestrator.discovery import load_task
from orchestrator.engine import Event, Failure, Pack, Work, pick_device, run_pack
from orchestrator.stages import compute, needed_stages
from tasks.contract import RequestError, Stage, Trial
from tasks.memory import keep_freed_memory

STAGE_SHARE = 0.1  # of a GPU, kept free of slots so that stages can always run
MAX_LOST_WORKERS = 3  # times that a pack is tried again after its worker died


# --- on the workers -------------------------------------------------------------------------------


@ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)
class Board:
    """Passes packs to slots and stop requests to running packs."""

    def __init__(self) -> None:
        self._packs: dict[int, tuple[tuple[Trial, ...], dict[Stage, Any]]] = {}
        self._ended: set[str] = set()

    def put(self, pack: int, trials: tuple[Trial, ...], refs: dict[Stage, Any]) -> None:
        """Offer a pack, with references to its stages' values."""
        self._packs[pack] = (trials, refs)

    def take(self, pack: int) -> tuple[tuple[Trial, ...], dict[Stage, Any]]:
        """The pack's members that have not ended, and its references."""
        trials, refs = self._packs[pack]
        return tuple(t for t in trials if t.id not in self._ended), refs

    def end(self, trial_ids: Sequence[str]) -> None:
        """These members have ended, or are to stop."""
        self._ended.update(trial_ids)

    def ended(self) -> set[str]:
        """All members that ended or are to stop."""
        return self._ended

    def drop(self, pack: int) -> None:
        """The pack is over: let its stages' values go."""
        trials, _ = self._packs.pop(pack, ((), {}))
        self._ended.difference_update(t.id for t in trials)


@ray.remote(num_cpus=0, max_retries=3)  # type: ignore[untyped-decorator]
def _compute(stage: Stage, threads: int, *needs: Any) -> tuple[Any, float]:
    _settle(threads)
    began = time.perf_counter()
    value = compute(stage, needs, pick_device() if stage.on_device else "cpu")
    return value, time.perf_counter() - began


def _settle(threads: int) -> None:
    """What a worker's process is set to before it computes."""
    keep_freed_memory()
    try:
        import torch
    except ImportError:
        return
    torch.set_num_threads(threads)


class PackTrainable(tune.Trainable):  # type: ignore[misc]
    """A slot. ``step`` advances every member of its pack once."""

    def setup(
        self,
        config: dict[str, Any],
        board: Any = None,
        task: str = "",
        checkpoints: str = "",
        prunes: bool = False,
        threads: int = 1,
    ) -> None:
        """Warm the process up: the task, its device, its threads."""
        _settle(threads)
        self._board, self._prunes = board, prunes
        self._task, self._checkpoints = load_task(task), Checkpoints(checkpoints)
        self._device = pick_device()
        self._take(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take the next pack without a new process."""
        self._take(new_config)
        return True

    def _take(self, config: dict[str, Any]) -> None:
        trials, refs = ray.get(self._board.take.remote(config["pack"]))
        self._going = {t.id for t in trials}
        self._trials, self._refs = trials, refs
        self._steps: Generator[list[Event], set[str], None] | None = None

    def step(self) -> dict[str, Any]:
        """Advance the pack; the events travel as one value that the driver takes out."""
        try:
            if self._steps is None:
                values = ray.get(list(self._refs.values()))
                inputs = dict(zip(self._refs, values, strict=True))
                self._steps = run_pack(
                    self._task, self._trials, inputs, self._device, self._checkpoints
                )
                events = next(self._steps)
            else:
                stop = ray.get(self._board.ended.remote()) if self._prunes else set()
                events = self._steps.send(stop & self._going)
                self._going -= stop
        except StopIteration:
            return {"events": [], "done": True}
        for event in events:
            if isinstance(event.outcome, Failure) or event.outcome.step.done:
                self._going.discard(event.trial_id)
        return {"events": events, "done": not self._going}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Nothing: members are saved by ``run_pack``, each under its own id."""

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Nothing, for the same reason."""


# --- on the driver --------------------------------------------------------------------------------


class RayStages:
    """Each distinct stage as one Ray task; the driver owns the values."""

    def __init__(self, work: Work, num_slots: int, num_gpus: float, threads: int) -> None:
        self._work, self._limit, self._threads = work, num_slots, threads
        self._num_gpus = num_gpus
        self._refs: dict[str, Any] = {}
        self._running: dict[Any, tuple[Stage, Any]] = {}  # seconds' ref -> stage, value's ref
        self._waiting: dict[str, Stage] = {}
        self._failed: dict[str, Failure] = {}

    def want(self, stage: Stage) -> None:
        """Have the stage computed, and before it what it needs."""
        for need in stage.needs:
            self.want(need)
        known = (
            self._refs,
            self._waiting,
            self._failed,
            {s.key for s, _ in self._running.values()},
        )
        if not any(stage.key in where for where in known):
            self._waiting[stage.key] = stage

    def poll(self, timeout: float = 0.0) -> None:
        """Take in what is done, and submit what can start."""
        self._submit()
        if not self._running:
            return
        done, _ = ray.wait(list(self._running), timeout=timeout)
        for ref in done:
            stage, value = self._running.pop(ref)
            try:
                seconds = ray.get(ref)
            except Exception as error:
                self._failed[stage.key] = _ray_failure(error)
            else:
                self._refs[stage.key] = value
                self._work.stage_done(stage.label, stage.key, seconds)
        if done:
            self._submit()

    def _submit(self) -> None:
        for stage in list(self._waiting.values()):
            if len(self._running) >= self._limit:
                return
            broken = [self._failed[n.key] for n in stage.needs if n.key in self._failed]
            if broken:
                self._failed[stage.key] = broken[0]
                del self._waiting[stage.key]
            elif all(need.key in self._refs for need in stage.needs):
                del self._waiting[stage.key]
                needs = [self._refs[need.key] for need in stage.needs]
                gpus = self._num_gpus if stage.on_device else 0
                value, seconds = _compute.options(num_returns=2, num_gpus=gpus).remote(
                    stage, self._threads, *needs
                )
                self._running[seconds] = (stage, value)

    def failed(self, stages: Sequence[Stage]) -> Failure | None:
        """Why these cannot be had, if so."""
        return next((self._failed[s.key] for s in stages if s.key in self._failed), None)

    def refs(self, stages: Sequence[Stage]) -> dict[Stage, Any] | None:
        """References to the stages' values, once all are there."""
        if all(stage.key in self._refs for stage in stages):
            return {stage: self._refs[stage.key] for stage in stages}
        return None


def _ray_failure(error: BaseException) -> Failure:
    cause = getattr(error, "cause", None) or error
    first = (str(cause).strip().splitlines() or [type(cause).__name__])[0]
    name = "" if isinstance(cause, RequestError) else f"{type(cause).__name__}: "
    return Failure(reason=f"{name}{first}", log=str(error)[-4000:])


class _Bridge:
    """What the searcher and the callback share; Tune pickles both, so they hold its number."""

    _number = itertools.count()
    live: ClassVar[dict[int, _Bridge]] = {}

    def __init__(self, work: Work, board: Any, stages: RayStages, num_slots: int) -> None:
        self.work, self.board, self.stages, self.num_slots = work, board, stages, num_slots
        self.waiting: list[tuple[Pack, list[Stage]]] = []
        self.running: dict[str, Pack] = {}  # by Tune's trial id
        self.number = next(self._number)
        self.live[self.number] = self

    def suggest(self, tune_id: str) -> Any:
        """A pack whose stages are ready; None while there is none; FINISHED at the end."""
        while True:
            if self.work.should_halt():
                return Searcher.FINISHED
            if len(self.running) < self.num_slots:
                self._pull()
                self.stages.poll(0.0 if self.running or not self.waiting else 0.1)
                ready = self._ready()
                if ready is not None:
                    pack, refs = ready
                    self.running[tune_id] = pack
                    ray.get(self.board.put.remote(pack.id, pack.trials, refs))
                    return {"pack": pack.id}
            if not self.waiting and self.work.is_over():
                return Searcher.FINISHED
            if self.running or not self.waiting:
                return None  # Tune asks again after its next event

    def _pull(self) -> None:
        while len(self.waiting) < self.num_slots:
            pack = self.work.next_pack()
            if pack is None:
                return
            stages = needed_stages(self.work.task, pack.trials)
            for stage in stages:
                self.stages.want(stage)
            self.waiting.append((pack, stages))
            if self.work.prunes:
                return  # a search should know as much as it can before it asks again

    def _ready(self) -> tuple[Pack, dict[Stage, Any]] | None:
        for item in list(self.waiting):
            pack, stages = item
            error = self.stages.failed(stages)
            if error is not None:
                self.waiting.remove(item)
                self.work.fail_pack(pack, error)
                continue
            refs = self.stages.refs(stages)
            if refs is not None:
                self.waiting.remove(item)
                return pack, refs
        return None


class PackSearcher(Searcher):  # type: ignore[misc]
    """Tune's Searcher over the coordinator (and so over the Optuna study behind it)."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self._number = number

    def suggest(self, trial_id: str) -> Any:
        """The next pack's number."""
        return _Bridge.live[self._number].suggest(trial_id)

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """A pack is over, or broke for good: what is left of it failed."""
        bridge = _Bridge.live[self._number]
        pack = bridge.running.pop(trial_id, None)
        if pack is None:
            return
        bridge.board.drop.remote(pack.id)
        if error and not bridge.work.should_halt():
            reason = f"its worker died {MAX_LOST_WORKERS + 1} times (out of memory?)"
            bridge.work.fail_pack(pack, Failure(reason=reason, log=""))

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the truth is in Parquet."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing, for the same reason."""


class _Callback(tune.Callback):  # type: ignore[misc]
    def __init__(self, number: int) -> None:
        self._number = number

    def on_step_begin(self, iteration: int, trials: list[Any], **info: Any) -> None:
        _Bridge.live[self._number].stages.poll()

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        bridge = _Bridge.live[self._number]
        events = result.pop("events", [])  # before Tune keeps the result
        pack = bridge.running[trial.trial_id]
        stop = bridge.work.record(pack, events)
        over = {e.trial_id for e in events if isinstance(e.outcome, Failure) or e.outcome.step.done}
        if stop | over:
            ray.get(bridge.board.end.remote(sorted(stop | over)))


class _Halt(tune.Stopper):  # type: ignore[misc]
    def __init__(self, number: int) -> None:
        self._number = number

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return False

    def stop_all(self) -> bool:
        return _Bridge.live[self._number].work.should_halt()


def _share_of_cpus(cpus: int, num_slots: int) -> int:
    """CPUs of each of so many slots, all on one node each."""
    nodes = [int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"]]
    least = min((node for node in nodes if node), default=1)
    return max(1, min(cpus // num_slots, least))


def _hush() -> None:
    """Let Ray's own log lines go nowhere: what concerns a user is told by us."""
    logging.getLogger("ray").handlers[:] = [logging.NullHandler()]


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

    def start(self, max_packs: int | None) -> None:
        """Connect, or start Ray here; then ``num_slots`` is known."""
        options: dict[str, Any] = {"log_to_driver": False, "configure_logging": False}
        _hush()  # a live view shows what Python's logging writes to stderr
        try:
            if self._address:
                ray.init(address=self._address, **options)
            else:
                # "local": a stale address of an earlier cluster must not be joined.
                ray.init(address="local", include_dashboard=False, **options)
        except (ConnectionError, RuntimeError) as error:
            first = str(error).strip().splitlines()[0]
            where = f"the Ray cluster at {self._address}" if self._address else "Ray"
            raise RequestError(
                f"cannot reach {where}: {first}; see `ray status`, or use --engine local"
            ) from error
        _hush()
        have = ray.cluster_resources()
        gpus = have.get("GPU", 0.0)
        self._gpus = self._gpus_per_trial if gpus else 0.0
        cpus = int(have.get("CPU", 0))
        slots = cpus // (self._cpus_per_trial or 1)
        if self._gpus:
            slots = min(slots, int(gpus / self._gpus))
        if slots < 1:
            raise RequestError(
                f"no slot fits: a trial asks for {self._cpus_per_trial or 1} CPUs and "
                f"{self._gpus:g} GPUs, but the cluster has {cpus} and {gpus:g}; lower "
                f"--cpus-per-trial or --gpus-per-trial"
            )
        self.num_slots = slots if max_packs is None else max(1, min(slots, max_packs))
        self._cpus = self._cpus_per_trial or _share_of_cpus(cpus, self.num_slots)

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
                tune_config=tune.TuneConfig(
                    search_alg=PackSearcher(bridge.number), num_samples=-1, reuse_actors=True
                ),
                run_config=tune.RunConfig(
                    name="sweep",
                    storage_path=scratch,
                    stop=_Halt(bridge.number),
                    callbacks=[_Callback(bridge.number)],
                    verbose=0,
                    failure_config=tune.FailureConfig(max_failures=MAX_LOST_WORKERS),
                    checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
                ),
            )
            tuner.fit()
        finally:
            del _Bridge.live[bridge.number]
            shutil.rmtree(scratch, ignore_errors=True)

    def close(self) -> None:
        """Leave the cluster, or stop this machine's Ray."""
        ray.shutdown()
