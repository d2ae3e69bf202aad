"""Finds trackers by name: the built-in ones, and those of other packages."""

from __future__ import annotations

import importlib
from collections.abc import Sequence

from orchestrator.planning.discovery import entry_point, entry_points, suggest
from orchestrator.tracking.tracker import Tracker
from results.extras import require
from tasks.contract import RequestError

GROUP = "orchestrator.trackers"

#: The module that each built-in tracker needs, by its name. Its class is ``TRACKER`` in the module
#: of this package with that name.
BUILT_IN = {
    "tensorboard": "tensorboardX",
    "mlflow": "mlflow",
    "wandb": "wandb",
    "trackio": "trackio",
    "aim": "aim",
    "optuna": "optuna",
}


def tracker_names() -> list[str]:
    """Return the names of all trackers."""
    external = {point.name for point in entry_points(GROUP)}
    return [*BUILT_IN, *sorted(external - BUILT_IN.keys())]


def check_trackers(names: Sequence[str]) -> None:
    """Check that these trackers can be used.

    Raises:
        RequestError: if one does not exist, its package is not installed, or it cannot be loaded.
    """
    for name in names:
        if names.count(name) > 1:
            raise RequestError(f"--track {name} is given twice; remove one of them")
    for name in names:
        load_tracker(name).check()


def load_tracker(name: str) -> Tracker:
    """Return a new tracker.

    Raises:
        RequestError: if it does not exist, its package is not installed, it cannot be loaded, or
            two packages declare it.
    """
    if name in BUILT_IN:
        require(f"--track {name}", BUILT_IN[name])
        module = importlib.import_module(f"orchestrator.tracking.{name}_tracker")
        tracker: Tracker = module.TRACKER()
        return tracker
    point = entry_point(GROUP, name)
    if point is None:
        raise RequestError(f"no tracker named {name!r}; {suggest(name, tracker_names())}")
    try:
        made = point.load()()
    except Exception as error:
        raise RequestError(
            f"the tracker {name!r} ({point.value}) cannot be loaded: "
            f"{type(error).__name__}: {error}; fix it, or remove --track {name}"
        ) from error
    if not isinstance(made, Tracker):
        raise RequestError(
            f"the tracker {name!r} ({point.value}) must be a subclass of "
            f"orchestrator.tracking.tracker.Tracker, but gave {type(made).__name__}"
        )
    return made
