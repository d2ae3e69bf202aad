"""``Request``: the options of one sweep."""

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
    """The options of one sweep, before anything is checked."""

    task: str | Task | Callable[..., Any]  # a name, FILE.py:FUNCTION, a task or a function
    space: str | InlineSpace | SpaceFile | None = None  # None: the task's REPORT, or its only space
    zipped: Sequence[Sequence[str]] = ()  # parameters whose lists vary together
    #: Of a function: its metric, None for the one that it declares. Several: those that a search
    #: optimizes together, as NAME, NAME:maximize or NAME:minimize.
    metric: str | Sequence[str] | None = None
    maximize: bool | None = None  # whether a higher value of a function's metric is better
    trials: int = DEFAULT_NUM_TRIALS  # number of configurations of a search
    seeds: int | tuple[int, ...] = 1  # number of seeds, starting at 0, or the seeds themselves
    sampler: str = DEFAULT_SAMPLER
    pruner: str = DEFAULT_PRUNER
    learn_from: tuple[str, ...] = ()  # earlier sweeps that the sampler of a search learns from
    engine: str = "ray"
    address: str | None = None
    model: str | None = None
    data: str | None = None
    settings: Sequence[str] | Mapping[str, Scalar] = ()  # NAME=VALUE texts, or values by name
    cpus_per_trial: int | None = None  # None: split evenly between the workers
    gpus_per_trial: Gpus = 1.0
    name: str | None = None
    out: str = "runs"
    cache: str | None = None  # folder or URI that keeps stage values for later sweeps
    budget: float | None = None  # seconds
    budget_trials: int | None = None  # most trials that this run may start
    step_timeout: float | None = None  # seconds for one step or shared stage
    checkpoint_interval: float = DEFAULT_INTERVAL  # seconds between two checkpoints of a trial
    notify: str | None = None  # URL of a webhook; it may be a secret, so no result records it
    track: tuple[str, ...] = ()  # experiment trackers that get each trial as a run
    final: str | None = None  # split on which to score the best rows, once
    rerun: bool = False
    retry_failed: bool = False
    retry_cancelled: bool = False
    dry_run: bool = False
    verbose: bool = False  # also print the messages that otherwise only go to the log
    keep: str | None = None  # weights to keep: best, none, all, or a number of configurations
    all_rows: bool = False  # print every configuration, not only the best
    given: Mapping[str, object] = field(default_factory=dict)  # search options given explicitly
    call: str = ""  # the Python call that made the request, for ``sweep.json``

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics that are given: none, that of a function, or several to optimize."""
        if self.metric is None:
            return ()
        return (self.metric,) if isinstance(self.metric, str) else tuple(self.metric)

    @property
    def statuses_to_retry(self) -> tuple[str, ...]:
        """The statuses of ended trials that run again."""
        retried = {"failed": self.retry_failed, "cancelled": self.retry_cancelled}
        return tuple(status for status, is_retried in retried.items() if is_retried)

    def to_dict(self) -> dict[str, Any]:
        """Return the options that differ from their defaults, by name, as in a YAML file.

        Raises:
            RequestError: if the task or the space is a Python object, which a file cannot contain.
        """
        found: dict[str, Any] = {}
        for each in dataclasses.fields(self):
            value = getattr(self, each.name)
            if each.name in _FIELDS and (each.name == "task" or value != each.default):
                if isinstance(value, Task) or callable(value):
                    raise RequestError(
                        f"the {each.name} of this request is the Python object {shown(value)}, "
                        "which a file cannot contain; use its name or FILE.py:FUNCTION"
                    )
                found[OPTION_NAMES.get(each.name, each.name)] = (
                    list(value) if isinstance(value, tuple) else value
                )
        return found

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Request:
        """Make a request from options by name, such as ``{"task": "toy", "set": {...}}``.

        Raises:
            RequestError: if an option does not exist, or its value has a wrong type.
        """
        if not isinstance(values, Mapping) or "task" not in values:
            raise RequestError(f"a request must have a task, but is {shown(values)}")
        names = {OPTION_NAMES.get(field, field): field for field in _FIELDS}
        fields: dict[str, Any] = {}
        for name, value in values.items():
            if name not in names:
                raise RequestError(
                    f"a request has no option {shown(name)}; {suggest(str(name), sorted(names))}"
                )
            check, words = _FIELDS[names[name]]
            if not check(value):
                raise RequestError(f"{name} of a request must be {words}, but is {shown(value)}")
            fields[names[name]] = value
        for name in ("seeds", "metric"):
            if isinstance(fields.get(name), list):
                fields[name] = tuple(fields[name])
        for name in ("learn_from", "track"):
            if name in fields:
                given_names = fields[name]
                is_one = isinstance(given_names, str)
                fields[name] = (given_names,) if is_one else tuple(given_names)
        of_search = ("trials", "sampler", "pruner")
        given: dict[str, object] = {name: fields[name] for name in of_search if name in fields}
        return cls(**fields, given=given)

    @classmethod
    def from_yaml(cls, path: str | os.PathLike[str]) -> Request:
        """Read a request from a YAML file that maps names of options to values.

        Raises:
            RequestError: if the file cannot be read, is not valid YAML, or is not a request.
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


def _are_names(value: object) -> bool:
    return _is_text(value) or (isinstance(value, (list, tuple)) and all(map(_is_text, value)))


_Check = Callable[[Any], bool]
_TEXT: tuple[_Check, str] = (_is_text, "text")
_COUNT: tuple[_Check, str] = (_is_count, "an integer")
_SECONDS: tuple[_Check, str] = (_is_number, "a number of seconds")
_FLAG: tuple[_Check, str] = (_is_flag, "true or false")

#: Fields whose options have another name.
OPTION_NAMES = {"settings": "set", "zipped": "zip"}

#: The options of a file by field, with a check of the value and a description of valid values.
_FIELDS: dict[str, tuple[_Check, str]] = {
    **dict.fromkeys(("task", "sampler", "pruner", "engine", "address"), _TEXT),
    "metric": (_are_names, "a name, or a list of them"),
    "learn_from": (_are_names, "a sweep, or a list of them"),
    **dict.fromkeys(("model", "data", "name", "out", "cache", "keep"), _TEXT),
    **dict.fromkeys(("final", "notify"), _TEXT),
    "track": (_are_names, "a tracker, or a list of them"),
    **dict.fromkeys(("trials", "cpus_per_trial", "budget_trials"), _COUNT),
    **dict.fromkeys(("budget", "step_timeout", "checkpoint_interval"), _SECONDS),
    **dict.fromkeys(("maximize", "rerun", "verbose", "all_rows"), _FLAG),
    **dict.fromkeys(("retry_failed", "retry_cancelled"), _FLAG),
    "seeds": (_are_seeds, "a number, or a list of them"),
    "gpus_per_trial": (lambda v: v == "auto" or _is_number(v), "a number or auto"),
    "space": (lambda v: isinstance(v, (str, Mapping, list)), "a name, a file, or lists by name"),
    "settings": (lambda v: isinstance(v, (Mapping, list)), "values by name"),
    "zipped": (lambda v: isinstance(v, list), "lists of parameters"),
}
