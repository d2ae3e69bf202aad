"""List the members of a tar file, and read them without extracting anything to the disk."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tasks.contract import DataError
from tasks.datasets.listings import is_text

BLOCK = 512  # bytes; a tar file consists of blocks
_FIX = "write the file again"


@dataclass(frozen=True, slots=True)
class Member:
    """A file in a tar file."""

    shard: Path
    name: str
    offset: int  # of its first byte, in bytes
    size: int  # bytes

    @property
    def shown(self) -> str:
        """The name that errors have."""
        return f"{self.shard}: {self.name}"

    def read(self) -> bytes:
        """Return its content.

        Raises:
            DataError: if the tar file has gone or has changed.
        """
        try:
            with self.shard.open("rb") as stream:
                stream.seek(self.offset)
                content = stream.read(self.size)
        except OSError as error:
            raise DataError(f"{self.shard} cannot be read: {error.strerror}; restore it") from None
        if len(content) < self.size:
            raise DataError(f"{self.shown} is truncated; {_FIX}")
        return content


def list_members(shard: Path) -> Iterator[Member]:
    """Yield the regular files of a tar file, in its order.

    Raises:
        DataError: if it is no tar file, is compressed or damaged, or has a link, a device, or a
            name that leads out of it.
    """
    try:
        with tarfile.open(shard, "r:") as archive:
            for info in archive:
                if info.isdir():
                    continue
                _check(shard, info)
                yield Member(shard, info.name, info.offset_data, info.size)
            _check_end(shard, archive.offset)
    except FileNotFoundError:
        raise DataError(f"shard missing: {shard}; add the file, or change --data") from None
    except tarfile.TarError as error:
        raise DataError(
            f"{shard} is not a readable tar file ({error}); write it again, without compression"
        ) from None
    except OSError as error:
        raise DataError(f"{shard} cannot be read: {error.strerror}; replace it") from None


def _check(shard: Path, info: tarfile.TarInfo) -> None:
    shown = f"{shard}: {info.name!r}"
    if not is_text(info.name):
        raise DataError(f"{shown} is not UTF-8; {_FIX} with names in UTF-8")
    if info.name.startswith("/") or ".." in info.name.split("/"):
        raise DataError(f"{shown} leads out of the tar file; {_FIX} with relative names")
    if not info.isreg() or info.issparse():
        raise DataError(f"{shown} is a link, a device or sparse; {_FIX} with regular files only")


def _check_end(shard: Path, offset: int) -> None:
    """Raise an error if a damaged header ends the file, where ``tarfile`` stops without one."""
    with shard.open("rb") as stream:
        stream.seek(min(offset, os.fstat(stream.fileno()).st_size))
        if stream.read(BLOCK).strip(b"\0"):
            raise DataError(f"{shard} is damaged at byte {offset}; {_FIX}")
