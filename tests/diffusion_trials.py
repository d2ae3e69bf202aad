"""Small trials of the diffusion task."""

from __future__ import annotations

from typing import Any

from tasks.diffusion.params import Params
from tasks.diffusion.task import TASK

SMALL: dict[str, Any] = {
    "features": 8,
    "epochs": 2,
    "draws": 128,
    "num_steps": 20,
    "sampling_steps": 4,
    "num_samples": 4,
    "precision": "float32",
}


def make_trial(**params: Any) -> Any:
    from tasks.contract import Trial

    model, data = TASK.resolve("unet", "concepts")
    made = Params(**(SMALL | params))
    return TASK.normalize(
        Trial(task="diffusion", version="1", params=made, seed=0, model=model, data=data)
    )
