"""The decorator ``task``, and ``shared``, which is used in signatures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from tasks.contract import RequestError

T = TypeVar("T")
Function = TypeVar("Function", bound=Callable[..., Any])

ATTRIBUTE = "__orchestrator_task__"  # of a decorated function


@dataclass(frozen=True, kw_only=True, slots=True)
class Declaration:
    """The parts of a task that a function's signature does not contain."""

    metric: str
    maximize: bool
    columns: tuple[str, ...] = ()
    steps: str | None = None


def task(
    *, metric: str, maximize: bool, columns: Sequence[str] = (), steps: str | None = None
) -> Callable[[Function], Function]:
    """Declare a function as a task. The function itself does not change and can still be called.

    Args:
        metric: the name of the main metric, by which configurations are compared.
        maximize: whether a higher value is better.
        columns: further metrics to show in tables. All metrics are stored.
        steps: the parameter that is the number of yields, such as ``"epochs"``. The live view then
            shows the progress of each trial.

    Examples:
        >>> @task(metric="accuracy", maximize=True, steps="epochs")
        ... def train(lr: float = 1e-3, epochs: int = 3, *, seed: int):
        ...     for epoch in range(epochs):
        ...         yield {"accuracy": 0.5 + lr * epoch}
    """
    if isinstance(columns, str):
        raise RequestError(f"columns must be a list of names, but is {columns!r}: write a list")
    declared = Declaration(metric=metric, maximize=maximize, columns=tuple(columns), steps=steps)

    def declare(function: Function) -> Function:
        setattr(function, ATTRIBUTE, declared)
        return function

    return declare


def declaration_of(
    function: Callable[..., Any],
    metric: str | None,
    maximize: bool | None,
    others: Sequence[str] = (),
) -> Declaration:
    """Return the declaration of a function. ``metric`` and ``maximize`` override it.

    ``others`` are further metrics.

    Raises:
        RequestError: if neither names the metric and its direction.
    """
    declared: Declaration | None = getattr(function, ATTRIBUTE, None)
    name = metric or (declared.metric if declared else None)
    direction = maximize
    if direction is None and declared is not None and declared.metric == name:
        direction = declared.maximize
    if name is None or direction is None:
        missing = "its metric" if name is None else f"whether to maximize {name}"
        raise RequestError(
            f"the function {function.__name__} does not declare {missing}: put "
            f'@orc.task(metric="{name or "accuracy"}", maximize=True) above it, or add '
            f"--metric {name or 'NAME'} with --maximize or --minimize "
            f'(in Python: metric="{name or "accuracy"}", maximize=True)'
        )
    columns = declared.columns if declared else ()
    if declared is not None and declared.metric != name:
        columns = (declared.metric, *columns)
    columns = (*columns, *others)
    return Declaration(
        metric=name,
        maximize=direction,
        columns=tuple(each for each in dict.fromkeys(columns) if each != name),
        steps=declared.steps if declared else None,
    )


@dataclass(frozen=True, slots=True)
class Shared:
    """The default of a parameter that receives the value of a shared stage."""

    function: Callable[..., Any]
    args: Mapping[str, Any]


def shared(function: Callable[..., T], /, **args: Any) -> T:
    """Share work between trials. Use it as the default of a parameter in a signature.

    The parameter receives the result of ``function(**args)``, which is computed once for all trials
    with the same arguments. Arguments of ``function`` that are not given here are taken from the
    parameters of the trial with the same name; ``seed`` and ``device`` are those of the trial. The
    function must be deterministic, and trials must not change its result. Dicts of numpy arrays and
    Arrow tables are kept on disk until the sweep is complete, so that a resumed sweep does not
    compute them again.

    Args:
        function: a function that was defined with ``def``.
        args: arguments of the function: plain values, or results of ``shared``.

    Examples:
        >>> def draw(split: str) -> dict[str, float]:
        ...     return {"mean": float(len(split))}
        >>> def train(lr: float = 0.1, *, data: dict[str, float] = shared(draw, split="train")):
        ...     return {"error": lr * data["mean"]}
    """
    return cast(T, Shared(function, args))
