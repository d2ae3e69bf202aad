"""What a user asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from orchestrator.execution.placement import Gpus
from orchestrator.saving.checkpoint_writer import DEFAULT_INTERVAL
from orchestrator.search.options import DEFAULT_NUM_TRIALS, DEFAULT_PRUNER, DEFAULT_SAMPLER


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """A sweep as the command line asks for it."""

    task: str
    space: str | None = None  # the task's REPORT, or the only space it has
    trials: int = DEFAULT_NUM_TRIALS  # configurations of a search
    seeds: int | tuple[int, ...] = 1  # how many, from 0 on; or which
    sampler: str = DEFAULT_SAMPLER
    pruner: str = DEFAULT_PRUNER
    engine: str = "ray"
    address: str | None = None
    model: str | None = None
    data: str | None = None
    settings: Sequence[str] = ()
    cpus_per_trial: int | None = None  # as many as the machine has for each slot
    gpus_per_trial: Gpus = 1.0
    name: str | None = None
    out: str = "runs"
    cache: str | None = None  # where stages' values outlive the sweep
    budget: float | None = None  # seconds
    budget_trials: int | None = None  # trials that this run may start
    deadline: float | None = None  # seconds that a step or a shared stage may take
    checkpoint_interval: float = DEFAULT_INTERVAL  # seconds between two checkpoints of a trial
    final: str | None = None  # the split to score the best rows on, once
    rerun: bool = False
    retry_failed: bool = False
    dry_run: bool = False
    verbose: bool = False  # whether the terminal shows what otherwise only the log has
    keep: str | None = None  # whose weights: best, none, all, or a number of configurations
    all_rows: bool = False  # of a grid or a search in the table, not only the best
    given: Mapping[str, object] = field(default_factory=dict)  # options of a search that were given
