"""Small segmentation trials, and the values of their stages."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from masked_folders import draw_masked_folder

from tasks.contract import Inputs, Trial
from tasks.segmentation.params import Params
from tasks.segmentation.task import TASK


def make_trial(model: str, folder: Path, *, seed: int = 0, **params: Any) -> Trial:
    """Return a trial on 8 drawn images for training and 4 for evaluation, drawn into ``folder``."""
    if not any(folder.iterdir()):
        draw_masked_folder(folder, train=8, val=4)
    sources = TASK.resolve(model, f"folder:{folder}")
    given: dict[str, Any] = {
        "batch_size": 4,
        "image_size": 64,
        "epochs": 2,
        "trainable": "full",
        "precision": "float32",
    }
    made = Trial(
        task=TASK.name,
        version=TASK.version,
        params=Params(**given | params),
        seed=seed,
        model=sources[0],
        data=sources[1],
    )
    return TASK.normalize(made)


def compute_stages(trials: Sequence[Trial]) -> Inputs:
    """Compute the stages of trials on the CPU, each once."""
    return {
        stage: stage.function(**stage.args, **({"device": "cpu"} if stage.on_device else {}))
        for stage in {stage: None for trial in trials for stage in TASK.stages(trial)}
    }
