"""The machines that a cluster's autoscaler has yet to start: a sweep counts on them.

A slot that finds no room yet is what makes the autoscaler start a machine. So slots must be planned
for the cluster at its largest, not for the head that is there before the first sweep.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from orchestrator.execution.placement import Node

BOOTSTRAP = "~/ray_bootstrap_config.yaml"  # what `ray up` leaves on the head; JSON, in fact
HEAD = "node:__internal_head__"  # a resource that Ray gives to the head alone


def at_its_largest(alive: Sequence[Mapping[str, Any]], here: str) -> list[Node]:
    """The resources of each node, and of those that the autoscaler may start.

    Args:
        alive: the nodes that live, as Ray tells of them.
        here: this machine's address. Only a driver on the head knows the autoscaler's file.
    """
    have = [node["Resources"] for node in alive]
    head = next((node for node in alive if HEAD in node["Resources"]), None)
    if head is None or head["NodeManagerAddress"] != here:
        return have
    planned = _planned()
    return have if len(planned) + 1 <= len(have) else [head["Resources"], *planned]


def _planned() -> list[Node]:
    """The autoscaler's workers when all are started; none without an autoscaler."""
    try:
        config = json.loads(Path(BOOTSTRAP).expanduser().read_text())
        types = config["available_node_types"]
        found = [
            kind["resources"]
            for name, kind in types.items()
            if name != config["head_node_type"] and kind["resources"]
            for _ in range(kind["max_workers"])
        ]
        return found[: config["max_workers"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []
