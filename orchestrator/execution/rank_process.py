"""A process that computes trials together with rank 0, which starts it and sends it each step.

It ends when rank 0 does, whatever it is doing: a thread waits for the end of the pipe.
"""

from __future__ import annotations

import os
import shutil
import sys
import threading
import traceback
from collections.abc import Sequence
from multiprocessing.connection import Connection
from queue import Queue
from typing import Any

from orchestrator.execution.events import to_failure
from orchestrator.execution.rank_messages import Advance, Answer, Setup, join, receive_tensors
from orchestrator.execution.worker_process import configure_worker
from tasks.contract import Member
from tasks.process_group import PeerError, joined


def main() -> None:
    """Serve rank 0 at the other end of the pipe whose descriptor is the first argument."""
    connection = Connection(int(sys.argv[1]))
    inbox: Queue[Any] = Queue()
    threading.Thread(target=_receive, args=(connection, inbox), daemon=True).start()
    try:
        _serve(inbox.get(), connection, inbox)
    except BaseException as error:
        traceback.print_exc()
        answer = Answer(failure=to_failure(error), by_peer=isinstance(error, PeerError))
        connection.send(answer)
        sys.stderr.flush()
        os._exit(1)  # closes the sockets, so that no other rank waits for this one


def _receive(connection: Connection, inbox: Queue[Any]) -> None:
    """Put messages into the inbox; end the process when rank 0 has ended."""
    folder = ""
    try:
        while True:
            message = connection.recv()
            folder = message.folder if isinstance(message, Setup) else folder
            inbox.put(message)
    except (EOFError, OSError):
        shutil.rmtree(folder, ignore_errors=True)  # rank 0 was killed
        os._exit(0)
    except BaseException:  # a message that cannot be read here
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)


def _serve(setup: Setup, connection: Connection, inbox: Queue[Any]) -> None:
    configure_worker(setup.threads)
    device = "cuda:0" if setup.on_gpu else "cpu"
    connection.send(Answer())
    join(setup)
    members: Sequence[Member] = ()
    while True:
        message: Advance = inbox.get()
        with joined(setup.group):
            if message.states is not None:
                members = ()  # frees its memory first
                members = receive_tensors(setup.group, message.trials, message.states, device)
            results = setup.task.advance(members, message.inputs, device)
        for result in results:
            if isinstance(result, Exception):
                raise result
        members = [
            Member(trial=member.trial, state=result[0])
            for member, result in zip(members, results, strict=True)
            if not isinstance(result, Exception) and not result[1].done
        ]
        connection.send(Answer())


if __name__ == "__main__":
    main()
