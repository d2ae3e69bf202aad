"""Run 1,000 trials at once in 30 processes on simulated nodes, and then 10,000 trials.

``python -m benchmarks many``. The trials sleep, so that thousands can run at the same time on a
small machine. The benchmark measures the time beyond their sleep and the memory of each process.
"""

from __future__ import annotations

import argparse
import os
import re
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orchestrator.engines.ray.settings  # noqa: F401  before Ray
from benchmarks.processes import PLUGIN, ROOT, sweep, watched_parts
from results.storage.reading import read_sweep

KINDS = {
    "driver": re.compile(r"orchestrator sweep noop"),
    "workers": re.compile(r"^ray::(PackTrainable|.*Trainable)"),
    "mailbox": re.compile(r"^ray::Mailbox"),
    "Ray's control (gcs)": re.compile(r"gcs_server"),
    "Ray on each node": re.compile(r"raylet"),
}
SAMPLE_SECONDS = 2.0


@dataclass(kw_only=True)
class Memory:
    """The maximum memory of each kind of process in MB: of one process, and of all together."""

    each: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    together: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    number: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def sample(self) -> None:
        """Read the memory of every process once."""
        found: dict[str, list[float]] = defaultdict(list)
        for process in Path("/proc").iterdir():
            if not process.name.isdigit():
                continue
            try:
                line = (process / "cmdline").read_text().replace("\0", " ")
                kind = next((k for k, pattern in KINDS.items() if pattern.search(line)), None)
                if kind is not None:
                    found[kind].append(_proportional(process))
            except (OSError, StopIteration):
                continue  # the process has just ended
        for kind, sizes in found.items():
            self.each[kind] = max(self.each[kind], *sizes)
            self.together[kind] = max(self.together[kind], sum(sizes))
            self.number[kind] = max(self.number[kind], len(sizes))


def _proportional(process: Path) -> float:
    """Return the proportional set size in MB, which divides shared pages among processes."""
    lines = (process / "smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


@contextmanager
def watched() -> Iterator[Memory]:
    """Measure the memory of all processes while the block runs."""
    memory, stop = Memory(), threading.Event()

    def watch() -> None:
        while not stop.wait(SAMPLE_SECONDS):
            memory.sample()

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield memory
    finally:
        stop.set()
        thread.join()


def max_concurrent(spans: list[tuple[float, float]]) -> int:
    """Return the maximum number of time spans that overlap."""
    changes = sorted([(began, 1) for began, _ in spans] + [(ended, -1) for _, ended in spans])
    now = maximum = 0
    for _, change in changes:
        now += change
        maximum = max(maximum, now)
    return maximum


def measure(address: str, number: int, steps: int, seconds: float) -> None:
    """Run a sweep of ``number`` trials and print its cost."""
    with tempfile.TemporaryDirectory() as folder, watched() as memory:
        out, space = Path(folder) / "out", Path(folder) / "space.py"
        space.write_text(f"GRID = {{'x': list(range({number}))}}\n")
        settings = (f"--set=steps={steps}", f"--set=seconds={seconds}")
        options = ("--address", address, "--cpus-per-trial=1", "--space", str(space))
        with watched_parts(out, "noop") as durable:
            done = sweep("noop", out, *options, *settings)
        rows: list[Any] = read_sweep(str(out), "noop", "bench").rows()
    assert len(rows) == number
    assert {row["status"] for row in rows} == {"finished"}
    spans = [(r["metric.began"], r["metric.began"] + r["metric.lasted"]) for r in rows]
    processes = {row["metric.pid"] for row in rows}
    asleep = steps * seconds * number / max_concurrent(spans)
    duration = durable[-1] - min(began for began, _ in spans)
    print(f"{number} trials of {steps} steps, {seconds:g} s each")
    print(f"  at once: {max_concurrent(spans)} trials in {len(processes)} processes")
    print(f"  from the first start to the last result {duration:.1f} s; asleep {asleep:.1f} s")
    print(f"  beyond the sleep {1000 * (duration - asleep) / number:.2f} ms per trial")
    print(f"  the whole command {done.seconds:.1f} s; the driver {done.megabytes:.0f} MB")
    for kind in KINDS:
        print(
            f"  {kind}: {memory.number[kind]} processes, {memory.together[kind]:.0f} MB together, "
            f"the largest {memory.each[kind]:.0f} MB"
        )


def main() -> None:
    """Start the simulated nodes and run the sweeps."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--trials", type=int, nargs="+", default=[1000, 10_000])
    parser.add_argument("--nodes", type=int, default=5)
    parser.add_argument("--workers", type=int, default=30)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0)
    options = parser.parse_args()
    os.environ |= {"PYTHONPATH": f"{PLUGIN}{os.pathsep}{ROOT}", "RAY_USAGE_STATS_ENABLED": "0"}
    from ray.cluster_utils import Cluster

    start = time.perf_counter()
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    for number in range(options.nodes):
        num_cpus = options.workers // options.nodes + (number < options.workers % options.nodes)
        cluster.add_node(num_cpus=num_cpus)
    print(f"{options.nodes} nodes and a head started in {time.perf_counter() - start:.1f} s")
    try:
        for number in options.trials:
            measure(cluster.address, number, options.steps, options.seconds)
    finally:
        cluster.shutdown()


if __name__ == "__main__":
    main()
