"""Checks that the images that samples name can be shown."""

from __future__ import annotations

from PIL import Image

from orchestrator.contract_suite.subject import Subject, ViolationError
from orchestrator.planning.space_checks import shown
from orchestrator.planning.task_members import overrides
from results.text import plural

MAX_IMAGES = 8  # of a trial


def images(subject: Subject) -> str | None:
    """``load_image`` returns an image for each id in the samples."""
    if not overrides(subject.task, "load_image"):
        return None
    number = 0
    for trial, steps in zip(subject.trials, subject.alone, strict=True):
        samples = steps[-1].samples or {}
        ids = [each for each in samples.get("image_id", ()) if each is not None]
        for ranked in samples.get("ranked_images", ()):
            ids += ranked or ()
        for image_id in list(dict.fromkeys(ids))[:MAX_IMAGES]:
            found: object = subject.task.load_image(trial, image_id)
            if not isinstance(found, Image.Image):
                raise ViolationError(
                    f"load_image({image_id!r}) must return a PIL image, but returned {shown(found)}"
                )
            number += 1
    if not number:
        raise ViolationError("the task has load_image, but its samples name no image")
    return plural(number, "image")
