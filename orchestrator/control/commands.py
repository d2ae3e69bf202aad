"""Commands to a driver, and its answers, as files in the sweep's folder."""

from __future__ import annotations

import dataclasses
import getpass
import socket
import time
import uuid
from dataclasses import dataclass
from typing import Literal

import pyarrow.fs

from orchestrator.control.drivers import FILE, FOLDER, Driver
from orchestrator.control.json_files import read_printable, write_json
from results.storage.folder_files import list_files
from tasks.contract import StoreError

Action = Literal["pause", "resume", "stop", "cancel"]

_ANSWER = ".answer"


@dataclass(frozen=True, kw_only=True, slots=True)
class Command:
    """What a user asks a driver to do."""

    action: Action
    trial: str = ""  # of cancel: a trial id, or a unique prefix
    reason: str = ""  # of cancel
    name: str = ""  # of its file; set by ``send`` and ``read_commands``


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What a driver did."""

    done: bool  # False if it could not
    message: str  # one line for the user
    trial_id: str = ""  # of cancel


def cancelled_by() -> str:
    """Return the reason of a cancellation for which the user gives none."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # a container whose user has no name
        user = "a user"
    return f"cancelled by {user}@{socket.gethostname()}"


def send(
    filesystem: pyarrow.fs.FileSystem, sweep_path: str, driver: Driver, command: Command
) -> str:
    """Write a command for a driver; return the name of its file.

    Raises:
        StoreError: if it cannot be written.
    """
    # Named by time, so that the driver follows commands in order.
    name = f"{time.time_ns():020d}-{uuid.uuid4().hex[:4]}-{command.action}"
    named = dataclasses.replace(command, name=name)
    write_json(filesystem, f"{_folder(sweep_path, driver)}/{name}.json", named)
    return name


def read_commands(
    filesystem: pyarrow.fs.FileSystem, sweep_path: str, driver: Driver
) -> list[Command]:
    """Return the commands that a driver has not answered, in order. Damaged ones are left out."""
    names = _names(filesystem, sweep_path, driver)
    answered = {name.removesuffix(_ANSWER) for name in names if name.endswith(_ANSWER)}
    found = []
    for file in names:
        name = file.removesuffix(".json")
        if file == FILE or not file.endswith(".json") or name in answered:
            continue
        command = read_printable(filesystem, f"{_folder(sweep_path, driver)}/{file}", Command)
        if command is not None:
            found.append(dataclasses.replace(command, name=name))
    return found


def write_answer(
    filesystem: pyarrow.fs.FileSystem,
    sweep_path: str,
    driver: Driver,
    command: Command,
    answer: Answer,
) -> None:
    """Answer a command.

    Raises:
        StoreError: if it cannot be written.
    """
    write_json(filesystem, f"{_folder(sweep_path, driver)}/{command.name}{_ANSWER}", answer)


def read_answer(
    filesystem: pyarrow.fs.FileSystem, sweep_path: str, driver: Driver, name: str
) -> Answer | None:
    """Return the answer to the command in the file ``name``; None if there is none yet."""
    return read_printable(filesystem, f"{_folder(sweep_path, driver)}/{name}{_ANSWER}", Answer)


def _names(filesystem: pyarrow.fs.FileSystem, sweep_path: str, driver: Driver) -> list[str]:
    try:
        found = list_files(filesystem, _folder(sweep_path, driver), recursive=False)
    except StoreError:  # a bucket that does not answer; the driver looks again
        return []
    return [str(info.base_name) for info in found]


def _folder(sweep_path: str, driver: Driver) -> str:
    return f"{sweep_path}/{FOLDER}/{driver.id}"
