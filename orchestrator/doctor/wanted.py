"""What ``doctor`` is asked about, and how nodes can tell that they see the same folder."""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field

import pyarrow.fs

from orchestrator.doctor.node_probe import new_folders
from orchestrator.request import Request
from results.storage.filesystem import open_filesystem


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What is to run, and where."""

    request: Request  # its task is empty if none was named
    task: str | None
    address: str | None
    paths: list[str] = field(default_factory=list)  # of model and data, absolute
    hub: list[str] = field(default_factory=list)  # models by Hugging Face id


@contextlib.contextmanager
def driver_marker(out: str) -> Iterator[str | None]:
    """A file of a new name under ``out`` that other nodes should see; None if it cannot be."""
    filesystem, path = open_filesystem(out)
    local = isinstance(filesystem, pyarrow.fs.LocalFileSystem)
    made = new_folders(path) if local else []
    name = f".doctor-{uuid.uuid4().hex}"
    try:
        filesystem.create_dir(path, recursive=True)
        with filesystem.open_output_stream(f"{path}/{name}") as stream:
            stream.write(b"a node that sees this file sees the driver's folder")
    except OSError:
        yield None
        return
    try:
        yield name
    finally:
        with contextlib.suppress(OSError):
            filesystem.delete_file(f"{path}/{name}")
        for folder in made:
            with contextlib.suppress(OSError):
                os.rmdir(folder)
