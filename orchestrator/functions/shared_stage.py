"""Makes the stages of a trial from ``orc.shared`` in a signature."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.functions.declaration import Shared
from orchestrator.functions.portable import PortableFunction
from orchestrator.planning.space_checks import shown
from orchestrator.planning.suggestions import suggest
from tasks.contract import RequestError, Stage, Trial, content_id


@dataclass(frozen=True, kw_only=True)
class SharedStage:
    """A shared stage without the arguments that depend on the trial."""

    function: PortableFunction
    args: Mapping[str, Any]  # the same for every trial
    from_trial: tuple[str, ...]  # arguments that are parameters of the trial, or its seed
    needs: tuple[SharedStage, ...]
    on_device: bool

    def stage(self, trial: Trial) -> Stage:
        """Return the stage of a trial."""
        taken = {
            name: trial.seed if name == "seed" else getattr(trial.params, name)
            for name in self.from_trial
        }
        return Stage(
            function=self.function,
            args={**self.args, **taken},
            needs=tuple(need.stage(trial) for need in self.needs),
            on_device=self.on_device,
            version=self.function.version,
        )


def read_shared(shared: Shared, params: Collection[str]) -> SharedStage:
    """Check a shared stage, and find the source of each of its arguments.

    Args:
        shared: the default of a parameter.
        params: the names of the trial's parameters.

    Raises:
        RequestError: if it has no plain function, or an argument is missing, unknown or not a plain
            value.
    """
    function = shared.function
    if not inspect.isfunction(function) or function.__name__ == "<lambda>":
        raise RequestError(
            f"orc.shared takes a function that was defined with def, but got {shown(function)}"
        )
    parameters = inspect.signature(function).parameters
    for name in shared.args:
        if name not in parameters:
            raise RequestError(
                f"{function.__name__}, which orc.shared calls, has no parameter {name!r}; "
                + suggest(name, list(parameters))
            )
    given = {
        name: shared.args.get(name, parameter.default) for name, parameter in parameters.items()
    }
    nested = {name: each for name, each in given.items() if isinstance(each, Shared)}
    args = {name: each for name, each in shared.args.items() if name not in nested}
    rest = [name for name in parameters if name not in nested and name not in args]
    from_trial = tuple(name for name in rest if name in params or name == "seed")
    for name in rest:
        if given[name] is inspect.Parameter.empty and name not in (*from_trial, "device"):
            raise RequestError(
                f"orc.shared({function.__name__}) lacks the argument {name!r}; write "
                f"orc.shared({function.__name__}, {name}=...), or add a parameter {name} to the "
                "task's function"
            )
    try:
        content_id(args)
    except (TypeError, ValueError):
        raise RequestError(
            f"arguments of orc.shared must be plain values, but those of {function.__name__} are "
            f"{shown(args)}; use numbers, strings and orc.shared(...)"
        ) from None
    return SharedStage(
        function=PortableFunction.of(function, tuple(nested)),
        args=args,
        from_trial=from_trial,
        needs=tuple(read_shared(each, params) for each in nested.values()),
        on_device="device" in rest,
    )
