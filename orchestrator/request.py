"""What a user asks for."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from orchestrator.execution.placement import Gpus
from orchestrator.planning.inline_space import InlineSpace
from orchestrator.planning.space_checks import shown
from orchestrator.planning.space_file import SpaceFile
from orchestrator.planning.suggestions import suggest
from orchestrator.planning.yaml_file import read_yaml
from orchestrator.saving.checkpoint_writer import DEFAULT_INTERVAL
from orchestrator.search.options import DEFAULT_NUM_TRIALS, DEFAULT_PRUNER, DEFAULT_SAMPLER
from tasks.contract import RequestError, Scalar, Task


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """A sweep as the command line, Python or a YAML file asks for it."""

    task: str | Task | Callable[..., Any]  # a name, FILE.py:FUNCTION, a task or a function
    space: str | InlineSpace | SpaceFile | None = (
        None  # the task's REPORT, or the only space it has
    )
    zipped: Sequence[Sequence[str]] = ()  # parameters whose lists vary together
    metric: str | None = None  # of a function, in place of the one that it declares
    maximize: bool | None = None  # whether a higher value of that metric is better
    trials: int = DEFAULT_NUM_TRIALS  # configurations of a search
    seeds: int | tuple[int, ...] = 1  # how many, from 0 on; or which
    sampler: str = DEFAULT_SAMPLER
    pruner: str = DEFAULT_PRUNER
    engine: str = "ray"
    address: str | None = None
    model: str | None = None
    data: str | None = None
    settings: Sequence[str] | Mapping[str, Scalar] = ()  # NAME=VALUE, or values by name
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
    call: str = ""  # the Python call that asks for it, for ``sweep.json``

    def to_dict(self) -> dict[str, Any]:
        """What differs from the defaults, by the names of the options, as a YAML file has it.

        Raises:
            RequestError: if the task or the space is a Python object, which no file can name.
        """
        found: dict[str, Any] = {}
        for each in dataclasses.fields(self):
            value = getattr(self, each.name)
            if each.name in _FIELDS and (each.name == "task" or value != each.default):
                if isinstance(value, Task) or callable(value):
                    raise RequestError(
                        f"the {each.name} of this request is the Python object {shown(value)}, "
                        "which no file can name; give its name or FILE.py:FUNCTION"
                    )
                found[OPTION_NAMES.get(each.name, each.name)] = (
                    list(value) if isinstance(value, tuple) else value
                )
        return found

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Request:
        """The request of values by the names of the options: ``{"task": "toy", "set": {...}}``.

        Raises:
            RequestError: if there is no such option, or its value is of another kind.
        """
        if not isinstance(values, Mapping) or "task" not in values:
            raise RequestError(f"a request must have a task, but is {shown(values)}")
        names = {OPTION_NAMES.get(field, field): field for field in _FIELDS}
        fields: dict[str, Any] = {}
        for name, value in values.items():
            if name not in names:
                raise RequestError(
                    f"a request has no {shown(name)}; {suggest(str(name), sorted(names))}"
                )
            check, words = _FIELDS[names[name]]
            if not check(value):
                raise RequestError(f"{name} of a request must be {words}, but is {shown(value)}")
            fields[names[name]] = value
        if isinstance(fields.get("seeds"), list):
            fields["seeds"] = tuple(fields["seeds"])
        of_search = ("trials", "sampler", "pruner")
        given: dict[str, object] = {name: fields[name] for name in of_search if name in fields}
        return cls(**fields, given=given)

    @classmethod
    def from_yaml(cls, path: str | os.PathLike[str]) -> Request:
        """The request in a YAML file, which maps the names of options to their values.

        Raises:
            RequestError: if it cannot be read, is no YAML, or is no request.
        """
        return cls.from_dict(read_yaml(path))


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_flag(value: object) -> bool:
    return isinstance(value, bool)


def _are_seeds(value: object) -> bool:
    return _is_count(value) or (isinstance(value, (list, tuple)) and all(map(_is_count, value)))


_Check = Callable[[Any], bool]
_TEXT: tuple[_Check, str] = (_is_text, "text")
_COUNT: tuple[_Check, str] = (_is_count, "an integer")
_SECONDS: tuple[_Check, str] = (_is_number, "a number of seconds")
_FLAG: tuple[_Check, str] = (_is_flag, "true or false")

#: Options with another name than their field.
OPTION_NAMES = {"settings": "set", "zipped": "zip", "deadline": "step_timeout"}

#: The fields that a file can have, with what their values must be.
_FIELDS: dict[str, tuple[_Check, str]] = {
    **dict.fromkeys(("task", "metric", "sampler", "pruner", "engine", "address"), _TEXT),
    **dict.fromkeys(("model", "data", "name", "out", "cache", "keep", "final"), _TEXT),
    **dict.fromkeys(("trials", "cpus_per_trial", "budget_trials"), _COUNT),
    **dict.fromkeys(("budget", "deadline", "checkpoint_interval"), _SECONDS),
    **dict.fromkeys(("maximize", "rerun", "retry_failed", "verbose", "all_rows"), _FLAG),
    "seeds": (_are_seeds, "a number, or a list of them"),
    "gpus_per_trial": (lambda v: v == "auto" or _is_number(v), "a number or auto"),
    "space": (lambda v: isinstance(v, (str, Mapping, list)), "a name, a file, or lists by name"),
    "settings": (lambda v: isinstance(v, (Mapping, list)), "values by name"),
    "zipped": (lambda v: isinstance(v, list), "lists of parameters"),
}
