"""Computes the number of workers and the CPUs and GPUs of each. Does not import Ray."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from tasks.contract import RequestError

STAGE_GPU_FRACTION = 0.1  # of each worker's GPU share, left to stages so that they can always run
MAX_MEMORY_FRACTION = 0.8  # of a device's memory that trials may use
#: GPUs per worker: a fraction, 1, or a number of whole GPUs; auto: from a trial's measured memory.
Gpus = float | Literal["auto"]
Node = Mapping[str, float]  # a node's resources by Ray's names, such as CPU, GPU and memory


@dataclass(frozen=True, kw_only=True, slots=True)
class Placement:
    """The number of workers and the resources of each."""

    num_workers: int
    cpus: int  # per worker, also its number of threads
    gpus: float  # per worker, including the part left to stages; 0 without GPUs


def initial_gpus(gpus: Gpus) -> float:
    """Return the GPUs per worker before the memory of a trial has been measured."""
    return 1.0 if gpus == "auto" else gpus


def processes_per_trial(gpus: Gpus) -> int:
    """Return the number of processes that compute a trial together: one per GPU."""
    return max(1, int(initial_gpus(gpus)))


def stage_gpus(gpus: float) -> float:
    """Return the part of a worker's GPUs that is left to stages.

    Ray shares one GPU, but not several. Stages of trials with several GPUs run on the CPU.
    """
    return gpus * STAGE_GPU_FRACTION if gpus <= 1 else 0.0


def place_workers(
    nodes: Sequence[Node],
    *,
    max_packs: int | None,
    cpus_per_trial: int | None,
    gpus_per_trial: float,
) -> Placement:
    """Return as many workers as fit on the nodes, each with as many CPUs as possible.

    Args:
        nodes: the resources of each node.
        max_packs: the maximum number of workers, None for no limit.
        cpus_per_trial: CPUs per worker, None to split the CPUs evenly.
        gpus_per_trial: GPUs per worker; up to 1 it is ignored if no node has a GPU.

    Raises:
        RequestError: if no worker fits on any node.
    """
    has_gpu = gpus_per_trial > 1 or any(node.get("GPU") for node in nodes)
    gpus = gpus_per_trial if has_gpu else 0.0
    num_workers = num_fitting_workers(nodes, cpus_per_trial or 1, gpus)
    if num_workers < 1:
        sizes = {f"{node.get('CPU', 0):g} CPUs and {node.get('GPU', 0):g} GPUs" for node in nodes}
        raise RequestError(
            f"no node can fit a trial, which needs {cpus_per_trial or 1} CPUs and {gpus:g} GPUs "
            f"(nodes have {' or '.join(sorted(sizes))}); lower --cpus-per-trial or --gpus-per-trial"
        )
    if max_packs is not None:
        num_workers = max(1, min(num_workers, max_packs))
    cpus = cpus_per_trial or 1
    if cpus_per_trial is None:
        while num_fitting_workers(nodes, cpus + 1, gpus) >= num_workers:
            cpus += 1
    return Placement(num_workers=num_workers, cpus=cpus, gpus=gpus)


def place_measured_workers(
    nodes: Sequence[Node],
    before: Placement,
    *,
    peak: int,
    capacity: int,
    max_packs: int | None,
    min_num_packs: int | None,
    cpus_per_trial: int | None,
) -> Placement:
    """Return as many workers as the memory allows, given the measured memory of a trial.

    With GPUs, several workers share a GPU only if there are more packs of maximum size than GPUs,
    because trials in one pack share inputs. Without GPUs, the main memory of the nodes limits the
    number of workers.

    Args:
        nodes: the resources of each node.
        before: the placement for the measurement.
        peak: the bytes that a process with one trial uses.
        capacity: the bytes of the device's memory.
        max_packs: the maximum number of workers, None for no limit.
        min_num_packs: the number of packs of maximum size, None if unknown.
        cpus_per_trial: CPUs per worker, None to split the CPUs evenly.
    """
    if not before.gpus:
        fit = sum(int(MAX_MEMORY_FRACTION * node.get("memory", 0) / peak) for node in nodes)
        return place_workers(
            nodes,
            max_packs=max(1, min(before.num_workers, fit)),
            cpus_per_trial=cpus_per_trial,
            gpus_per_trial=1.0,
        )
    limit: float = math.inf if min_num_packs is None else max(before.num_workers, min_num_packs)
    if max_packs is not None:
        limit = min(limit, max_packs)
    cpus = cpus_per_trial or 1
    per_gpu = range(1, max(1, int(MAX_MEMORY_FRACTION * capacity / peak)) + 1)
    totals = [min(num_fitting_workers(nodes, cpus, 1 / number), limit) for number in per_gpu]
    # The fewest workers per GPU that reach the maximum: Ray fills one GPU before the next.
    chosen = per_gpu[totals.index(max(totals))]
    return place_workers(
        nodes,
        max_packs=None if math.isinf(limit) else int(limit),
        cpus_per_trial=cpus_per_trial,
        gpus_per_trial=1 / chosen,
    )


def main_memory(nodes: Sequence[Node], num_workers: int) -> int | None:
    """Return the bytes of main memory per worker, None if the nodes do not report it."""
    return int(sum(n.get("memory", 0) for n in nodes if n.get("CPU")) / num_workers) or None


def num_fitting_workers(nodes: Sequence[Node], cpus: int, gpus: float) -> int:
    """Return the number of workers that fit, each on one node, as are all of its GPUs."""
    total = 0
    for node in nodes:
        fit = int(node.get("CPU", 0) // cpus)
        if gpus:
            found = int(node.get("GPU", 0))
            fit = min(fit, found * int(1 / gpus + 1e-9) if gpus <= 1 else int(found // gpus))
        total += fit
    return total
