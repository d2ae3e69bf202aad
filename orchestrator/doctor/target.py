"""What ``doctor`` checks, and the file that shows whether nodes share the driver's folder."""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field

import pyarrow.fs

from orchestrator.doctor.node_probe import missing_folders
from orchestrator.request import Request
from results.storage.filesystem import open_filesystem


@dataclass(frozen=True, kw_only=True)
class Target:
    """The sweep that should run, and the cluster that should run it."""

    request: Request  # with an empty task if the user named none
    task: str | None
    address: str | None
    paths: list[str] = field(default_factory=list)  # of model and data, absolute
    hub_models: list[str] = field(default_factory=list)  # Hugging Face ids


@contextlib.contextmanager
def driver_marker(out: str) -> Iterator[str | None]:
    """Create a file under ``out`` that other nodes should see, and yield its name.

    Yields None if the file cannot be written.
    """
    filesystem, path = open_filesystem(out)
    local = isinstance(filesystem, pyarrow.fs.LocalFileSystem)
    created = missing_folders(path) if local else []
    name = f".doctor-{uuid.uuid4().hex}"
    try:
        filesystem.create_dir(path, recursive=True)
        with filesystem.open_output_stream(f"{path}/{name}") as stream:
            stream.write(b"a node that sees this file shares the driver's folder")
    except OSError:
        yield None
        return
    try:
        yield name
    finally:
        with contextlib.suppress(OSError):
            filesystem.delete_file(f"{path}/{name}")
        for folder in created:
            with contextlib.suppress(OSError):
                os.rmdir(folder)
