"""Spaces of the task that breaks."""

from __future__ import annotations

from typing import Any

GRID = {"level": list(range(6))}


def search(trial: Any) -> dict[str, Any]:
    """Stages of its own for each part of the space, so that new ones appear on the way."""
    return {
        "level": trial.suggest_int("level", 0, 1000),
        "stage": trial.suggest_int("stage", 0, 5),
    }
