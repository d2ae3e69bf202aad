"""The task of a stored sweep whose function is not at hand: enough to export its weights."""

from __future__ import annotations

from orchestrator.functions.signature import make_params_class
from orchestrator.planning.discovery import load_task
from results.storage.manifest import Manifest
from tasks.contract import RequestError, Task

_TYPES: dict[str, type] = {"str": str, "float": float, "int": int, "bool": bool}


class RecordedFunction(Task):
    """A function as its sweep recorded it. No trial of it can run."""

    def __init__(self, manifest: Manifest) -> None:
        """All that ``sweep.json`` says of it."""
        fields = tuple((name, _TYPES[kind] | None, None) for name, kind in manifest.params.items())
        vars(self).update(
            name=manifest.task,
            version=manifest.version,
            Params=make_params_class(fields),
            metric=manifest.metric,
            columns=manifest.columns,
        )


def load_recorded_task(manifest: Manifest, purpose: str = "") -> Task:
    """The task of a sweep. The code of a function is never loaded: it must come from the user.

    Args:
        manifest: of the sweep.
        purpose: the command, if it runs trials.

    Raises:
        RequestError: if the task does not exist, or is a function whose trials would have to run.
    """
    if manifest.function is None:
        return load_task(manifest.task)
    if purpose:
        raise RequestError(
            f"{manifest.full_name} is a sweep of the function {manifest.function}, and {purpose} "
            "works for named tasks only; run its sweep again with another --out and compare them: "
            "orchestrator check NAME --against OTHER"
        )
    return RecordedFunction(manifest)
