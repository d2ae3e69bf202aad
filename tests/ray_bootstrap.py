"""The file that `ray up` writes on the head of a cluster."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def bootstrap(home: Path, **changes: Any) -> dict[str, Any]:
    """Write the file as `ray up` does; returns its content."""
    worker = {"node_config": {}, "resources": {"CPU": 2}, "min_workers": 0, "max_workers": 2}
    config = {
        "cluster_name": "test",
        "max_workers": 2,
        "head_node_type": "ray.head.default",
        "available_node_types": {
            "ray.head.default": {"node_config": {}, "resources": {"CPU": 0}, "max_workers": 0},
            "worker": worker,
        },
        **changes,
    }
    (home / "ray_bootstrap_config.yaml").write_text(json.dumps(config))
    return config
