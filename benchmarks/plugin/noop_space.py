"""The search spaces of the task that does nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import optuna

GRID = {"x": list(range(1000))}


def search(trial: optuna.Trial) -> dict[str, float]:
    """Suggest three parameters, to give the sampler some work."""
    return {name: trial.suggest_float(name, 0.0, 1.0) for name in ("a", "b", "c")}
