"""Checks the names and signatures of a task's attributes and methods."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Iterator, Mapping

from orchestrator.planning.space_checks import shown
from tasks.contract import Task

#: The methods of a task, each with the names of its arguments.
METHODS: Mapping[str, tuple[str, ...]] = {
    name: tuple(inspect.signature(member).parameters)[1:]
    for name, member in vars(Task).items()
    if inspect.isfunction(member) and not name.startswith("_")
}
KNOWN = {*Task.__annotations__, *METHODS}
RENAMED = {  # names in version 0.1
    "check": "normalize",
    "num_bytes": "estimate_memory",
    "paired": "per_sample",
    "front": "pareto_front",
}
_REQUIRED = {
    "name": 'add name = "..." with the name of its entry point',
    "Params": "add Params = Params, a frozen dataclass with keyword-only fields",
    "metric": 'add metric = Metric(name="...", label="...", direction="minimize")',
    "columns": "add columns = (Column(...), ...)",
}
_CUTOFF = 0.85  # of difflib: accepts "stage" for "stages", but not "state" for "start"


def overrides(task: Task, method: str) -> bool:
    """Return whether the task's class overrides a method of ``Task``."""
    return getattr(type(task), method) is not getattr(Task, method)


def misnamed(task: object) -> list[str]:
    """Return problems for public names that resemble a member of ``Task``, or were one."""
    own = _own_names(task)
    unset = KNOWN - own
    if own & {"step", "advance"}:
        unset -= {"step", "advance"}  # a task has one of the two
    found = []
    for name in sorted(own - KNOWN):
        near = difflib.get_close_matches(name, sorted(unset), n=1, cutoff=_CUTOFF)
        if RENAMED.get(name) in unset:
            found.append(f"its {name} is now named {RENAMED[name]}; rename it (see CHANGELOG.md)")
        elif near:
            found.append(
                f"{name!r} is not a member of Task; did you mean {near[0]!r}? rename it, or start "
                "its name with _ if you added it on purpose"
            )
    return found


def _own_names(task: object) -> set[str]:
    """Return the public names that the task's own classes and its instance define."""
    kinds = [kind for kind in type(task).__mro__ if kind not in (Task, object)]
    names = {name for kind in kinds for name in vars(kind)} | set(getattr(task, "__dict__", ()))
    return {name for name in names if not name.startswith("_")}


def missing(task: Task) -> list[str]:
    """Return the required members that the task lacks, each with its fix."""
    found = [
        f"it has no {what}; {fix}" for what, fix in _REQUIRED.items() if not hasattr(task, what)
    ]
    if not overrides(task, "step") and not overrides(task, "advance"):
        arguments = ", ".join(("self", *METHODS["step"]))
        found.append(f"it has no method step; add `def step({arguments})`")
    return found


def uncallable(task: Task) -> Iterator[str]:
    """Yield the methods that cannot be called as the orchestrator calls them."""
    for method, arguments in METHODS.items():
        function: object = getattr(task, method)
        if method == "weights" and function is None:
            yield "its weights is None; set has_weights = False for a task without weights"
        else:
            yield from _signature_problems(function, method, arguments)


def _signature_problems(function: object, name: str, arguments: tuple[str, ...]) -> list[str]:
    wanted = f"`def {name}({', '.join(('self', *arguments))})`"
    if not callable(function):
        return [f"its {name} must be a method, {wanted}, but is {shown(function)}"]
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # compiled code has no signature
        return []
    try:
        signature.bind(*arguments)
    except TypeError:
        return [f"its method {name} takes {signature}, but must accept {wanted}"]
    return []
