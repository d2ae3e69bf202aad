"""Reads a space file (``--space FILE.yaml``), in the format of a W&B sweep configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.planning.axes_spec import Kinds, read_axes
from orchestrator.planning.inline_space import space_of
from orchestrator.planning.space_checks import shown
from orchestrator.planning.spaces import Space
from orchestrator.planning.suggestions import suggest
from orchestrator.planning.yaml_file import read_yaml
from tasks.contract import RequestError, content_id

#: The samplers for W&B's methods; a grid has none.
METHODS = {"grid": None, "random": "random", "bayes": "tpe"}
GOALS = {"maximize": True, "minimize": False}
KEYS = (
    *("program", "method", "metric", "parameters", "zip", "seeds", "run_cap", "early_terminate"),
    *("name", "description"),
)
#: Keys for W&B's service, which are ignored.
IGNORED = ("project", "entity", "command", "$schema")


@dataclass(frozen=True, kw_only=True, slots=True)
class SpaceFile:
    """The content of a space file."""

    path: str
    name: str
    parameters: Mapping[str, Any]
    program: str | None = None
    method: str = "grid"
    metric: str | None = None
    maximize: bool | None = None
    zipped: tuple[tuple[str, ...], ...] = ()
    seeds: int | tuple[int, ...] | None = None
    trials: int | None = None
    pruner: str | None = None

    def space(self, kinds: Kinds) -> Space:
        """Return the space. ``kinds`` are the types of the task's parameters.

        Raises:
            RequestError: if the parameters are invalid.
        """
        axes = read_axes(self.parameters, kinds, self.zipped)
        if self.method == "grid" and axes.is_search:
            ranges = [n for n, axis in axes.values.items() if not isinstance(axis, tuple)]
            raise RequestError(
                f"{self.path}: method grid requires values, but {ranges[0]} is a range; list its "
                "values, or use method: bayes"
            )
        found = space_of(axes, kinds, as_search=self.method != "grid")
        return Space(
            name=self.name,
            tables=found.tables,
            search=found.search,
            file=self.path,
            file_hash=content_id((self.method, found.file_hash)),
            text=found.text,
        )


def is_space_file(space: object) -> bool:
    """Return whether ``--space`` names a YAML file."""
    return isinstance(space, str) and space.endswith((".yaml", ".yml"))


def read_space_file(path: str) -> SpaceFile:
    """Read a space file, and check everything that does not depend on the task.

    Raises:
        RequestError: if the file cannot be read, or a key or a value is invalid.
    """
    content = read_yaml(path)
    if not isinstance(content, Mapping) or not isinstance(content.get("parameters"), Mapping):
        raise RequestError(f"{path} has no mapping under parameters:; add one, such as lr: [0.1]")
    for key in content:
        if key not in (*KEYS, *IGNORED):
            raise RequestError(
                f"{path} has the unknown key {shown(key)}; {suggest(str(key), KEYS)}"
            )
    method = content.get("method", "grid")
    if method not in METHODS:
        raise RequestError(f"{path}: method takes {', '.join(METHODS)}, but is {shown(method)}")
    metric, maximize = _metric(path, content.get("metric"))
    return SpaceFile(
        path=str(Path(path).resolve()),
        name=str(content.get("name") or Path(path).stem).replace(" ", "-"),
        parameters=content["parameters"],
        program=_text(path, content, "program"),
        method=method,
        metric=metric,
        maximize=maximize,
        zipped=_groups(path, content.get("zip", [])),
        seeds=_seeds(path, content.get("seeds")),
        trials=_trials(path, content.get("run_cap")),
        pruner=_pruner(path, content.get("early_terminate")),
    )


def _text(path: str, content: Mapping[str, Any], key: str) -> str | None:
    value = content.get(key)
    if value is not None and not isinstance(value, str):
        raise RequestError(f"{path}: {key} must be text, but is {shown(value)}")
    return value


def _metric(path: str, metric: Any) -> tuple[str | None, bool | None]:
    if metric is None:
        return None, None
    if not isinstance(metric, Mapping) or not isinstance(metric.get("name"), str):
        raise RequestError(f"{path}: metric must have a name and a goal, but is {shown(metric)}")
    goal = metric.get("goal", "minimize")  # W&B's default
    if goal not in GOALS:
        raise RequestError(f"{path}: goal takes maximize or minimize, but is {shown(goal)}")
    return metric["name"], GOALS[goal]


def _groups(path: str, groups: Any) -> tuple[tuple[str, ...], ...]:
    if isinstance(groups, list) and groups and all(isinstance(each, str) for each in groups):
        groups = [groups]
    if not isinstance(groups, list) or not all(isinstance(group, list) for group in groups):
        raise RequestError(f"{path}: zip must list parameters, but is {shown(groups)}")
    return tuple(tuple(map(str, group)) for group in groups)


def _seeds(path: str, seeds: Any) -> int | tuple[int, ...] | None:
    listed = seeds if isinstance(seeds, list) else [0 if seeds is None else seeds]
    if not listed or not all(isinstance(s, int) and not isinstance(s, bool) for s in listed):
        raise RequestError(f"{path}: seeds must be a number or a list, but is {shown(seeds)}")
    return tuple(seeds) if isinstance(seeds, list) else seeds


def _trials(path: str, cap: Any) -> int | None:
    if cap is not None and (not isinstance(cap, int) or isinstance(cap, bool) or cap < 1):
        raise RequestError(f"{path}: run_cap must be at least 1, but is {shown(cap)}")
    return cap


def _pruner(path: str, early: Any) -> str | None:
    if early is None:
        return None
    if not isinstance(early, Mapping) or early.get("type") != "hyperband":
        raise RequestError(f"{path}: early_terminate takes type: hyperband, but is {shown(early)}")
    return "hyperband"
