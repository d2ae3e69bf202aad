"""``FunctionTask``: a plain function as a task."""

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
    """Runs a function as a trial; each of its yields is a step."""

    def __init__(
        self,
        function: PortableFunction,
        declaration: Declaration,
        shared: Mapping[str, SharedStage],
    ) -> None:
        """Use ``function_task``, which checks these."""
        signature = read_signature(function.function)
        self._function, self._declaration, self._shared = function, declaration, shared
        self._special = signature.special
        metrics = (declaration.metric, *declaration.columns)
        # ``Task`` declares these of a class; here each function has its own.
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
        """Pickle as a call of the constructor: the class of its parameters exists in no module."""
        return FunctionTask, (self._function, self._declaration, self._shared)

    @property
    def function(self) -> Callable[..., Any]:
        """The function itself."""
        return self._function.function

    @property
    def reference(self) -> str:
        """``train.py:train``, or the name alone without a file; nothing is loaded by it."""
        file = module_file(self.function)
        return self.name if file is None else f"{file.name}:{self.name}"

    def module(self) -> types.ModuleType:
        """The module of the function, which may offer search spaces; empty without a file."""
        if module_file(self.function) is None:
            return types.ModuleType(self.name)
        return sys.modules[self.function.__module__]

    def normalize(self, trial: Trial) -> Trial:
        """The trial as it is; without a parameter ``seed``, several seeds make no sense."""
        if "seed" not in self._special and trial.seed != 0:
            raise RequestError(
                f"{self.name} has no parameter seed, so it cannot run with seed {trial.seed}; add "
                f"one, `def {self.name}(..., *, seed: int)`, or use one seed"
            )
        return trial

    def stages(self, trial: Trial) -> Sequence[Stage]:
        """The shared stages in the defaults of the signature."""
        return [shared.stage(trial) for shared in self._shared.values()]

    def num_steps(self, trial: Trial) -> int | None:
        """The value of the parameter that ``steps`` names."""
        name = self._declaration.steps
        return None if name is None else int(getattr(trial.params, name))

    def step(self, trial: Trial, state: State, inputs: Inputs, device: str) -> tuple[State, Step]:
        """Run the function to its next yield; start it if it does not run in this process."""
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
    """A function as a task.

    Raises:
        RequestError: if it is no plain function, its signature has a parameter that no search space
            can vary, or a task has its name.
    """
    check_function(function)
    signature = read_signature(function)
    fields = list(signature.params.__dataclass_fields__)
    if function.__name__ in task_names():
        raise RequestError(
            f"a task is named {function.__name__!r} already; give the function another name"
        )
    if declaration.steps is not None and declaration.steps not in fields:
        raise RequestError(
            f"steps={declaration.steps!r} of {function.__name__} is no parameter of it; "
            + suggest(declaration.steps, fields)
        )
    shared = {name: read_shared(each, fields) for name, each in signature.shared.items()}
    return FunctionTask(PortableFunction.of(function), declaration, shared)


def check_function(function: object) -> None:
    """Refuse anything but a plain function that can be a task.

    Raises:
        RequestError: if it is something else.
    """
    fix = "give a function that was defined with def"
    if not inspect.isfunction(function):
        raise RequestError(f"a task must be a name or a function, but is {shown(function)}; {fix}")
    if function.__name__ == "<lambda>":
        raise RequestError(f"a lambda has no name to call its sweep by; {fix}")
    if function.__name__.startswith("_") or not function.__name__.isascii():
        raise RequestError(
            f"{function.__name__} is the name of a folder of results; start it with a letter, and "
            "use ASCII letters, digits and _"
        )
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise RequestError(f"{function.__name__} is async, and a trial is not; remove async")
