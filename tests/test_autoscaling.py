"""A sweep on a cluster whose workers are not there yet: the autoscaler starts them for it.

The autoscaler is Ray's own, of the kind that starts its machines as processes here.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.autoscaling import at_its_largest

ROOT = Path(__file__).parents[1]
PLUGIN = ROOT / "tests" / "plugin"
HEAD = {"NodeManagerAddress": "10.0.0.1", "Resources": {"node:__internal_head__": 1.0}}
WORKER = {"NodeManagerAddress": "10.0.0.2", "Resources": {"CPU": 2.0}}


def bootstrap(home: Path, **changes: Any) -> dict[str, Any]:
    """What `ray up` leaves on the head."""
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


def test_workers_that_may_be_started_count(monkeypatch: Any, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    bootstrap(tmp_path)
    full = [HEAD["Resources"], {"CPU": 2}, {"CPU": 2}]
    assert at_its_largest([HEAD], "10.0.0.1") == full
    assert at_its_largest([HEAD, WORKER], "10.0.0.1") == full  # one of them is there already
    bootstrap(tmp_path, max_workers=1)
    assert at_its_largest([HEAD], "10.0.0.1") == full[:2]


def test_without_an_autoscaler_the_nodes_are_what_they_are(
    monkeypatch: Any, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert at_its_largest([HEAD, WORKER], "10.0.0.1") == [HEAD["Resources"], WORKER["Resources"]]
    # Machines of one's own: Ray knows nothing of them before they are there.
    own = {"local": {"node_config": {}, "resources": {}, "max_workers": 2}}
    bootstrap(tmp_path, available_node_types=own, head_node_type="local")
    assert at_its_largest([HEAD], "10.0.0.1") == [HEAD["Resources"]]
    # Another cluster's file, on a machine that is not this cluster's head.
    bootstrap(tmp_path)
    assert at_its_largest([HEAD], "10.0.0.9") == [HEAD["Resources"]]


class Cluster:
    """A head without CPUs and its autoscaler; the workers are processes of this machine."""

    def __init__(self, home: Path, temporary: str, version: str) -> None:
        from ray.autoscaler._private.fake_multi_node.node_provider import (
            FAKE_HEAD_NODE_ID,
            FakeMultiNodeProvider,
        )

        self.temporary = temporary
        with socket.socket() as free:
            free.bind(("", 0))
            self.port = free.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        config = bootstrap(
            home,
            provider={
                "type": "external",  # by its own name Ray looks for defaults its wheel lacks
                "module": f"{FakeMultiNodeProvider.__module__}.FakeMultiNodeProvider",
                "gcs_address": self.address,
                "launch_multiple": True,
                "disable_node_updaters": True,
                "disable_launch_config_check": True,
                "use_node_id_as_ip": True,
            },
            upscaling_speed=1.0,
            idle_timeout_minutes=5,
            auth={},
            file_mounts={},
            cluster_synced_files=[],
            docker={},
            **{
                f"{of}commands": []
                for of in (
                    "initialization_",
                    "setup_",
                    "head_setup_",
                    "worker_setup_",
                    "head_start_ray_",
                    "worker_start_ray_",
                )
            },
        )
        assert config["available_node_types"]["worker"]["min_workers"] == 0
        command = [str(Path(sys.executable).parent / "ray"), "start", "--head", "--block"]
        command += ["--num-cpus=0", "--num-gpus=0", f"--port={self.port}"]
        command += ["--node-ip-address=127.0.0.1", "--include-dashboard=false"]
        command += [f"--autoscaling-config={home}/ray_bootstrap_config.yaml"]
        command += [f"--temp-dir={temporary}", "--object-store-memory=100000000"]
        # The workers' interpreter finds the test's task, as a pip install would let it.
        path = os.pathsep.join([str(PLUGIN), str(ROOT)])
        self.environment = {
            **os.environ,
            "HOME": str(home),
            "PYTHONPATH": path,
            "RAY_FAKE_CLUSTER": "1",
            "RAY_enable_autoscaler_v2": "1" if version == "v2" else "0",
            "RAY_CLOUD_INSTANCE_ID": FAKE_HEAD_NODE_ID,
            "RAY_NODE_TYPE_NAME": "ray.head.default",
            "RAY_AUTH_MODE": "disabled",
            "RAY_ADDRESS": self.address,
        }
        started = {k: v for k, v in self.environment.items() if k != "RAY_ADDRESS"}
        with open(home / "head.log", "w") as log:
            self.process = subprocess.Popen(
                command, env=started, cwd=home, stdout=log, stderr=log, start_new_session=True
            )

    def processes(self) -> list[int]:
        """Those of this cluster, known by its temporary folder."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != os.getpid():
                try:
                    line = (entry / "cmdline").read_bytes().decode(errors="replace")
                except OSError:
                    continue
                if self.temporary in line:
                    found.append(int(entry.name))
        return found

    def stop(self) -> None:
        self.process.terminate()
        deadline = time.monotonic() + 5
        while self.processes() and time.monotonic() < deadline:
            time.sleep(0.5)
        for pid in self.processes():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.process.wait(20)


@pytest.fixture(params=["v1", "v2"])  # of the autoscaler: `ray up` takes v2, on own machines v1
def cluster(request: Any, tmp_path: Path) -> Iterator[Cluster]:
    home = tmp_path / "home"
    home.mkdir()
    with tempfile.TemporaryDirectory(prefix="sw-") as temporary:  # sockets want a short path
        made = Cluster(home, temporary, request.param)
        yield made
        made.stop()


def test_a_sweep_on_a_head_without_cpus_has_the_autoscaler_start_workers(
    cluster: Cluster, tmp_path: Path
) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "space.py").write_text("GRID = {'level': list(range(6))}\n")
    command = [sys.executable, "-m", "orchestrator", "sweep", "fragile", "--name", "s"]
    command += ["--space", str(tmp_path / "space.py"), "--out", str(tmp_path / "out")]
    command += [f"--set=notes={tmp_path / 'notes'}"]
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:  # the head is up when its port answers
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", cluster.port)) == 0:
                break
        time.sleep(0.5)
    done = subprocess.run(
        command, cwd=ROOT, env=cluster.environment, capture_output=True, text=True, timeout=400
    )
    log = (tmp_path / "home" / "head.log").read_text()
    assert done.returncode == 0, done.stdout + done.stderr + log
    assert "1 of up to 3 machines" in done.stdout


def test_a_ray_clients_address_is_refused_with_what_to_do_instead(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "orchestrator", "sweep", "retrieval", "--out", str(tmp_path)]
    done = subprocess.run(
        [*command, "--address", "ray://10.0.0.1:10001"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error: --address ray://10.0.0.1:10001 is a Ray Client's")
    assert "ray job submit" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
