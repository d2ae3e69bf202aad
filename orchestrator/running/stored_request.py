"""Reads a request from a stored sweep or a YAML file, for ``sweep --from FILE``."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orchestrator.planning.space_file import is_space_file, read_space_file
from orchestrator.planning.spaces import KINDS
from orchestrator.planning.yaml_file import read_yaml
from orchestrator.request import Request
from results.storage.manifest import Manifest
from tasks.contract import RequestError


def read_request(path: str) -> Request:
    """Read a request from ``sweep.json``, a YAML file of options, or a space file.

    Raises:
        RequestError: if the file cannot be read, or its request is incomplete.
        StoreError: if it is a damaged ``sweep.json``.
    """
    if is_space_file(path):
        content = read_yaml(path)
        if isinstance(content, Mapping) and "parameters" in content:
            return Request(task=program_of(path), space=path)
        return Request.from_dict(content)
    file = Path(path)
    file = file / "sweep.json" if file.is_dir() else file
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RequestError(
            f"cannot read {path}: {error}; --from takes PATH/sweep.json or a YAML file"
        ) from None
    return request_of(Manifest.from_json(text, file=str(file)))


def program_of(path: str) -> str:
    """Return the task that a space file names.

    Raises:
        RequestError: if it names none.
    """
    program = read_space_file(path).program
    if program is None:
        raise RequestError(
            f"{path} does not name a task; add program: TASK or program: FILE.py:FUNCTION, or name "
            "a task on the command line"
        )
    if program.endswith(".py"):
        raise RequestError(
            f"{path}: program {program!r} is a file, not a function; add its name, such as "
            f"program: {program}:train"
        )
    return program


def request_of(manifest: Manifest) -> Request:
    """Return the request that started a sweep.

    Raises:
        RequestError: if the sweep did not record it, or its space was a Python function.
    """
    recorded, search = manifest.request, manifest.search
    if recorded is None:
        raise RequestError(
            f"{manifest.full_name} was made by an older version, which recorded no request; "
            "run its command again"
        )
    if manifest.replay_of is not None:
        raise RequestError(f"{manifest.full_name} is a replay; use `replay` with its archive")
    search_options: dict[str, Any] = {}
    if search is not None:
        search_options = {
            "trials": search.trials,
            "sampler": recorded.search.get("sampler", search.sampler["name"]),
            "pruner": search.pruner["name"],
        }
    metric_options: dict[str, Any] = {}
    uses_metrics_of_space = search is not None and search.metrics
    if manifest.function is not None and not uses_metrics_of_space:
        metric_options = {"metric": manifest.metric.name, "maximize": manifest.maximize}
    if "metric" in recorded.search:
        metric_options = {"metric": tuple(str(recorded.search["metric"]).split(","))}
    return Request(
        task=manifest.function or manifest.task,
        space=_space_of(manifest),
        settings=dict(recorded.settings),
        seeds=manifest.seeds,
        model=manifest.model.name,
        data=manifest.data.name,
        engine=manifest.engine,
        name=manifest.name,
        keep=None if manifest.keep is None else str(manifest.keep),
        learn_from=tuple(recorded.search.get("learn-from", ())),
        given=search_options,
        **search_options,
        **metric_options,
    )


def _space_of(manifest: Manifest) -> Any:
    """Return the space's name, file, or value."""
    recorded = manifest.request
    assert recorded is not None
    if recorded.space in KINDS:
        return recorded.space
    if recorded.file is not None:
        kind = recorded.space.removeprefix(f"{Path(recorded.file).stem}-")
        return f"{recorded.file}:{kind}" if kind in KINDS else recorded.file
    if recorded.space == "defaults":
        return None
    text = (
        manifest.environment.space.text
        if manifest.environment and manifest.environment.space
        else ""
    )
    _, _, value = (text or "").partition(" = ")
    try:
        return ast.literal_eval(value.strip())
    except (ValueError, SyntaxError):
        raise RequestError(
            f"the space of {manifest.full_name} was a Python function or was not recorded; run the "
            "call that started the sweep again"
        ) from None
