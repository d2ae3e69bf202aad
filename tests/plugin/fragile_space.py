"""Spaces of the fragile task."""

from __future__ import annotations

from typing import Any

GRID = {"level": list(range(6))}


def search(trial: Any) -> dict[str, Any]:
    """Each part of the space has its own stages, so that new ones appear during the search."""
    return {
        "level": trial.suggest_int("level", 0, 1000),
        "stage": trial.suggest_int("stage", 0, 5),
    }
