"""Find folders, and read images from files or bytes."""

from __future__ import annotations

import io
import os
import stat
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import IO, TypeVar

from PIL import Image, UnidentifiedImageError

from tasks.contract import DataError

Opened = TypeVar("Opened")


def find_root(name: str) -> Path:
    """Return a folder's absolute path.

    Raises:
        DataError: if there is no such folder.
    """
    try:
        # Path.resolve reports a loop of links only before Python 3.13.
        root = Path(os.path.realpath(Path(name).expanduser()))
        exists = stat.S_ISDIR(root.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        exists = False
    except (OSError, RuntimeError, ValueError) as error:  # a loop of links, no such user, too long
        why = getattr(error, "strerror", None) or error
        raise DataError(
            f"{name[:80]} is not a folder: {why}; check the path after --data"
        ) from None
    if not exists:
        raise DataError(f"no such folder: {root}; check the path after --data")
    return root


def read_photo(file: Path) -> Image.Image:
    """Read an image file as RGB.

    Raises:
        DataError: if the file is missing, damaged or too large.
    """
    return _open_file(file, _to_rgb)


def check_photo(file: Path) -> None:
    """Raise an error if the header of a file is not an image's. Reads no pixels.

    Raises:
        DataError: the message names the file.
    """
    _open_file(file, _ignore)


def read_image(content: bytes, name: str) -> Image.Image:
    """Read an image from the bytes of its file, as RGB.

    Raises:
        DataError: if it is damaged or too large. The message begins with ``name``.
    """
    return _open_bytes(content, name, _to_rgb)


def check_image(content: bytes, name: str) -> None:
    """Raise an error if bytes do not begin with the header of an image. Reads no pixels.

    Raises:
        DataError: the message begins with ``name``.
    """
    _open_bytes(content, name, _ignore)


def _to_rgb(image: Image.Image) -> Image.Image:
    return image.convert("RGB")


def _ignore(image: Image.Image) -> None:
    return None


def _open_file(file: Path, use: Callable[[Image.Image], Opened]) -> Opened:
    try:
        size = file.stat().st_size
    except FileNotFoundError:
        raise DataError(f"image missing: {file}; add the file or remove its entry") from None
    except OSError as error:
        raise DataError(f"{file} is not a readable image ({error}); replace or remove it") from None
    return _open(file, size, str(file), use)


def _open_bytes(content: bytes, name: str, use: Callable[[Image.Image], Opened]) -> Opened:
    return _open(io.BytesIO(content), len(content), name, use)


def _open(
    source: Path | IO[bytes], size: int, name: str, use: Callable[[Image.Image], Opened]
) -> Opened:
    if not size:
        raise DataError(f"{name} is not a readable image (it is empty); replace or remove it")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(source) as image:
                return use(image)
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise DataError(
            f"{name} has more than {Image.MAX_IMAGE_PIXELS:,} pixels; resize or remove it"
        ) from None
    except UnidentifiedImageError:
        raise DataError(f"{name} is not a readable image; replace or remove it") from None
    except Exception as error:  # Pillow raises many kinds of errors for damaged files
        raise DataError(f"{name} is not a readable image ({error}); replace or remove it") from None
