"""Tables of bad input: a command, the line it must print on stderr, and the files it finds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Case:
    """A command that must be refused. TMP in it is a new folder, also the working directory."""

    args: str  # as typed in a shell; --out is added if the case is not about it
    message: str  # part of the line on stderr
    prepare: Callable[[Path], object] = lambda tmp: None  # writes the files that it finds
    environ: tuple[tuple[str, str], ...] = ()


def write(name: str, content: str | bytes) -> Callable[[Path], object]:
    """Write a file below the folder."""

    def prepare(tmp: Path) -> None:
        file = tmp / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)

    return prepare
