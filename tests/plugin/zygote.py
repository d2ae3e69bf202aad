"""Runs sweeps in forked processes that kill themselves at a chosen moment, and says how they ended.

One request a line on stdin:

    args                 of the command
    log                  the file for what it prints
    kill                 the moment to die at (``arm``), or null
    most_configurations  whose weights stay while it runs, or null for as many as usual

One answer a line on stdout: the wait status's signal (0 if it ended by itself) and exit status.
A fork of a process that has imported everything takes milliseconds where a new one takes a second,
which is what makes kills by the hundred affordable. The moment is an audit event of Python's own
(``open``, ``os.rename``). Of the product one more number is changed: no result waits for others to
share its part, since a sweep of milliseconds would else be one part and have nothing to compact.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import signal
import sys
import threading
import time
from typing import Any

from orchestrator.cli import main
from orchestrator.saving import keeping
from results.storage import group_commit

#: What a sweep on the local engine imports on its way.
PRELOADED = (
    "torch",
    "typer._adapters",
    "fragile_space",
    "orchestrator.search.study",
    "orchestrator.engines.local",
    "orchestrator.running.sweep",
    "results.tables.summary",
)

group_commit.GATHER_SECONDS = 0.0


def arm(kill: dict[str, Any]) -> None:
    """Die of SIGKILL ``then`` seconds after the count-th event that matches."""
    left = [int(kill["count"])]
    pattern, event = re.compile(kill["match"]), kill["event"]

    def hook(name: str, args: tuple[Any, ...]) -> None:
        if name != event or not pattern.search(" ".join(str(arg) for arg in args)):
            return
        left[0] -= 1
        if left[0] == 0:
            if kill["then"]:
                threading.Thread(target=die_after, args=(kill["then"],), daemon=True).start()
            else:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


def die_after(seconds: float) -> None:
    """In a thread of its own."""
    time.sleep(seconds)
    os.kill(os.getpid(), signal.SIGKILL)


def run(request: dict[str, Any]) -> tuple[int, int]:
    """(signal, exit status) of one forked sweep."""
    pid = os.fork()
    if pid == 0:
        log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(log, 1)
        os.dup2(log, 2)
        sys.argv = ["orchestrator", *request["args"]]
        keeping.MAX_CONFIGURATIONS = request["most_configurations"] or keeping.MAX_CONFIGURATIONS
        if request["kill"]:
            arm(request["kill"])
        try:
            main()
        except SystemExit as end:
            sys.stdout.flush()
            os._exit(int(end.code or 0))
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    return (os.WTERMSIG(status), 0) if os.WIFSIGNALED(status) else (0, os.WEXITSTATUS(status))


if __name__ == "__main__":
    for module in PRELOADED:
        importlib.import_module(module)
    for line in sys.stdin:
        print(json.dumps(run(json.loads(line))), flush=True)
