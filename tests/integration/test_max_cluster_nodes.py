"""How many nodes a cluster can have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ray_bootstrap import bootstrap

from orchestrator.engines.ray.autoscaling import max_cluster_nodes

HEAD = {"NodeManagerAddress": "10.0.0.1", "Resources": {"node:__internal_head__": 1.0}}
WORKER = {"NodeManagerAddress": "10.0.0.2", "Resources": {"CPU": 2.0}}


def test_cluster_size_includes_workers_that_may_start(monkeypatch: Any, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    bootstrap(tmp_path)
    full = [HEAD["Resources"], {"CPU": 2}, {"CPU": 2}]
    assert max_cluster_nodes([HEAD], "10.0.0.1") == full
    assert max_cluster_nodes([HEAD, WORKER], "10.0.0.1") == full  # one of them has joined already
    bootstrap(tmp_path, max_workers=1)
    assert max_cluster_nodes([HEAD], "10.0.0.1") == full[:2]


def test_cluster_size_without_an_autoscaler_is_the_current_nodes(
    monkeypatch: Any, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert max_cluster_nodes([HEAD, WORKER], "10.0.0.1") == [HEAD["Resources"], WORKER["Resources"]]
    # Ray learns of the user's own machines only when they join.
    own = {"local": {"node_config": {}, "resources": {}, "max_workers": 2}}
    bootstrap(tmp_path, available_node_types=own, head_node_type="local")
    assert max_cluster_nodes([HEAD], "10.0.0.1") == [HEAD["Resources"]]
    # The file belongs to another cluster: this machine is not the head.
    bootstrap(tmp_path)
    assert max_cluster_nodes([HEAD], "10.0.0.9") == [HEAD["Resources"]]
