"""Decides which trial runs where, and when it stops. Also the Python API.

    import orchestrator as orc

    sweep = orc.sweep("retrieval", space={"lr": [1e-5, 1e-3]}, seeds=3, engine="local")
    sweep.table()

Each name is imported when it is first used, so that this import takes no time.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orchestrator.api.results import Best as Best
    from orchestrator.api.results import Sweep as Sweep
    from orchestrator.api.results import load as load
    from orchestrator.api.sweep import sweep as sweep
    from orchestrator.functions.declaration import shared as shared
    from orchestrator.functions.declaration import task as task
    from orchestrator.functions.run import checkpoint as checkpoint
    from orchestrator.functions.run import samples as samples
    from orchestrator.request import Request as Request
    from tasks.contract import DataError as DataError
    from tasks.contract import ModelError as ModelError
    from tasks.contract import RequestError as RequestError
    from tasks.contract import StoreError as StoreError
    from tasks.contract import SweepError as SweepError
    from tasks.contract import TrialError as TrialError
    from tasks.contract import report_progress as report_progress

#: The names of the API by the module that defines them.
_API = {
    "orchestrator.api.sweep": ("sweep",),
    "orchestrator.api.results": ("Best", "Sweep", "load"),
    "orchestrator.functions.declaration": ("shared", "task"),
    "orchestrator.functions.run": ("checkpoint", "samples"),
    "orchestrator.request": ("Request",),
    "tasks.contract": (
        *("DataError", "ModelError", "RequestError", "StoreError", "SweepError", "TrialError"),
        "report_progress",
    ),
}
_MODULES = {name: module for module, names in _API.items() for name in names}

__all__ = [
    "Best",
    "DataError",
    "ModelError",
    "Request",
    "RequestError",
    "StoreError",
    "Sweep",
    "SweepError",
    "TrialError",
    "checkpoint",
    "load",
    "report_progress",
    "samples",
    "shared",
    "sweep",
    "task",
]


def __getattr__(name: str) -> Any:
    """Import a name of the API when it is first used."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_MODULES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
