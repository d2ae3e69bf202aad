"""Runs one trial of a function, and defines ``checkpoint`` and ``samples``, which it can call.

Each yield of the function is a step. The generator stays in the process that runs the trial. If
another process resumes the trial, it calls the function again, and ``checkpoint`` restores the
state of the last saved yield.
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

UNIT = "sample"  # the column that identifies the samples
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
    per_sample: tuple[str, ...]  # metrics that must be the mean of the samples of their name
    num_steps: int | None  # total number of yields, if known
    saved: State  # the checkpoint to resume from; empty for a new trial
    at: int = 0  # yields so far, including those in other processes
    metrics: dict[str, float] = field(default_factory=dict)  # of the last yield
    samples: dict[str, list[Any]] = field(default_factory=dict)  # of the last yield
    new_samples: dict[str, list[Any]] | None = None  # for the next yield
    state: dict[str, Any] | None = None  # the dict that was passed to ``checkpoint``
    iterator: Iterator[Any] | None = None

    def __post_init__(self) -> None:
        values = self.saved.values
        self.at, self.metrics = values.get("yields", 0), dict(values.get("metrics", {}))
        self.samples = dict(values.get("samples", {}))

    def advance(self) -> Step:
        """Run the function until it yields or returns.

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
            f"{self.name} yields more than {self.num_steps} times, which is the value of the "
            "parameter that steps= names; fix the loop, or remove steps="
        )

    def _end(self, returned: Any) -> Step:
        """Return the last step, with the metrics of the last yield and the returned ones."""
        if returned is not None:
            self.metrics = {**self.metrics, **self._read(returned)}
        if not self.metrics:
            raise TrialError(
                f"{self.name} neither yielded nor returned metrics; "
                f'yield {{"{self.metric}": {self.metric}}}'
            )
        if self.metric not in self.metrics:
            raise TrialError(
                f"the last step of {self.name} has no metric {self.metric!r}, only "
                f"{', '.join(self.metrics)}; yield it, or declare one of these as the metric"
            )
        self.at = max(1, self.at)
        self.samples = self.samples if self.new_samples is None else self.new_samples
        return self._step(done=True)

    def _step(self, *, done: bool) -> Step:
        self._check_means()
        return Step(at=self.at, metrics=self.metrics, samples=self.samples or None, done=done)

    def _read(self, value: Any) -> dict[str, float]:
        """Return metrics by name. A single number is the main metric."""
        found = value if isinstance(value, Mapping) else {self.metric: value}
        try:
            if any(isinstance(each, (str, bytes, bool)) for each in found.values()):
                raise TypeError
            return {str(name): _number(each) for name, each in found.items()}
        except (TypeError, ValueError, RuntimeError):  # RuntimeError: a tensor of several values
            raise TrialError(
                f"{self.name} must yield or return a number or a dict of numbers, but got "
                f'{shown(value)}; write {{"{self.metric}": ...}}'
            ) from None

    def _check_means(self) -> None:
        """Check that each metric is the mean of its samples, as intervals and tests assume."""
        for name in self.per_sample:
            column = self.samples.get(name)
            if not column or name not in self.metrics:
                continue
            mean, value = sum(column) / len(column), self.metrics[name]
            if abs(mean - value) > TOLERANCE * max(1.0, abs(value)):
                raise TrialError(
                    f"the mean of the samples {name!r} is {mean:g}, but the metric is {value:g}; "
                    "pass the samples that the metric is the mean of, or give them another name"
                )

    # --- the checkpoint ---------------------------------------------------------------------------

    def snapshot(self, *, done: bool) -> LiveState:
        """Return a copy of the state after a step."""
        if self.state is None:
            return LiveState(run=self, resumable=False)
        arrays, values = saved_state.save(self.state)
        if done:  # only kept as weights; no trial resumes from it
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
        """Save this state at every yield from now on. Restore it first in a resumed trial."""
        if not isinstance(state, dict) or not all(isinstance(key, str) for key in state):
            raise TrialError(
                f"orc.checkpoint takes a dict with strings as keys, but got {shown(state)}; write "
                'state = orc.checkpoint({"epoch": 0, ...})'
            )
        if self.state is not None:
            raise TrialError(
                "orc.checkpoint was called twice; call it once, before the first yield, and modify "
                "the dict that it returns"
            )
        if self.at > self.saved.values.get("yields", 0):
            raise TrialError(
                "orc.checkpoint was called after a yield; call it before the first yield"
            )
        if self.saved.values:
            saved_state.restore(state, self.saved.arrays, self.saved.values["state"])
        self.state = state

    def add_samples(self, columns: Mapping[str, Any]) -> None:
        """Set the samples of the next yield."""
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
    """Convert to a float. A tensor that requires a gradient, such as a loss, is detached."""
    return float(value.detach() if hasattr(value, "detach") else value)


def _plain_column(column: Any) -> list[Any]:
    plain = column.tolist() if hasattr(column, "tolist") else column
    return list(plain) if isinstance(plain, (list, tuple)) else [plain]


def _numbers(name: str, column: list[Any]) -> list[float]:
    try:
        return [float(value) for value in column]
    except (TypeError, ValueError):
        raise TrialError(
            f"the samples {name!r} have the name of a metric, so they must be numbers, but are "
            f"{shown(column)}; give them another name"
        ) from None


def _is_json(column: list[Any]) -> bool:
    return all(value is None or isinstance(value, (str, int, float)) for value in column)


# --- functions for users --------------------------------------------------------------------------

_current: ContextVar[FunctionRun | None] = ContextVar("function_run", default=None)


@contextmanager
def _running(run: FunctionRun) -> Iterator[None]:
    token = _current.set(run)
    try:
        yield
    finally:
        _current.reset(token)


def checkpoint(state: dict[str, Any]) -> dict[str, Any]:
    """Make a trial resumable: after an interruption, it continues from its last saved yield.

    Call it once, before the first yield. ``state`` is saved at each yield. If the trial was
    interrupted, ``checkpoint`` restores the saved content into ``state``. Outside of a sweep, this
    function does nothing.

    Args:
        state: a dict of numbers, strings, lists, dicts, numpy arrays, torch tensors, and objects
            with ``state_dict`` and ``load_state_dict`` (modules, optimizers). Modify this dict
            while the trial runs.

    Returns:
        The same dict.

    Raises:
        TrialError: if it contains a value of another type. The trial then fails with this reason.

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
    """Record values per sample for the next yield, or for the last one if no yield follows.

    If a column has the name of a metric, its mean must be that metric. The table then has intervals
    over samples, and configurations are compared sample by sample. Every trial must pass its
    samples in the same order, or identify them in a column ``sample``. Only the samples of the last
    step are stored. Outside of a sweep, this function does nothing.

    Args:
        columns: lists, arrays or tensors [N] by name.
        named: the same as keyword arguments, such as ``accuracy=correct, text=captions``.

    Raises:
        TrialError: if the lengths differ. The trial then fails with this reason.
    """
    run = _current.get()
    if run is not None:
        run.add_samples({**(columns or {}), **named})
