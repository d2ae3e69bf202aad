"""``FunctionTask``: a task that runs a plain function."""

from __future__ import annotations

import inspect
import sys
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from orchestrator.functions.declaration import Declaration
from orchestrator.functions.portable import PortableFunction
from orchestrator.functions.run import UNIT, FunctionRun, LiveState
from orchestrator.functions.shared_stage import SharedStage, read_shared
from orchestrator.functions.signature import read_signature
from orchestrator.functions.source import module_file
from orchestrator.planning.discovery import task_names
from orchestrator.planning.space_checks import shown
from orchestrator.planning.suggestions import suggest
from tasks.contract import (
    Column,
    Inputs,
    Metric,
    PerSampleMetric,
    RequestError,
    Stage,
    State,
    Step,
    Task,
    Trial,
)


class FunctionTask(Task):
    """A task that runs a function as a trial. Each yield of the function is a step."""

    def __init__(
        self,
        function: PortableFunction,
        declaration: Declaration,
        shared: Mapping[str, SharedStage],
    ) -> None:
        """Use ``function_task``, which checks the arguments."""
        signature = read_signature(function.function)
        self._function, self._declaration, self._shared = function, declaration, shared
        self._special = signature.special
        metrics = (declaration.metric, *declaration.columns)
        # These are class attributes of ``Task``, but here they differ by function.
        vars(self).update(
            name=function.__name__,
            version=function.version,
            Params=signature.params,
            metric=Metric(
                name=declaration.metric,
                label=declaration.metric,
                direction="maximize" if declaration.maximize else "minimize",
            ),
            columns=(
                *(
                    Column(key=f"param.{name}", label=name)
                    for name in signature.params.__dataclass_fields__
                ),
                *(Column(key=f"metric.{name}", label=name, format="number") for name in metrics),
            ),
            per_sample=tuple(
                PerSampleMetric(metric=name, unit=UNIT, value=name) for name in metrics
            ),
            step_unit=(declaration.steps or "step").removesuffix("s"),
        )

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as a call of the constructor: pickle cannot find ``Params`` in a module."""
        return FunctionTask, (self._function, self._declaration, self._shared)

    @property
    def function(self) -> Callable[..., Any]:
        """The user's function."""
        return self._function.function

    @property
    def reference(self) -> str:
        """``train.py:train``, or the name if there is no file. For display only."""
        file = module_file(self.function)
        return self.name if file is None else f"{file.name}:{self.name}"

    def module(self) -> types.ModuleType:
        """Return the module of the function, which may define search spaces.

        If the function has no file, the module is empty.
        """
        if module_file(self.function) is None:
            return types.ModuleType(self.name)
        return sys.modules[self.function.__module__]

    def normalize(self, trial: Trial) -> Trial:
        """Return the trial unchanged. Without a parameter ``seed``, the only seed is 0."""
        if "seed" not in self._special and trial.seed != 0:
            raise RequestError(
                f"{self.name} has no parameter seed, so it cannot run with seed {trial.seed}; add "
                f"one, `def {self.name}(..., *, seed: int)`, or use one seed"
            )
        return trial

    def stages(self, trial: Trial) -> Sequence[Stage]:
        """Return the shared stages of the signature."""
        return [shared.stage(trial) for shared in self._shared.values()]

    def num_steps(self, trial: Trial) -> int | None:
        """Return the value of the parameter that ``steps`` names."""
        name = self._declaration.steps
        return None if name is None else int(getattr(trial.params, name))

    def step(self, trial: Trial, state: State, inputs: Inputs, device: str) -> tuple[State, Step]:
        """Run the function until it yields or returns. Call it if it does not run here yet."""
        run = state.run if isinstance(state, LiveState) else None
        run = run or self._start_function(trial, state, inputs, device)
        step = run.advance()
        return run.snapshot(done=step.done), step

    def _start_function(
        self, trial: Trial, saved: State, inputs: Inputs, device: str
    ) -> FunctionRun:
        special = {"seed": trial.seed, "device": device}
        arguments = {
            **trial.param_values(),
            **{name: special[name] for name in self._special},
            **{name: inputs[shared.stage(trial)] for name, shared in self._shared.items()},
        }
        return FunctionRun(
            name=self.name,
            call=lambda: self._function(**arguments),
            metric=self.metric.name,
            per_sample=tuple(each.metric for each in self.per_sample),
            num_steps=self.num_steps(trial),
            saved=saved,
        )


def function_task(function: Callable[..., Any], declaration: Declaration) -> FunctionTask:
    """Make a task from a function.

    Raises:
        RequestError: if it is not a plain function, a parameter cannot be in a search space, or a
            task has the same name.
    """
    check_function(function)
    signature = read_signature(function)
    fields = list(signature.params.__dataclass_fields__)
    if function.__name__ in task_names():
        raise RequestError(
            f"a task already has the name {function.__name__!r}; rename the function"
        )
    if declaration.steps is not None and declaration.steps not in fields:
        raise RequestError(
            f"steps={declaration.steps!r} is not a parameter of {function.__name__}; "
            + suggest(declaration.steps, fields)
        )
    shared = {name: read_shared(each, fields) for name, each in signature.shared.items()}
    return FunctionTask(PortableFunction.of(function), declaration, shared)


def check_function(function: object) -> None:
    """Check that an object is a plain function that can be a task.

    Raises:
        RequestError: if it is not.
    """
    fix = "pass a function that was defined with def"
    if not inspect.isfunction(function):
        raise RequestError(f"a task must be a name or a function, but is {shown(function)}; {fix}")
    if function.__name__ == "<lambda>":
        raise RequestError(f"a lambda has no name, which a task needs; {fix}")
    if function.__name__.startswith("_") or not function.__name__.isascii():
        raise RequestError(
            f"{function.__name__} cannot be the name of a task, because results are stored in a "
            "folder of that name; start it with a letter, and use ASCII letters, digits and _"
        )
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise RequestError(
            f"{function.__name__} is async, but trials run synchronously; remove async"
        )
