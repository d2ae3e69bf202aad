"""Keeps the output of other programs off the terminal.

Ray's C++ processes and their children write directly to file descriptors 1 and 2, which logging
settings do not affect. While a sweep runs, both descriptors write to a file, and we print to a
duplicate of the original standard output.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
import threading
from collections.abc import Iterator
from typing import Any, TextIO


class _Unread(io.FileIO):
    """Discards what can no longer be written, as after ``| head``: the sweep goes on."""

    has_failed = False

    def write(self, data: Any) -> int:
        if not self.has_failed:
            with contextlib.suppress(OSError):
                return super().write(data)
            self.has_failed = True
        return len(data)


@contextlib.contextmanager
def redirect_output(path: str) -> Iterator[TextIO]:
    """Redirect descriptors 1 and 2 to ``path``; yield the original standard output.

    If nobody reads it any more, what is written to it is discarded, from then on also outside the
    block.
    """
    if threading.current_thread() is not threading.main_thread():
        yield sys.stdout  # the descriptors also belong to the program's other threads
        return
    sys.stdout.flush()
    sys.stderr.flush()
    saved_out, saved_err = os.dup(1), os.dup(2)
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    raw = _Unread(os.dup(saved_out), "w")
    real = io.TextIOWrapper(io.BufferedWriter(raw), encoding="utf-8", line_buffering=True)
    try:
        os.dup2(log, 1)
        os.dup2(log, 2)
        yield real
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os.dup2(saved_out, 1)
        os.dup2(saved_err, 2)
        for descriptor in (saved_out, saved_err, log):
            os.close(descriptor)
        real.close()
        if raw.has_failed:
            _discard(1)


def _discard(descriptor: int) -> None:
    """Discard what is written to a descriptor from now on."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)
