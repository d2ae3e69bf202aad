"""Run and time commands, from the start of the process to its end."""

from __future__ import annotations

import importlib.util
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from results.storage.reading import read_sweep

ROOT = Path(__file__).parents[1]
PLUGIN = ROOT / "benchmarks" / "plugin"


@dataclass(frozen=True, kw_only=True, slots=True)
class Finished:
    """A finished command and its cost."""

    seconds: float
    megabytes: float  # of the largest process, usually the command itself
    began: float  # a time of ``time.time``
    output: str


def run(command: Sequence[str], variables: Mapping[str, str] | None = None) -> Finished:
    """Run a command in the project's root. If it fails, print its output and exit."""
    path = os.pathsep.join([str(PLUGIN), str(ROOT)])
    environment = {**os.environ, "PYTHONPATH": path, "RAY_USAGE_STATS_ENABLED": "0"}
    environment |= variables or {}
    began, clock = time.time(), time.perf_counter()
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert process.stdout is not None
    output = process.stdout.read().decode(errors="replace")
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - clock
    if status:
        sys.exit(f"{' '.join(command)} failed with status {status}:\n{output[-4000:]}")
    megabytes = usage.ru_maxrss / 1024
    return Finished(seconds=seconds, megabytes=megabytes, began=began, output=output)


def peer(name: str, *arguments: str) -> Finished:
    """Run a module of ``benchmarks.peers``."""
    return run([sys.executable, "-m", f"benchmarks.peers.{name}", *arguments])


def printed(done: Finished) -> float:
    """Return the number that a peer printed."""
    line = next(line for line in done.output.splitlines() if line.startswith("RESULT"))
    return float(line.split()[1])


def has_syne_tune() -> bool:
    """Return whether Syne Tune is installed; print a line if it is not."""
    if importlib.util.find_spec("syne_tune"):
        return True
    print("skipping Syne Tune, which is not installed: see benchmarks/README.md")
    return False


def sweep(task: str, out: Path, *options: str, name: str = "bench") -> Finished:
    """Run a sweep by the command line."""
    program = [sys.executable, "-m", "orchestrator", "sweep", task, "--name", name]
    return run([*program, "--out", str(out), *options])


def ends(out: Path, task: str, name: str = "bench") -> list[float]:
    """Return the end of each trial of a sweep, in order, as times of ``time.time``."""
    rows: list[Any] = read_sweep(str(out), task, name).rows()
    times: list[datetime] = [row["ended"] for row in rows]
    return sorted(time.timestamp() for time in times)


@contextmanager
def watched_parts(out: Path, task: str, name: str = "bench") -> Iterator[list[float]]:
    """Record when each part of a sweep's results was on disk, as times of ``time.time``.

    The parts are watched while the block runs, because they are compacted later. The list is filled
    at the end of the block.
    """
    folder, stop = out / task / name / "trials", threading.Event()
    seen: dict[str, float] = {}
    times: list[float] = []

    def watch() -> None:
        while not stop.wait(0.01):
            with suppress(OSError):  # the folder does not exist yet, or a part was compacted
                for part in folder.glob("*-trials-*.parquet"):
                    if part.name not in seen:
                        seen[part.name] = part.stat().st_mtime

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield times
    finally:
        stop.set()
        thread.join()
        times += sorted(seen.values())


def spread(values: Sequence[float], form: str = ".2f") -> str:
    """Return ``median (minimum to maximum)``."""
    middle = statistics.median(values)
    return f"{middle:{form}} ({min(values):{form}} to {max(values):{form}})"
