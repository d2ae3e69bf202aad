"""The cluster files, and the API models of the clouds to check them with."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from paths import ROOT

FILES = {
    "aws": "cluster.yaml",
    "gcp": "docs/clusters/gcp.yaml",
    "local": "docs/clusters/machines.yaml",
}


def read(kind: str) -> dict[str, Any]:
    """Read the cluster file of a provider."""
    config: dict[str, Any] = yaml.safe_load((ROOT / FILES[kind]).read_text())
    return config


def prepared(config: dict[str, Any]) -> dict[str, Any]:
    """The configuration that `ray up` derives from a file, by Ray's own functions."""
    from ray.autoscaler._private.util import prepare_config, validate_config

    made: dict[str, Any] = prepare_config(copy.deepcopy(config))
    validate_config(made)
    return made


def faults(kind: str, node_config: dict[str, Any]) -> list[str]:
    """Errors in a ``node_config`` according to the API model of the cloud."""
    return list(_aws_faults(node_config) if kind == "aws" else _gcp_faults(node_config))


@cache
def _run_instances() -> Any:
    import botocore.session

    model = botocore.session.get_session().get_service_model("ec2")
    return model.operation_model("RunInstances").input_shape


def _aws_faults(node_config: dict[str, Any]) -> Iterator[str]:
    """Errors found by botocore's check of parameters, and values outside its enumerations."""
    from botocore.validate import ParamValidator

    # What Ray adds to each launch.
    params = {"MinCount": 1, "MaxCount": 1, **node_config}
    report = ParamValidator().validate(params, _run_instances())
    if report.has_errors():
        yield report.generate_report()
    else:
        yield from _wrong_values(params, _run_instances(), "node_config")


def _wrong_values(value: Any, shape: Any, path: str) -> Iterator[str]:
    if shape.type_name == "structure":
        for name, inner in value.items():
            yield from _wrong_values(inner, shape.members[name], f"{path}.{name}")
    elif shape.type_name == "list":
        for index, inner in enumerate(value):
            yield from _wrong_values(inner, shape.member, f"{path}[{index}]")
    elif getattr(shape, "enum", None) and value not in shape.enum:
        # The message shows only the first values: there are hundreds of instance types.
        yield f"{path}: {value!r} is none of {', '.join(shape.enum[:8])} ..."


@cache
def _instance_schema() -> dict[str, Any]:
    """Compute Engine's Instance as JSON schema, from the discovery document of the client."""
    import googleapiclient

    folder = Path(googleapiclient.__file__).parent / "discovery_cache" / "documents"
    schemas = json.loads((folder / "compute.v1.json").read_text())["schemas"]
    return {"$ref": "#/schemas/Instance", "schemas": _strict(schemas)}


def _strict(node: Any) -> Any:
    """A discovery schema as JSON schema, in which unknown properties are errors."""
    if isinstance(node, list):
        return [_strict(inner) for inner in node]
    if not isinstance(node, dict):
        return node
    if isinstance(node.get("$ref"), str):
        return {"$ref": f"#/schemas/{node['$ref']}"}
    made = {key: _strict(inner) for key, inner in node.items() if key not in ("id", "format")}
    if str(node.get("format", "")).endswith("int64"):
        made["type"] = ["string", "integer"]
    if "properties" in node and "additionalProperties" not in node and node.get("type") == "object":
        made["additionalProperties"] = False
    return made


def _gcp_faults(node_config: dict[str, Any]) -> Iterator[str]:
    import jsonschema

    for error in jsonschema.Draft7Validator(_instance_schema()).iter_errors(node_config):
        yield f"{error.json_path}: {error.message}"
