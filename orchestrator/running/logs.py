"""The log of a run: ``logs/<start>.log`` in the sweep's folder.

It takes what other programs print while trials run, and what this project's loggers say.
"""

from __future__ import annotations

import contextlib
import logging
import os
import tempfile
from collections.abc import Callable, Iterator

import pyarrow.fs

from orchestrator.running.run import Run
from results.storage.filesystem import redact
from tasks.contract import StoreError, SweepError

LOGGER = logging.getLogger("orchestrator")


@contextlib.contextmanager
def run_log(run: Run) -> Iterator[str]:
    """The path of a local file to write to; it ends up in the sweep's folder or bucket.

    An error that passes through names the log, unless nothing was written to it.
    """
    is_local = isinstance(run.store.filesystem, pyarrow.fs.LocalFileSystem)
    name = f"{run.started:%Y-%m-%dT%H-%M-%S}.log"
    with contextlib.ExitStack() as stack:
        folder = f"{run.store.path}/logs"
        if is_local:
            try:
                os.makedirs(folder, exist_ok=True)
            except OSError as error:
                raise StoreError(f"cannot write to {folder}: {error.strerror or error}") from None
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
    """Where the log is kept; an empty one is deleted."""
    if not os.path.exists(path):
        return ""
    if not os.path.getsize(path):
        os.unlink(path)
        with contextlib.suppress(OSError):  # there are logs of failed trials
            os.rmdir(os.path.dirname(path))
        return ""
    if path == f"{run.store.path}/logs/{name}":
        return path
    with open(path, "rb") as file, contextlib.suppress(StoreError):
        run.store.write_log(name, file.read())
    return redact(f"{run.request.out.rstrip('/')}/{run.plan.task.name}/{run.plan.name}/logs/{name}")


@contextlib.contextmanager
def logging_to(path: str, say: Callable[[str], None] | None) -> Iterator[None]:
    """Write what this project's loggers say to the file, and give it to ``say`` if wanted."""
    file = logging.FileHandler(path, encoding="utf-8")
    file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    handlers: list[logging.Handler] = [file]
    if say is not None:
        handlers.append(_Say(say))
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


class _Say(logging.Handler):
    """Gives each message to the view."""

    def __init__(self, say: Callable[[str], None]) -> None:
        super().__init__()
        self._say = say

    def emit(self, record: logging.LogRecord) -> None:
        self._say(record.getMessage())
