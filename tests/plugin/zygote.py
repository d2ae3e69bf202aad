"""Forks commands from a process that has imported everything, for ``forked_commands.py``.

A fork takes milliseconds, a new interpreter seconds, most of them for imports. The forked process
is like any other: it receives signals, has its own standard output and exit status, and exits as
Python does.

Each line on stdin is a request:

    args                 of the command
    cwd, environment     of its process
    output               the folder for its ``stdout``, ``stderr``, ``stacks`` of its threads after
                         SIGUSR1 and, at the end, ``status``
    kill                 the moment to die at (``arm``), or null
    most_configurations  whose weights stay while it runs, or null for as many as usual
    gathers              whether results wait for others to share a part (the default)

Each line on stdout is an answer: the id of the process.
"""

from __future__ import annotations

import contextlib
import faulthandler
import importlib
import json
import os
import re
import signal
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

from orchestrator.cli import main

#: What a sweep imports on either engine.
PRELOADED = (
    "torch",
    "typer._adapters",
    "fragile",
    "fragile_space",
    "matplotlib.backends.backend_agg",
    "orchestrator.engines.local",
    "orchestrator.engines.ray.settings",  # before Ray itself
    "orchestrator.engines.ray.engine",
    "orchestrator.running.sweep",
    "orchestrator.search.optuna_searcher",
    "results.figures.saved",
    "results.tables.summary",
)


def arm(kill: dict[str, Any]) -> None:
    """Send this process SIGKILL or another signal, ``then`` seconds after the count-th event.

    Events are Python's audit events, such as ``open``; those whose arguments match are counted.
    """
    left = [int(kill["count"])]
    pattern, event = re.compile(kill["match"]), kill["event"]
    number = kill.get("signal", signal.SIGKILL)

    def hook(name: str, args: tuple[Any, ...]) -> None:
        if name != event or not pattern.search(" ".join(str(arg) for arg in args)):
            return
        left[0] -= 1
        if left[0] == 0:
            if kill["then"]:
                timer = threading.Timer(kill["then"], os.kill, (os.getpid(), number))
                timer.daemon = True
                timer.start()
            else:
                os.kill(os.getpid(), number)

    sys.addaudithook(hook)


def fork(request: dict[str, Any]) -> int | None:
    """Fork the command and a parent that writes its exit status. Returns None in the command."""
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.close(reader)
        pid = os.fork()
        if pid:
            os.write(writer, str(pid).encode())
        os.close(writer)
        if pid == 0:
            return None
        _, status = os.waitpid(pid, 0)
        file = Path(request["output"], "status")
        partial = file.with_suffix(".tmp")
        partial.write_text(str(os.waitstatus_to_exitcode(status)))
        partial.rename(file)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as answer:
        pid = int(answer.read(16))
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass  # parents of commands that have ended
    return pid


def become(request: dict[str, Any]) -> None:
    """Set the folder, environment, output and arguments of the command."""
    for number, name in ((0, os.devnull), (1, "stdout"), (2, "stderr")):
        path = Path(request["output"], name)
        flags = os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        os.dup2(os.open(path, flags), number)
    os.chdir(request["cwd"])
    # A shell that runs the tests in the background ignores it for all of them.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for name in BEFORE - request["environment"].keys():
        os.environ.pop(name, None)
    os.environ.update(request["environment"])
    tempfile.tempdir = None  # what was imported may have cached it for another TMPDIR
    sys.argv = ["orchestrator", *request["args"]]
    if request["most_configurations"]:
        from orchestrator.saving import keep_policy

        keep_policy.MAX_CONFIGURATIONS = request["most_configurations"]
    if not request["gathers"]:
        from results.storage import group_commit

        group_commit.GATHER_SECONDS = 0.0
    if request["kill"]:
        arm(request["kill"])
    # A test asks where a hanging command is. A sweep sends its stderr to its log.
    stacks = Path(request["output"], "stacks").open("w")  # noqa: SIM115
    faulthandler.register(signal.SIGUSR1, stacks)


if __name__ == "__main__":
    BEFORE = set(os.environ)
    for module in PRELOADED:
        importlib.import_module(module)
    for line in sys.stdin:
        request = json.loads(line)
        pid = fork(request)
        if pid is None:
            become(request)
            main()
        print(pid, flush=True)
    os.killpg(0, signal.SIGKILL)  # the tests have ended
