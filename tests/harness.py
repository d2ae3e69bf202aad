"""Commands in this and other processes, sweeps that can be killed, and a small Ray cluster."""

from __future__ import annotations

import contextlib
import functools
import io
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import typer.main
from forked_commands import ForkedCommand
from paths import PYTHONPATH, ROOT

from orchestrator.cli import main
from results.storage.reading import read_sweep

# Typer builds its commands again at each call: half of the time of a command that is refused.
typer.main.get_command = functools.cache(typer.main.get_command)

GRID = "GRID = {'level': list(range(6)), 'stage': [0, 1]}\n"


class Run:
    """A sweep of the fragile task in a separate process."""

    def __init__(
        self,
        folder: Path,
        *args: str,
        space: str = GRID,
        out: str = "out",
        environment: Mapping[str, str] | None = None,
        name: str = "s",
        cwd: Path = ROOT,
    ) -> None:
        self.folder, self.notes = folder, folder / "notes"
        self.out = out if "://" in out or out.startswith("/") else str(folder / out)
        self.notes.mkdir(exist_ok=True)
        (folder / "space.py").write_text(space)
        command = ["sweep", "fragile", "--name", name, "--out", self.out]
        command += [f"--set=notes={self.notes}"]
        if not any(word.startswith("--checkpoint-interval") for word in args):
            command += ["--checkpoint-interval=0s"]  # so that a kill loses no finished step
        if "--space" not in args:
            command += ["--space", str(folder / "space.py")]
        self.process = ForkedCommand(*command, *args, cwd=cwd, environment=environment)

    def find(self, kind: str) -> list[tuple[str, int]]:
        """(what, pid) of the notes of one kind, in the order they were written."""
        names = [path.name.split(".") for path in self.notes.iterdir()]
        found = [n for n in names if n[0] == kind]
        return [(n[1], int(n[2])) for n in sorted(found, key=lambda n: int(n[3].partition("-")[2]))]

    def wait_for(self, condition: Callable[[], bool], seconds: float = 90) -> None:
        """Wait until the condition holds."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert self.process.poll() is None, self.process.communicate()[1]
            assert time.monotonic() < deadline, "the condition did not hold in time"
            time.sleep(0.01)

    def end(self, status: int = 0, seconds: float = 120) -> str:
        """Wait until it ends with this status; returns what it printed."""
        try:
            output, errors = self.process.communicate(timeout=seconds)
        except TimeoutError as error:
            logs = sorted(Path(self.out).glob("*/*/logs/*.log"))
            error.add_note("\n".join(log.read_text(errors="replace")[-8000:] for log in logs[-2:]))
            raise
        finally:
            self.process.kill()
        assert self.process.returncode == status, output + errors
        return output

    def totals(self) -> dict[tuple[int, int, int], float]:
        """(level, stage, seed) -> total of each finished trial."""
        rows = read_sweep(self.out, "fragile", "s").rows()
        keys = [(row["param.level"], row["param.stage"], row["seed"]) for row in rows]
        assert len(set(keys)) == len(keys)
        return {
            key: row["metric.total"]
            for key, row in zip(keys, rows, strict=True)
            if row["status"] == "finished"
        }


def interrupt(
    run: Run, status: int = 130, by: signal.Signals = signal.SIGINT
) -> tuple[str, str, float]:
    """Send one Ctrl-C; returns what the run printed on stdout and stderr, and its seconds."""
    run.process.send_signal(by)
    began = time.monotonic()
    output, errors = run.process.communicate(timeout=60)
    assert run.process.returncode == status, output + errors
    assert "Traceback" not in output + errors
    return " ".join(output.split()), " ".join(errors.split()), time.monotonic() - began


def engine_args(engine: str, cluster: str) -> tuple[str, ...]:
    """Options that run a sweep on the local engine, or on Ray at an address."""
    return ("--engine", "local") if engine == "local" else ("--address", cluster)


@contextmanager
def small_cluster(num_gpus: int = 1, **more: str) -> Iterator[str]:
    """The address of a cluster of one node with two CPUs and GPUs known only to Ray.

    ``more`` are environment variables of its processes.
    """
    import orchestrator.engines.ray.settings  # noqa: F401

    environment = {"PYTHONPATH": PYTHONPATH, **more}
    before = {name: os.environ.get(name) for name in environment}
    os.environ.update(environment)
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "num_gpus": num_gpus})
    try:
        yield made.address
    finally:
        made.shutdown()
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


class Done(NamedTuple):
    """The exit status of a command, and what it printed."""

    returncode: int
    stdout: str
    stderr: str


def run_command(*words: object, cwd: Path | None = None, **environment: str) -> Done:
    """Run a command in this process, in a folder and with additional environment variables.

    It calls the entry point of ``python -m orchestrator`` without the seconds that a process takes.
    """
    out, err, status = io.StringIO(), io.StringIO(), 0
    argv, before, folder = sys.argv, dict(os.environ), os.getcwd()
    try:
        sys.argv = ["orchestrator", *map(str, words)]
        os.environ.update(environment)
        os.chdir(cwd or folder)
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            main()
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    finally:
        sys.argv = argv
        os.environ.clear()
        os.environ.update(before)
        os.chdir(folder)
    return Done(returncode=status, stdout=out.getvalue(), stderr=err.getvalue())


def run_checked(*words: str, status: int = 0, width: int = 80) -> tuple[str, str]:
    """Run a command in this process; returns what it printed on stdout and stderr.

    It must exit with this status.
    """
    done = run_command(*words, COLUMNS=str(width))
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout, done.stderr


def run_wide(*words: object) -> Done:
    """Run a command in this process, with a terminal so wide that no line is wrapped."""
    return run_command(*words, COLUMNS="300")


def run_process(*words: object, cwd: Path = ROOT, **environment: str) -> Done:
    """Run a command in a separate process, which commands that start Ray need."""
    process = ForkedCommand(*map(str, words), cwd=cwd, environment=environment)
    out, err = process.communicate()
    assert process.returncode is not None
    return Done(returncode=process.returncode, stdout=out, stderr=err)


def command(*words: object, status: int = 0) -> str:
    """Run a command in this process; returns what it printed on both streams, on one line."""
    done = run_command(*words)
    assert done.returncode == status, done.stdout + done.stderr
    return " ".join((done.stdout + done.stderr).split())
