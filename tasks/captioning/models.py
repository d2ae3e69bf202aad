"""Load the captioning model of a trial."""

from __future__ import annotations

from tasks.contract import Source
from tasks.models.captioner import Captioner, load_captioner
from tasks.models.captioner_families import BLIP, find_captioner_family
from tasks.models.image_text import ImageTextCaptioner
from tasks.models.image_text_loading import load_image_text


def load_model(model: Source, device: str, precision: str) -> Captioner | ImageTextCaptioner:
    """Return the model on a device; it stays in this process's memory for later calls."""
    if find_captioner_family(model) == BLIP:
        return load_captioner(model.name, model.fingerprint, device, precision)
    return load_image_text(model.name, model.fingerprint, device, precision)
