"""Read the bytes of an image in a data set of the Hub."""

from __future__ import annotations

import os
from collections.abc import Sequence

from tasks.contract import DataError
from tasks.datasets.hub_name import HubName
from tasks.datasets.hub_rows import Rows


class ImageBytes:
    """The bytes of images, in the rows or in files that the rows name."""

    def __init__(self, rows: Rows, name: HubName) -> None:
        self._rows, self._name = rows, name

    def shown(self, split: str, number: int) -> str:
        """Return how errors name an image."""
        return f"{self._name.root}: row {number} of {split}"

    def read(self, split: str, number: int) -> bytes:
        """Return the bytes of the image in a row.

        Raises:
            DataError: if there is none, or if the row names a file outside of the data set.
        """
        shown = self.shown(split, number)
        try:
            found = self._rows.image(split, number)
        except Exception as error:  # the connection, or a file that has gone
            why = " ".join(str(error).split())[:200]
            raise DataError(f"{shown} cannot be read ({type(error).__name__}: {why})") from None
        content, path = (found or {}).get("bytes"), (found or {}).get("path")
        if isinstance(content, bytes):
            return content
        if not path:
            raise DataError(
                f"{shown} has no image; remove the row, or choose another ,image=COLUMN"
            )
        if not self._is_inside(path):
            raise DataError(f"{shown} names a file outside of the data set, {path!r}; remove it")
        try:
            import fsspec

            with fsspec.open(
                path, "rb"
            ) as stream:  # also members of archives, and files of the Hub
                return bytes(stream.read())
        except Exception as error:  # of each kind of file system
            raise DataError(f"image missing: {path} ({type(error).__name__}); {shown}") from None

    def _is_inside(self, path: str) -> bool:
        """Return whether a file belongs to the data set or to the cache of ``datasets``."""
        from datasets import config
        from huggingface_hub import constants

        *members, place = path.split("::")  # of an archive's member, the archive comes last
        if any(not member.startswith(("zip://", "tar://")) for member in members):
            return False  # other links of the chain may read another file
        if self._name.repo and place.startswith(f"hf://datasets/{self._name.repo}@"):
            return ".." not in place.split("/")
        if "://" in place:
            return False
        place = os.path.expanduser(place)
        roots = [os.path.realpath(r) for r in (config.HF_DATASETS_CACHE, self._name.folder) if r]
        return _is_below(os.path.realpath(place), roots) or _is_below(
            os.path.abspath(place),
            [os.path.abspath(constants.HF_HUB_CACHE)],  # has links
        )


def _is_below(file: str, roots: Sequence[str]) -> bool:
    return any(file.startswith(f"{root}{os.sep}") for root in roots)
