"""A process that computes trials together with rank 0, which starts it and sends it each step.

It ends when rank 0 does, whatever it is doing; see ``ParentPipe``.
"""

from __future__ import annotations

import os
import shutil
import sys
import traceback
from collections.abc import Sequence

from orchestrator.child_process import ParentPipe
from orchestrator.execution.events import to_failure
from orchestrator.execution.rank_messages import Advance, Answer, Setup, join, receive_tensors
from orchestrator.execution.worker_process import configure_worker
from tasks.contract import Member
from tasks.process_group import PeerError, joined


def main() -> None:
    """Serve rank 0 at the other end of the pipe."""
    pipe = ParentPipe()
    try:
        _serve(pipe.receive(), pipe)
    except BaseException as error:
        traceback.print_exc()
        pipe.send(Answer(failure=to_failure(error), by_peer=isinstance(error, PeerError)))
        sys.stderr.flush()
        os._exit(1)  # closes the sockets, so that no other rank waits for this one


def _serve(setup: Setup, pipe: ParentPipe) -> None:
    pipe.on_end = lambda: shutil.rmtree(setup.folder, ignore_errors=True)  # rank 0 was killed
    configure_worker(setup.threads)
    device = "cuda:0" if setup.on_gpu else "cpu"
    pipe.send(Answer())
    join(setup)
    members: Sequence[Member] = ()
    while True:
        message: Advance = pipe.receive()
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
        pipe.send(Answer())


if __name__ == "__main__":
    main()
