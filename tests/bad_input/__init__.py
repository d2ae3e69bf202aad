"""Bad input as tables: each case a command, what its one line on stderr says, and what it finds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Case:
    """A command that must be refused; TMP in it is a fresh folder, also the working one."""

    args: str  # as typed in a shell, without --out where the case is not about it
    message: str  # part of the line on stderr
    prepare: Callable[[Path], object] = lambda tmp: None  # what lies in the folder before
    environ: tuple[tuple[str, str], ...] = ()


def write(name: str, content: str | bytes) -> Callable[[Path], object]:
    """A file below the folder."""

    def prepare(tmp: Path) -> None:
        file = tmp / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)

    return prepare
