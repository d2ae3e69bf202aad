"""How many slots the nodes of a cluster give, and what each of them gets. Arithmetic, no Ray."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from tasks.contract import RequestError

STAGE_SHARE = 0.1  # of a GPU, kept free of slots so that stages can always run
MEMORY_SHARE = 0.8  # of a device's memory that trials may fill; the rest is a margin
Gpus = float | Literal["auto"]  # of a slot; auto: by what the first trial uses
Node = Mapping[str, float]  # what it has, by Ray's names: CPU, GPU


@dataclass(frozen=True, kw_only=True, slots=True)
class Placement:
    """Slots of one size."""

    num_slots: int
    cpus: int  # of each slot, and the threads it computes with
    gpus: float  # of each slot, the stages' share included; 0 where there is no GPU


def whole(gpus: Gpus) -> float:
    """What a slot gets before anything has been measured."""
    return 1.0 if gpus == "auto" else gpus


def place(
    nodes: Sequence[Node],
    *,
    max_packs: int | None,
    cpus_per_trial: int | None,
    gpus_per_trial: float,
) -> Placement:
    """Slots for at most so many packs; where CPUs are not asked for, as many as there is room for.

    Raises:
        RequestError: if no node has room for one.
    """
    gpus = gpus_per_trial if any(node.get("GPU") for node in nodes) else 0.0
    slots = room(nodes, cpus_per_trial or 1, gpus)
    if slots < 1:
        sizes = {f"{node.get('CPU', 0):g} and {node.get('GPU', 0):g}" for node in nodes}
        raise RequestError(
            f"no slot fits: a trial asks for {cpus_per_trial or 1} CPUs and {gpus:g} GPUs of one "
            f"node, but a node has {' or '.join(sorted(sizes))}; lower --cpus-per-trial or "
            "--gpus-per-trial"
        )
    if max_packs is not None:
        slots = max(1, min(slots, max_packs))
    cpus = cpus_per_trial or 1
    if cpus_per_trial is None:
        while room(nodes, cpus + 1, gpus) >= slots:
            cpus += 1
    return Placement(num_slots=slots, cpus=cpus, gpus=gpus)


def place_measured(
    nodes: Sequence[Node],
    before: Placement,
    *,
    peak: int,
    capacity: int,
    max_packs: int | None,
    full_packs: int | None,
    cpus_per_trial: int | None,
) -> Placement:
    """As many slots as memory has room for, by what a process with one trial fills (bytes).

    With GPUs that are ``before`` one slot's each: a GPU has more slots only where there are more
    packs of full size than GPUs, since members of one pack share what they read. Without GPUs: no
    more slots than the nodes' main memory takes.
    """
    if not before.gpus:
        fit = sum(int(MEMORY_SHARE * node.get("memory", 0) / peak) for node in nodes)
        fewer = max(1, min(before.num_slots, fit))
        return place(nodes, max_packs=fewer, cpus_per_trial=cpus_per_trial, gpus_per_trial=1.0)
    most: float = math.inf if full_packs is None else max(before.num_slots, full_packs)
    if max_packs is not None:
        most = min(most, max_packs)
    shares = range(1, max(1, int(MEMORY_SHARE * capacity / peak)) + 1)
    slots = [min(room(nodes, cpus_per_trial or 1, 1 / share), most) for share in shares]
    fewest = shares[slots.index(max(slots))]  # Ray fills a GPU before it turns to the next
    return place(
        nodes,
        max_packs=None if math.isinf(most) else int(most),
        cpus_per_trial=cpus_per_trial,
        gpus_per_trial=1 / fewest,
    )


def main_memory(nodes: Sequence[Node], num_slots: int) -> int | None:
    """Bytes of main memory that each of so many slots has, if nodes tell."""
    return int(sum(n.get("memory", 0) for n in nodes if n.get("CPU")) / num_slots) or None


def room(nodes: Sequence[Node], cpus: int, gpus: float) -> int:
    """Slots of that size that find room: each lies on one node, its share on one GPU."""
    total = 0
    for node in nodes:
        slots = int(node.get("CPU", 0) // cpus)
        if gpus:
            slots = min(slots, int(node.get("GPU", 0)) * int(1 / gpus + 1e-9))
        total += slots
    return total
