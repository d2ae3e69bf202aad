"""Images of the data set that the samples of a stored trial name, if the data is here."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from PIL import Image

from orchestrator.planning.discovery import load_task
from orchestrator.planning.task_members import overrides
from orchestrator.running.recorded import check_data, recorded_trial
from results.figures.sample_images import LoadImage
from results.storage.reading import Sweep
from tasks.contract import RequestError, SweepError, Task, Trial

MAX_SIDE = 256  # pixels of an image that is shown


def image_loader(
    sweep: Sweep, row: Mapping[str, Any], check: Callable[[Task, Trial], None] = check_data
) -> LoadImage:
    """Return a function that loads images of the data set of a sweep's trial.

    The data must have the content that the sweep has recorded. So a sweep that somebody else has
    written cannot show other files of this machine.

    Args:
        sweep: the sweep.
        row: the trial's row of ``trials``.
        check: raises an error if the data of the trial has changed.

    Raises:
        SweepError: if the task or the data is not on this machine, or the data has changed.
    """
    manifest = sweep.manifest
    if manifest.function is not None:
        raise RequestError("images of a function's data cannot be loaded")
    task = load_task(manifest.task)
    if not overrides(task, "load_image"):
        raise RequestError(f"the task {task.name} loads no images")
    trial = recorded_trial(task, row)
    check(task, trial)
    return lambda image_id: _small_image(task, trial, image_id)


@lru_cache(maxsize=1024)
def _small_image(task: Task, trial: Trial, image_id: str) -> bytes:
    """Return an image as JPEG."""
    try:
        found = task.load_image(trial, image_id)
        if not isinstance(found, Image.Image):
            raise RequestError(f"load_image of {task.name} must return an image of PIL")
        image = found.convert("RGB")
    except SweepError:
        raise
    except Exception as error:  # of the task, or of Pillow for a damaged file
        raise RequestError(f"the image {image_id!r} cannot be read: {error}") from error
    image.thumbnail((MAX_SIDE, MAX_SIDE))
    out = io.BytesIO()
    image.save(out, format="JPEG", quality=85)
    return out.getvalue()
