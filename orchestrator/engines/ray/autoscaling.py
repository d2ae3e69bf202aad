"""Finds the nodes that a cluster's autoscaler can start.

The autoscaler starts a machine when a worker does not fit on the running ones. The number of
workers must therefore be computed for the cluster at its maximum size. Before the first sweep, only
the head node is running.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from orchestrator.execution.placement import Node

BOOTSTRAP = "~/ray_bootstrap_config.yaml"  # `ray up` writes it on the head node, as JSON
HEAD = "node:__internal_head__"  # a resource of the head node only


def max_cluster_nodes(alive: Sequence[Mapping[str, Any]], driver_ip: str) -> list[Node]:
    """Return the resources of all nodes, including those that the autoscaler may start.

    Args:
        alive: the running nodes, from ``ray.nodes()``.
        driver_ip: the address of this machine. Only the head node has the autoscaler's file.
    """
    running = [node["Resources"] for node in alive]
    head = next((node for node in alive if HEAD in node["Resources"]), None)
    if head is None or head["NodeManagerAddress"] != driver_ip:
        return running
    planned = _planned()
    return running if len(planned) + 1 <= len(running) else [head["Resources"], *planned]


def _planned() -> list[Node]:
    """Return the worker nodes that the autoscaler can start, none without an autoscaler."""
    try:
        config = json.loads(Path(BOOTSTRAP).expanduser().read_text())
        types = config["available_node_types"]
        nodes = [
            kind["resources"]
            for name, kind in types.items()
            if name != config["head_node_type"] and kind["resources"]
            for _ in range(kind["max_workers"])
        ]
        return nodes[: config["max_workers"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []
