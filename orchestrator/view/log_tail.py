"""Reads the end of a log to show it in a terminal."""

from __future__ import annotations

import os

TAIL_BYTES = 16_384


def tail(path: str) -> list[str]:
    """Return the last lines of a local file without control characters, empty if unreadable."""
    try:
        with open(path, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - TAIL_BYTES))
            text = file.read().decode(errors="replace")
    except OSError:
        return []
    return ["".join(s if s.isprintable() else " " for s in line) for line in text.splitlines()]
