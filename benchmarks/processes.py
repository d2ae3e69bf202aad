"""Commands timed as a user meets them: from the start of the process to its end."""

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
    """What a command cost."""

    seconds: float
    megabytes: float  # of the largest process that it waited for, itself as a rule
    began: float  # on the clock of ``time.time``
    output: str


def run(command: Sequence[str], variables: Mapping[str, str] | None = None) -> Finished:
    """Run a command in the project's root; its failure ends the benchmark with what it said."""
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
        sys.exit(f"{' '.join(command)} ended with {status}:\n{output[-4000:]}")
    megabytes = usage.ru_maxrss / 1024
    return Finished(seconds=seconds, megabytes=megabytes, began=began, output=output)


def peer(name: str, *arguments: str) -> Finished:
    """A module of ``benchmarks.peers``."""
    return run([sys.executable, "-m", f"benchmarks.peers.{name}", *arguments])


def printed(done: Finished) -> float:
    """The number that a peer printed."""
    line = next(line for line in done.output.splitlines() if line.startswith("RESULT"))
    return float(line.split()[1])


def has_syne_tune() -> bool:
    """Whether its peers can run; they are left out with a line where it is not installed."""
    if importlib.util.find_spec("syne_tune"):
        return True
    print("without Syne Tune, which is not installed here: see benchmarks/README.md")
    return False


def sweep(task: str, out: Path, *options: str, name: str = "bench") -> Finished:
    """A sweep by the command line."""
    program = [sys.executable, "-m", "orchestrator", "sweep", task, "--name", name]
    return run([*program, "--out", str(out), *options])


def ends(out: Path, task: str, name: str = "bench") -> list[float]:
    """When each trial of a sweep ended, in order, on the clock of ``time.time``."""
    rows: list[Any] = read_sweep(str(out), task, name).rows()
    times: list[datetime] = [row["ended"] for row in rows]
    return sorted(time.timestamp() for time in times)


@contextmanager
def watched_parts(out: Path, task: str, name: str = "bench") -> Iterator[list[float]]:
    """When each part of a sweep's results was on disk, on the clock of ``time.time``.

    The list is filled while the body runs: later, parts are compacted.
    """
    folder, over = out / task / name / "trials", threading.Event()
    seen: dict[str, float] = {}
    times: list[float] = []

    def look() -> None:
        while not over.wait(0.01):
            with suppress(OSError):  # not there yet, or a part just compacted
                for part in folder.glob("*-trials-*.parquet"):
                    if part.name not in seen:
                        seen[part.name] = part.stat().st_mtime

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield times
    finally:
        over.set()
        thread.join()
        times += sorted(seen.values())


def spread(values: Sequence[float], form: str = ".2f") -> str:
    """``median (minimum to maximum)``."""
    middle = statistics.median(values)
    return f"{middle:{form}} ({min(values):{form}} to {max(values):{form}})"
