"""Keep other programs' chatter off the user's terminal.

Ray's C++ processes and their children write straight to file descriptors 1 and 2, which no logging
setting reaches. While a sweep runs both go to a file, and we write to a duplicate of the real ones.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import TextIO


@contextlib.contextmanager
def chatter_to(path: str) -> Iterator[TextIO]:
    """Send descriptors 1 and 2 to ``path``; yields a text stream on the real standard output."""
    sys.stdout.flush()
    sys.stderr.flush()
    saved_out, saved_err = os.dup(1), os.dup(2)
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    real = os.fdopen(os.dup(saved_out), "w", encoding="utf-8", buffering=1)
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
