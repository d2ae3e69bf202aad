"""The network sockets of a local Ray."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from paths import ROOT

OPEN = """
import sys
from orchestrator.engines.ray.engine import RayEngine
import ray, psutil
engine = RayEngine()
engine.start(1, print, lambda: False)
me = psutil.Process()
for process in [me, *me.children(recursive=True)]:
    for door in process.net_connections(kind="inet"):
        if door.status == "LISTEN":
            print("door", process.name().split()[0], door.laddr.ip, door.laddr.port)
print("address", ray.get_runtime_context().gcs_address, flush=True)
sys.stdin.readline()
engine.close()
"""
JOIN = """
import ray, sys
ray.init(address=sys.argv[1], log_to_driver=False, configure_logging=False)
print("joined")
"""


def test_local_ray_has_no_dashboard_and_requires_its_token(tmp_path: Path) -> None:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("RAY_")}
    env = {**clean, "PYTHONPATH": str(ROOT), "HOME": str(tmp_path), "OMP_NUM_THREADS": "1"}
    stranger = {**env, "HOME": str(tmp_path / "stranger"), "RAY_AUTH_MODE": "disabled"}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", OPEN], env=env, **pipes) as ours:  # type: ignore[call-overload]
        lines: list[str] = []
        while not (lines and lines[-1].startswith("address")):
            lines.append(ours.stdout.readline())
            assert lines[-1], "Ray did not start"
        sockets = [line.split()[1:] for line in lines if line.startswith("door")]
        address = lines[-1].split()[1]
        joined = subprocess.run(
            [sys.executable, "-c", JOIN, address],
            env=stranger,
            capture_output=True,
            text=True,
            timeout=240,
        )
        ours.communicate("\n", timeout=120)
    assert sockets
    assert not [door for door in sockets if door[2] == "8265" or "ashboard" in door[0]]
    assert joined.returncode != 0
    assert "joined" not in joined.stdout
    assert "uth" in joined.stderr  # the error mentions authentication
