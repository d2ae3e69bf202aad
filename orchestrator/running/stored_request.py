"""``sweep --from FILE``: the request of a stored sweep, or of a YAML file."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orchestrator.planning.plan import KINDS
from orchestrator.planning.space_file import is_space_file, read_space_file
from orchestrator.planning.yaml_file import read_yaml
from orchestrator.request import Request
from results.storage.manifest import Manifest
from tasks.contract import RequestError


def read_request(path: str) -> Request:
    """The request in ``sweep.json``, or in a YAML file of options or in the shape of W&B.

    Raises:
        RequestError: if the file cannot be read, or does not hold all of a request.
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
    """The task that a space file names.

    Raises:
        RequestError: if it names none.
    """
    program = read_space_file(path).program
    if program is None:
        raise RequestError(
            f"{path} names no task; add program: TASK or program: FILE.py:FUNCTION, or give a task"
        )
    if program.endswith(".py"):
        raise RequestError(
            f"{path}: program {program!r} names a file; name a function of it, such as "
            f"program: {program}:train"
        )
    return program


def request_of(manifest: Manifest) -> Request:
    """What was asked for when a sweep was started.

    Raises:
        RequestError: if it was started from a Python function, which no file holds.
    """
    recorded, search = manifest.request, manifest.search
    if recorded is None:
        raise RequestError(
            f"{manifest.full_name} was made by an older version, which recorded no request; "
            "repeat its command"
        )
    if manifest.replay_of is not None:
        raise RequestError(f"{manifest.full_name} is a replay; use `replay` with its archive")
    of_search: dict[str, Any] = {}
    if search is not None:
        of_search = {
            "trials": search.trials,
            "sampler": recorded.search.get("sampler", search.sampler["name"]),
            "pruner": search.pruner["name"],
        }
    of_function: dict[str, Any] = {}
    if manifest.function is not None:
        of_function = {"metric": manifest.metric.name, "maximize": manifest.maximize}
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
        given=of_search,
        **of_search,
        **of_function,
    )


def _space_of(manifest: Manifest) -> Any:
    """A name, a file, or the value that the space was given as."""
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
            f"the space of {manifest.full_name} was a Python function or is not recorded; repeat "
            "the call that started it"
        ) from None
