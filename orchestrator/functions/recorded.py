"""The task of a stored sweep of a function, without the function's code.

It suffices to export weights.
"""

from __future__ import annotations

from orchestrator.functions.signature import make_params_class
from orchestrator.planning.discovery import load_task
from results.storage.manifest import Manifest
from tasks.contract import RequestError, Task

_TYPES: dict[str, type] = {"str": str, "float": float, "int": int, "bool": bool}


class RecordedFunction(Task):
    """The task that a sweep recorded for a function. It cannot run trials."""

    def __init__(self, manifest: Manifest) -> None:
        """Read the task from ``sweep.json``."""
        fields = tuple((name, _TYPES[kind] | None, None) for name, kind in manifest.params.items())
        vars(self).update(
            name=manifest.task,
            version=manifest.version,
            Params=make_params_class(fields),
            metric=manifest.metric,
            columns=manifest.columns,
        )


def load_recorded_task(manifest: Manifest, purpose: str = "") -> Task:
    """Return the task of a sweep, without loading the code of a function.

    A sweep may come from somebody else, so only the user may name the file with the function.

    Args:
        manifest: the manifest of the sweep.
        purpose: the command, if it runs trials.

    Raises:
        RequestError: if the task does not exist, or if it is a function and trials must run.
    """
    if manifest.function is None:
        return load_task(manifest.task)
    if purpose:
        raise RequestError(
            f"{manifest.full_name} is a sweep of the function {manifest.function}, but {purpose} "
            "requires a named task; run the sweep again with another --out and compare the two: "
            "orchestrator check NAME --against OTHER"
        )
    return RecordedFunction(manifest)
