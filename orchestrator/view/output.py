"""Keeps the output of other programs off the terminal, and ours from ending a sweep.

Ray's C++ processes and their children write directly to file descriptors 1 and 2, which logging
settings do not affect. While a sweep runs, both descriptors write to a file, and we print to a
duplicate of the original standard output.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import select
import sys
import threading
from collections.abc import Iterator
from typing import Any, TextIO

_GONE = (errno.EPIPE, errno.ECONNRESET)  # errors of writing after the reader has exited


class _Output(io.FileIO):
    """Discards what is written after the reader has exited.

    It has no buffer, because a signal handler that prints could not take the lock of one.
    """

    def __init__(self, descriptor: int, *, closefd: bool) -> None:
        super().__init__(descriptor, "w", closefd=closefd)
        self._gone = (*_GONE, errno.EIO) if self.isatty() else _GONE

    def write(self, data: Any) -> int:
        rest = memoryview(data)
        while rest:
            try:
                number: int | None = super().write(rest)
            except OSError as error:
                if error.errno not in self._gone:
                    raise
                break
            if number is None:  # the pipe is full and does not block
                poll = select.poll()
                poll.register(self, select.POLLOUT)
                poll.poll()
            else:
                rest = rest[number:]
        return len(data)


def open_output(
    descriptor: int, *, encoding: str = "utf-8", errors: str = "strict", closefd: bool = True
) -> TextIO:
    """Return a stream that discards what is written after its reader has exited."""
    raw: Any = _Output(descriptor, closefd=closefd)
    return io.TextIOWrapper(raw, encoding=encoding, errors=errors, line_buffering=True)


def outlive_readers() -> None:
    """Keep this process running after the reader of its output has exited, such as ``head``.

    Otherwise, the first line that cannot be written would end it.
    """
    for descriptor, name in ((1, "stdout"), (2, "stderr")):
        stream: Any = getattr(sys, name)
        if stream is None:  # it was closed when the process started
            setattr(sys, name, _open_nothing(descriptor))
            continue
        if stream is not getattr(sys, f"__{name}__"):
            continue  # a test or a notebook has replaced it
        stream.flush()
        of_stream = {"encoding": stream.encoding, "errors": stream.errors}
        setattr(sys, name, open_output(stream.fileno(), closefd=False, **of_stream))


def _open_nothing(descriptor: int) -> TextIO:
    """Return a stream for a closed descriptor, which another file would get otherwise."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    if nowhere != descriptor:
        os.dup2(nowhere, descriptor)
        os.close(nowhere)
    return open_output(descriptor, closefd=False)


@contextlib.contextmanager
def redirect_output(path: str) -> Iterator[TextIO]:
    """Redirect descriptors 1 and 2 to ``path``; yield the original standard output."""
    if threading.current_thread() is not threading.main_thread():
        yield sys.stdout  # the descriptors also belong to the program's other threads
        return
    sys.stdout.flush()
    sys.stderr.flush()
    saved_out, saved_err = os.dup(1), os.dup(2)
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    real = open_output(os.dup(saved_out))
    try:
        os.dup2(log, 1)
        os.dup2(log, 2)
        yield real
    finally:
        with contextlib.suppress(OSError):  # of the log
            sys.stdout.flush()
            sys.stderr.flush()
        os.dup2(saved_out, 1)
        os.dup2(saved_err, 2)
        for descriptor in (saved_out, saved_err, log):
            os.close(descriptor)
        real.close()
