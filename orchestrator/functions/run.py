"""One trial of a function, and the functions ``checkpoint`` and ``samples`` that it can call.

Each yield of the function is a step. The generator stays in the process that runs the trial.
Another process starts the function again, and ``checkpoint`` gives it the state of the last saved
yield.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from orchestrator.functions import saved_state
from orchestrator.planning.space_checks import shown
from tasks.contract import State, Step, TrialError

UNIT = "sample"  # the column of samples that names the unit
TOLERANCE = 1e-4  # between a metric and the mean of its samples, absolute or relative


@dataclass(kw_only=True, slots=True)
class LiveState(State):
    """The state of a function that runs in this process."""

    run: FunctionRun


@dataclass(kw_only=True)
class FunctionRun:
    """A call of the function in this process."""

    name: str
    call: Callable[[], Any]
    metric: str
    per_sample: tuple[str, ...]  # metrics that ``samples`` of their name are the parts of
    num_steps: int | None  # yields in all, if known
    saved: State  # the checkpoint to continue from; empty for a new trial
    at: int = 0  # yields so far, those of other processes included
    metrics: dict[str, float] = field(default_factory=dict)  # of the last yield
    samples: dict[str, list[Any]] = field(default_factory=dict)  # likewise
    new_samples: dict[str, list[Any]] | None = None  # for the next yield
    state: dict[str, Any] | None = None  # the dict that was passed to ``checkpoint``
    iterator: Iterator[Any] | None = None

    def __post_init__(self) -> None:
        values = self.saved.values
        self.at, self.metrics = values.get("yields", 0), dict(values.get("metrics", {}))
        self.samples = dict(values.get("samples", {}))

    def advance(self) -> Step:
        """Run the function up to its next yield, or to its end.

        Raises:
            TrialError: if the yielded or returned value cannot be recorded.
        """
        with _running(self):
            if self.iterator is None:
                result = self.call()
                if not isinstance(result, Iterator):
                    return self._end(result)
                self.iterator = result
            try:
                yielded = next(self.iterator)
            except StopIteration as end:
                return self._end(end.value)
            if yielded is None:
                raise TrialError(
                    f"{self.name} yielded None; yield its metrics: "
                    f'yield {{"{self.metric}": {self.metric}}}'
                )
            self.metrics, self.at = self._read(yielded), self.at + 1
            self.samples, self.new_samples = self.new_samples or {}, None
            if self.at == self.num_steps:
                return self._end_after_last()
        return self._step(done=False)

    def _end_after_last(self) -> Step:
        assert self.iterator is not None
        try:
            next(self.iterator)
        except StopIteration as end:
            return self._end(end.value)
        raise TrialError(
            f"{self.name} yields more often than the {self.num_steps} times that the parameter "
            "named by steps= says; fix the loop, or remove steps="
        )

    def _end(self, returned: Any) -> Step:
        """The last step: the last yield's metrics, and the returned ones."""
        if returned is not None:
            self.metrics = {**self.metrics, **self._read(returned)}
        if not self.metrics:
            raise TrialError(
                f"{self.name} neither yielded nor returned its metrics; "
                f'yield {{"{self.metric}": {self.metric}}}'
            )
        if self.metric not in self.metrics:
            raise TrialError(
                f"{self.name} did not report its metric {self.metric!r} at its end, but "
                f"{', '.join(self.metrics)}; yield it, or name one of these as the metric"
            )
        self.at = max(1, self.at)
        self.samples = self.samples if self.new_samples is None else self.new_samples
        return self._step(done=True)

    def _step(self, *, done: bool) -> Step:
        self._check_means()
        return Step(at=self.at, metrics=self.metrics, samples=self.samples or None, done=done)

    def _read(self, value: Any) -> dict[str, float]:
        """Metrics by name; a number by itself is the main metric."""
        found = value if isinstance(value, Mapping) else {self.metric: value}
        try:
            if any(isinstance(each, (str, bytes, bool)) for each in found.values()):
                raise TypeError
            return {str(name): _number(each) for name, each in found.items()}
        except (TypeError, ValueError, RuntimeError):  # RuntimeError: a tensor of several values
            raise TrialError(
                f"{self.name} must yield or return a dict of numbers or a number, but gave "
                f'{shown(value)}; write {{"{self.metric}": ...}}'
            ) from None

    def _check_means(self) -> None:
        """Intervals and tests are about the mean of the samples, so the metric must be that."""
        for name in self.per_sample:
            column = self.samples.get(name)
            if not column or name not in self.metrics:
                continue
            mean, value = sum(column) / len(column), self.metrics[name]
            if abs(mean - value) > TOLERANCE * max(1.0, abs(value)):
                raise TrialError(
                    f"the mean of the samples {name!r} is {mean:g}, but the metric is {value:g}; "
                    "give the samples whose mean it is, or another name to samples that are only "
                    "kept"
                )

    # --- the checkpoint ---------------------------------------------------------------------------

    def snapshot(self, *, done: bool) -> LiveState:
        """The state after a step, which a later step does not change."""
        if self.state is None:
            return LiveState(run=self, resumable=False)
        arrays, values = saved_state.save(self.state)
        if done:  # kept with the weights; no trial continues from it
            plain = {name: each for name, each in self.state.items() if _is_json([each])}
            return LiveState(run=self, arrays=arrays, values=plain)
        return LiveState(
            run=self,
            arrays=arrays,
            values={
                "state": values,
                "yields": self.at,
                "metrics": self.metrics,
                "samples": {n: column for n, column in self.samples.items() if _is_json(column)},
            },
        )

    def register(self, state: Any) -> None:
        """Save this state at every yield. If the trial was interrupted, fill the state first."""
        if not isinstance(state, dict) or not all(isinstance(key, str) for key in state):
            raise TrialError(
                f"orc.checkpoint takes a dict with text as keys, but got {shown(state)}; write "
                'state = orc.checkpoint({"epoch": 0, ...})'
            )
        if self.state is not None:
            raise TrialError(
                "orc.checkpoint is called twice; call it once, before the first yield, and change "
                "the dict that it returns"
            )
        if self.at > self.saved.values.get("yields", 0):
            raise TrialError("orc.checkpoint is called after a yield; call it before the first")
        if self.saved.values:
            saved_state.restore(state, self.saved.arrays, self.saved.values["state"])
        self.state = state

    def add_samples(self, columns: Mapping[str, Any]) -> None:
        """Keep these samples with the next yield, in place of earlier ones."""
        plain = {name: _plain_column(column) for name, column in columns.items()}
        for name in self.per_sample:
            if name in plain:
                plain[name] = _numbers(name, plain[name])
        lengths = {name: len(column) for name, column in plain.items()}
        if len(set(lengths.values())) > 1:
            raise TrialError(f"columns of orc.samples must have equal lengths, but have {lengths}")
        if plain:
            plain.setdefault(UNIT, list(range(next(iter(lengths.values())))))
        self.new_samples = plain


