"""A task that does nothing: what is left is what the orchestrator costs."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from tasks.contract import (
    Advanced,
    Column,
    Inputs,
    Member,
    Metric,
    Source,
    Stage,
    State,
    Step,
    Trial,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Params:
    """Numbers that tell trials apart."""

    x: int = 0
    """Of a grid."""
    a: float = 0.0
    """Of a search."""
    b: float = 0.0
    """Of a search."""
    c: float = 0.0
    """Of a search."""


class NoopTask:
    """One step, one number."""

    name = "noop"
    version = "1"
    Params = Params
    metric = Metric(name="value", label="value", direction="maximize")
    columns = (
        Column(key="param.x", label="x", format="integer"),
        Column(key="metric.value", label="value", format="number"),
    )
    paired = ()
    default_model = "none"
    default_data = "none"

    def resolve(self, model: str, data: str) -> tuple[Source, Source]:
        """Nothing to load."""
        return Source(name="none", fingerprint="1"), Source(name="none", fingerprint="1")

    def check(self, trial: Trial) -> Trial:
        """Anything goes."""
        return trial

    def stages(self, trial: Trial) -> Sequence[Stage]:
        """None."""
        return []

    def pack_key(self, trial: Trial) -> Hashable:
        """All together."""
        return ()

    def num_bytes(self, trial: Trial) -> int:
        """Nothing."""
        return 0

    def start(self, trial: Trial, inputs: Inputs, device: str) -> State:
        """Nothing."""
        return State()

    def advance(
        self, pack: Sequence[Member], inputs: Inputs, device: str
    ) -> Sequence[Advanced | Exception]:
        """Done at once."""
        return [(m.state, Step(at=1, metrics={"value": m.trial.params.a}, done=True)) for m in pack]


TASK = NoopTask()
