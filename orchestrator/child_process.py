"""A process of this package that another one starts, and the pipe between them.

The child imports what its parent can import, and Ctrl-C is for the parent only. It ends when the
parent does, however that ends: a thread of the child waits for the end of the pipe.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from multiprocessing.connection import Connection
from queue import Queue
from types import MappingProxyType
from typing import IO, Any

SIGNALS = {signal.SIGINT, signal.SIGTERM}


def start_child(
    module: str, *, output: IO[bytes], environment: Mapping[str, str] = MappingProxyType({})
) -> tuple[subprocess.Popen[bytes], Connection]:
    """Start a module, which creates a ``ParentPipe``; return its process and the other end.

    Args:
        module: the module's name.
        output: the file for what it prints.
        environment: changes of its environment.
    """
    connection, theirs = multiprocessing.Pipe()
    paths = [os.path.abspath(path) for path in sys.path]
    # -P: the working directory is on the path only if it is on that of this process.
    command = [sys.executable, "-P", "-m", module, str(theirs.fileno())]
    with theirs, _signals_blocked():
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), **environment},
            pass_fds=[theirs.fileno()],
            process_group=0,  # Ctrl-C is for the parent
        )
    return process, connection


@contextmanager
def _signals_blocked() -> Iterator[None]:
    """Block signals in a new process until it has set its handlers."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def describe_end(process: subprocess.Popen[bytes]) -> str:
    """Wait for the end of a process, and return how it ended."""
    status = process.wait()
    if status < 0:
        return f"was killed by {signal.Signals(-status).name}"
    return f"exited with status {status}"


class ParentPipe:
    """The child's end of the pipe, whose descriptor is its first argument."""

    def __init__(self) -> None:
        """Unblock signals and start to receive messages."""
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        descriptor = int(sys.argv[1])
        os.set_inheritable(descriptor, False)  # the end of this process must close the pipe
        self._connection = Connection(descriptor)
        self._inbox: Queue[Any] = Queue()
        #: Called when the parent has ended, before this process ends at once.
        self.on_end: Callable[[], None] = lambda: None
        threading.Thread(target=self._receive, daemon=True).start()

    def receive(self) -> Any:
        """Wait for the next message and return it."""
        return self._inbox.get()

    def send(self, message: Any) -> None:
        """Send a message."""
        self._connection.send(message)

    def _receive(self) -> None:
        try:
            while True:
                self._inbox.put(self._connection.recv())
        except (EOFError, OSError):
            self.on_end()
            os._exit(0)
        except BaseException:  # a message that cannot be read here
            traceback.print_exc()
            sys.stderr.flush()
            os._exit(1)