def _number(value: Any) -> float:
    """A number as it is; of a tensor in a graph, such as a loss, its value."""
    return float(value.detach() if hasattr(value, "detach") else value)


def _plain_column(column: Any) -> list[Any]:
    plain = column.tolist() if hasattr(column, "tolist") else column
    return list(plain) if isinstance(plain, (list, tuple)) else [plain]


def _numbers(name: str, column: list[Any]) -> list[float]:
    try:
        return [float(value) for value in column]
    except (TypeError, ValueError):
        raise TrialError(
            f"the samples {name!r} are the parts of the metric of this name, so they must be "
            f"numbers, but are {shown(column)}; give them another name"
        ) from None


def _is_json(column: list[Any]) -> bool:
    return all(value is None or isinstance(value, (str, int, float)) for value in column)


# --- called within a function ---------------------------------------------------------------------

_current: ContextVar[FunctionRun | None] = ContextVar("function_run", default=None)


@contextmanager
def _running(run: FunctionRun) -> Iterator[None]:
    token = _current.set(run)
    try:
        yield
    finally:
        _current.reset(token)


def checkpoint(state: dict[str, Any]) -> dict[str, Any]:
    """Make a trial resumable: after an interruption it continues from its last saved yield.

    Call it once, before the first yield. The content of ``state`` is saved at each yield. In a
    trial that was interrupted, ``state`` is filled with the saved content. Outside of a sweep, this
    function does nothing.

    Args:
        state: a dict of numbers, text, lists, dicts, numpy arrays, torch tensors, and objects with
            ``state_dict`` and ``load_state_dict`` (modules, optimizers), which load their saved
            state. Change this dict as the trial advances.

    Returns:
        The same dict.

    Raises:
        TrialError: if it contains anything else; the trial then fails with this reason.

    Examples:
        >>> def train(epochs: int = 3, *, seed: int):
        ...     state = checkpoint({"epoch": 0, "total": 0.0})
        ...     while state["epoch"] < epochs:
        ...         state["epoch"] += 1
        ...         state["total"] += 1.0
        ...         yield {"total": state["total"]}
    """
    run = _current.get()
    if run is not None:
        run.register(state)
    return state


def samples(columns: Mapping[str, Any] | None = None, /, **named: Any) -> None:
    """Attach values per sample to the next yield, or to the last one if no yield follows.

    The mean of a column that has the name of a metric must be that metric. The table then has
    intervals over samples, and configurations are compared sample by sample. Every trial must give
    its samples in the same order, or name them in a column ``sample``. Only the samples of a
    trial's last step are kept. Outside of a sweep, this function does nothing.

    Args:
        columns: lists, arrays or tensors [N] by name.
        named: the same, such as ``accuracy=correct, text=captions``.

    Raises:
        TrialError: if the lengths differ; the trial then fails with this reason.
    """
    run = _current.get()
    if run is not None:
        run.add_samples({**(columns or {}), **named})
