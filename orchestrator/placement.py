"""How many slots the nodes of a cluster give, and what each of them gets. Arithmetic, no Ray."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tasks.contract import RequestError

STAGE_SHARE = 0.1  # of a GPU, kept free of slots so that stages can always run
Node = Mapping[str, float]  # what it has, by Ray's names: CPU, GPU


@dataclass(frozen=True, kw_only=True, slots=True)
class Placement:
    """Slots of one size."""

    num_slots: int
    cpus: int  # of each slot, and the threads it computes with
    gpus: float  # of each slot, the stages' share included; 0 where there is no GPU


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


def room(nodes: Sequence[Node], cpus: int, gpus: float) -> int:
    """Slots of that size that find room: each lies on one node, its share on one GPU."""
    total = 0
    for node in nodes:
        slots = int(node.get("CPU", 0) // cpus)
        if gpus:
            slots = min(slots, int(node.get("GPU", 0)) * int(1 / gpus + 1e-9))
        total += slots
    return total
