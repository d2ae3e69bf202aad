"""A file of events for TensorBoard.

``tensorboardX.SummaryWriter`` starts two threads for each file and takes milliseconds to open and
close it, which sweeps of thousands of short trials notice. This uses its parts directly.
"""

from __future__ import annotations

import os
import shutil
import socket
import struct
import sys
import time
from typing import Any

VERSION = "brain.Event:2"


def import_tensorboardx() -> None:
    """Import ``tensorboardX`` without torch, whose import takes more than a second."""
    if "torch" in sys.modules:
        import tensorboardX.summary
    else:
        sys.modules["torch"] = None  # type: ignore[assignment]
        try:
            import tensorboardX.summary  # noqa: F401
        finally:
            del sys.modules["torch"]


class EventFile:
    """Writes the events of one run."""

    def __init__(self, folder: str) -> None:
        """Replace the files in a run's folder.

        A TensorBoard that has read the deleted files forgets them.
        """
        from tensorboardX.proto.event_pb2 import Event, SessionLog

        try:
            os.makedirs(folder)
        except FileExistsError:
            shutil.rmtree(folder)
            os.makedirs(folder)
        name = f"events.out.tfevents.{int(time.time())}.{socket.gethostname()}"
        self._file = open(os.path.join(folder, name), "wb")  # noqa: SIM115
        self._write(Event(wall_time=time.time(), file_version=VERSION))
        start = SessionLog(status=SessionLog.START)
        self._write(Event(wall_time=time.time(), step=0, session_log=start))

    def add(self, summary: Any, step: int = 0) -> None:
        """Add a summary from ``tensorboardX.summary``."""
        from tensorboardX.proto.event_pb2 import Event

        self._write(Event(wall_time=time.time(), step=step, summary=summary))

    def _write(self, event: Any) -> None:
        """Write a record of TensorFlow: length and data, each followed by its checksum."""
        from tensorboardX.record_writer import masked_crc32c

        data = event.SerializeToString()
        length = struct.pack("<Q", len(data))
        sums = [struct.pack("<I", masked_crc32c(part)) for part in (length, data)]
        self._file.write(length + sums[0] + data + sums[1])

    def flush(self) -> None:
        """Let readers see what was added."""
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()
