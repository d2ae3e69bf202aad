"""The JSON schema of a task's space files, for completion and checks in editors."""

from __future__ import annotations

import typing
from typing import Any

from orchestrator.planning.axes_spec import DISTRIBUTIONS
from orchestrator.planning.params import param_types
from orchestrator.planning.space_file import GOALS, METHODS
from orchestrator.planning.task_help import parameters
from tasks.contract import Task

_TYPES = {float: "number", int: "integer", bool: "boolean", str: "string"}


def space_schema(task: Task) -> dict[str, Any]:
    """Return the schema of ``--space FILE.yaml`` for one task."""
    names = list(param_types(task.Params))
    values = {each.name: each for each in parameters(task.Params)}
    hints, kinds = typing.get_type_hints(task.Params), param_types(task.Params)
    properties = {}
    for name in names:
        kind, optional = kinds[name]
        properties[name] = {
            "description": f"{values[name].meaning} {values[name].allowed}; "
            f"default: {values[name].default}",
            **_parameter(_value(kind, optional, hints[name]), kind),
        }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"Search space of {task.name}",
        "type": "object",
        "required": ["parameters"],
        "properties": {
            "program": {"type": "string", "description": "Task, or FILE.py:FUNCTION."},
            "name": {"type": "string", "description": "Name of the sweep."},
            "description": {"type": "string"},
            "method": {"enum": list(METHODS), "default": "grid"},
            "metric": {
                "type": "object",
                "properties": {
                    "name": {"const": task.metric.name},
                    "goal": {"enum": list(GOALS)},
                },
                "required": ["name"],
                "additionalProperties": False,
            },
            "parameters": {
                "type": "object",
                "properties": properties,
                "minProperties": 1,
                "additionalProperties": False,
            },
            "zip": {
                "description": "Parameters whose lists vary together.",
                "type": "array",
                "items": {"anyOf": [{"enum": names}, {"type": "array", "items": {"enum": names}}]},
            },
            "seeds": {
                "anyOf": [
                    {"type": "integer", "minimum": 1},
                    {"type": "array", "items": {"type": "integer"}, "minItems": 1},
                ]
            },
            "run_cap": {"type": "integer", "minimum": 1, "description": "Trials of a search."},
            "early_terminate": {
                "type": "object",
                "properties": {"type": {"const": "hyperband"}},
                "required": ["type"],
            },
        },
    }


def _value(kind: type, optional: bool, hint: Any) -> dict[str, Any]:
    choices = typing.get_args(hint) if typing.get_origin(hint) is typing.Literal else ()
    value: dict[str, Any] = {"enum": list(choices)} if choices else {"type": _TYPES[kind]}
    return {"anyOf": [value, {"type": "null"}]} if optional else value


def _parameter(value: dict[str, Any], kind: type) -> dict[str, Any]:
    listed = {"type": "array", "items": value, "minItems": 1}
    conditions = {
        "type": "object",
        "description": "Vary only if other parameters have these values.",
    }
    several = {
        "type": "object",
        "properties": {
            "values": listed,
            "distribution": {"const": "categorical"},
            "conditions": conditions,
        },
        "required": ["values"],
        "additionalProperties": False,
    }
    one = {
        "type": "object",
        "properties": {"value": value, "distribution": {"const": "constant"}},
        "required": ["value"],
        "additionalProperties": False,
    }
    number = {"type": "number"}
    a_range = {
        "type": "object",
        "properties": {
            "min": number,
            "max": number,
            "distribution": {"enum": [d for d in DISTRIBUTIONS if "uniform" in d]},
            "log": {"type": "boolean"},
            "step": number,
            "q": number,
            "conditions": conditions,
        },
        "required": ["min", "max"],
        "additionalProperties": False,
    }
    return {"anyOf": [value, listed, several, one, *([a_range] if kind in (int, float) else [])]}
