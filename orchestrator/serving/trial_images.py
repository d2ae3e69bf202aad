"""Images of the data set for the pages of trials."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from orchestrator.running.sample_images import image_loader
from orchestrator.serving.checked_data import CheckedData
from results.figures.sample_images import names_images, samples_of
from results.page.page_images import NO_IMAGES, EmbeddedImages, PageImages
from results.redaction import redact
from results.storage.reading import Sweep
from tasks.contract import SweepError

Row = Mapping[str, Any]


def find_images(sweep: Sweep, trial: Row, make: Callable[[], PageImages]) -> PageImages:
    """Return the images that a trial's samples name, or why they are not shown.

    Args:
        sweep: the sweep.
        trial: the row of the trial.
        make: returns the images, or raises a ``SweepError`` if the data is not on this machine.
    """
    if not names_images(samples_of(sweep, trial)):
        return NO_IMAGES
    try:
        return make()
    except SweepError as error:
        return PageImages(problem=f"Images of the data set are not shown: {redact(str(error))}.")


def embedded_images() -> Callable[[Sweep, Row], PageImages]:
    """Return a function that returns the images of a trial for a page in one file."""
    embedded, data = EmbeddedImages(), CheckedData()
    return lambda sweep, trial: find_images(
        sweep, trial, lambda: embedded.of_trial(image_loader(sweep, trial, data.check))
    )
