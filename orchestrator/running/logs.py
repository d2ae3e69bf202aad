"""The log of a run: ``logs/<start>.log`` in the sweep's folder.

It holds what other libraries print while trials run, and the messages of this project's loggers.
"""

from __future__ import annotations

import contextlib
import logging
import os
import tempfile
from collections.abc import Callable, Iterator

import pyarrow.fs

from orchestrator.running.run import Run
from results.redaction import redact
from tasks.contract import StoreError, SweepError

LOGGER = logging.getLogger("orchestrator")


@contextlib.contextmanager
def run_log(run: Run) -> Iterator[str]:
    """Yield the path of a local file for the log, and upload it if the sweep is in a bucket.

    Adds the place of the log to an error that passes through, unless the log is empty.
    """
    is_local = isinstance(run.store.filesystem, pyarrow.fs.LocalFileSystem)
    name = run.log_name
    with contextlib.ExitStack() as stack:
        folder = f"{run.store.path}/logs"
        if is_local:
            try:
                os.makedirs(folder, exist_ok=True)
            except OSError as error:
                reason = error.strerror or error
                raise StoreError(f"cannot write to {folder}: {reason}; use another --out") from None
        path = f"{folder if is_local else stack.enter_context(_scratch())}/{name}"
        try:
            yield path
        except BaseException as error:
            where = _keep(run, path, name)
            if where and isinstance(error, SweepError):
                error.args = (f"{error}; the log is {where}",)
            elif where and isinstance(error, Exception):
                error.add_note(f"The log is {where}")
            raise
        _keep(run, path, name)


def _scratch() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="orchestrator-")


def _keep(run: Run, path: str, name: str) -> str:
    """Upload the log if needed and return its place, or delete it if it is empty."""
    if not os.path.exists(path):
        return ""
    if not os.path.getsize(path):
        os.unlink(path)
        with contextlib.suppress(OSError):  # the folder holds logs of failed trials
            os.rmdir(os.path.dirname(path))
        return ""
    if path == f"{run.store.path}/logs/{name}":
        return path
    with open(path, "rb") as file:
        run.logged += file.read()
    with contextlib.suppress(StoreError):
        run.store.write_log(name, run.logged)
    return redact(f"{run.request.out.rstrip('/')}/{run.plan.task.name}/{run.plan.name}/logs/{name}")


@contextlib.contextmanager
def logging_to(path: str, say: Callable[[str], None] | None) -> Iterator[None]:
    """Write the messages of this project's loggers to a file, and pass them to ``say``."""
    file = logging.FileHandler(path, encoding="utf-8")
    file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    handlers: list[logging.Handler] = [file]
    if say is not None:
        handlers.append(_CallbackHandler(say))
    before = LOGGER.level, LOGGER.propagate
    LOGGER.setLevel(logging.INFO)
    LOGGER.propagate = False
    for handler in handlers:
        LOGGER.addHandler(handler)
    try:
        yield
    finally:
        for handler in handlers:
            LOGGER.removeHandler(handler)
        LOGGER.level, LOGGER.propagate = before
        file.close()


class _CallbackHandler(logging.Handler):
    """Passes each message to a function."""

    def __init__(self, say: Callable[[str], None]) -> None:
        super().__init__()
        self._say = say

    def emit(self, record: logging.LogRecord) -> None:
        self._say(record.getMessage())
