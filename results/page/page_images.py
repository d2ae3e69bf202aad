"""Images of the data set on a page."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass

from results.figures.sample_images import LoadImage
from results.page.table import Picture
from tasks.contract import SweepError

MAX_BYTES = 4_000_000  # of the images of one file


@dataclass(frozen=True, kw_only=True)
class PageImages:
    """Where a page finds the images of the data set."""

    address: Callable[[str], str] = lambda image_id: ""  # "" for an image that is not shown
    problem: str = ""  # why no image is shown

    def picture(self, image_id: str, mark: str = "") -> Picture:
        """Return an image with a mark below it."""
        return Picture(source=self.address(image_id), name=image_id, mark=mark)


NO_IMAGES = PageImages(problem="Images of the data set are not shown here.")


class EmbeddedImages:
    """Images as data: addresses, which have ``MAX_BYTES`` bytes at most."""

    def __init__(self) -> None:
        self._left = MAX_BYTES
        self._known: dict[str, str] = {}

    def of_trial(self, load: LoadImage) -> PageImages:
        """Return the images of a trial, which ``load`` reads."""
        return PageImages(address=lambda image_id: self._address(load, image_id))

    def _address(self, load: LoadImage, image_id: str) -> str:
        if image_id not in self._known:
            try:
                address = data_address(load(image_id))
            except SweepError:
                return ""
            if len(address) > self._left:
                return ""
            self._left -= len(address)
            self._known[image_id] = address
        return self._known[image_id]


def data_address(picture: bytes) -> str:
    """Return a PNG or JPEG file as a data: address."""
    kind = "jpeg" if picture[:2] == b"\xff\xd8" else "png"
    return f"data:image/{kind};base64,{base64.b64encode(picture).decode()}"
