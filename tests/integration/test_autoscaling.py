"""A sweep on a cluster whose workers do not run yet: the autoscaler starts them.

It is Ray's own autoscaler, with the provider that starts nodes as processes of this machine.
"""

from __future__ import annotations

import contextlib
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
from harness import Done, run_command, run_process
from paths import PLUGIN, ROOT
from ray_bootstrap import bootstrap


class Cluster:
    """A head without CPUs and its autoscaler. The workers are processes of this machine."""

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
                "type": "external",  # its own name needs defaults that are missing in Ray's wheel
                "module": f"{FakeMultiNodeProvider.__module__}.FakeMultiNodeProvider",
                "gcs_address": self.address,
                "launch_multiple": True,
                "disable_node_updaters": True,
                "disable_launch_config_check": True,
                "use_node_id_as_ip": True,
            },
            upscaling_speed=1.0,
            idle_timeout_minutes=0.1,
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
        # A copy, so that a test can list machines in the other file that never start.
        (home / "autoscaling.json").write_text(json.dumps(config))
        command = [str(Path(sys.executable).parent / "ray"), "start", "--head", "--block"]
        command += ["--num-cpus=0", "--num-gpus=0", f"--port={self.port}"]
        command += ["--node-ip-address=127.0.0.1", "--include-dashboard=false"]
        command += [f"--autoscaling-config={home}/autoscaling.json"]
        command += [f"--temp-dir={temporary}", "--object-store-memory=100000000"]
        # So that workers can import the fragile task.
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

    def wait_until_up(self) -> None:
        """Wait until the port of the head answers."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.5)

    def num_machines(self) -> int:
        """The number of running nodes, including the head."""
        names = []
        for pid in self.processes():
            with contextlib.suppress(OSError):
                names.append(Path(f"/proc/{pid}/comm").read_text().strip())
        return names.count("raylet")

    def processes(self) -> list[int]:
        """The processes of this cluster, which have its temporary folder in their command line."""
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


@pytest.fixture(params=["v1", "v2"])  # of the autoscaler: `ray up` uses v2, on own machines v1
def cluster(request: Any, tmp_path: Path) -> Iterator[Cluster]:
    home = tmp_path / "home"
    home.mkdir()
    with tempfile.TemporaryDirectory(prefix="sw-") as temporary:  # sockets need a short path
        made = Cluster(home, temporary, request.param)
        yield made
        made.stop()


def sweep(environment: dict[str, Any], folder: Path, *args: str) -> Done:
    """Six trials of the fragile task, two steps a second."""
    (folder / "notes").mkdir()
    (folder / "space.py").write_text("GRID = {'level': list(range(6))}\n")
    words = ["sweep", "fragile", "--name", "s", "--out", str(folder / "out")]
    words += ["--space", str(folder / "space.py"), f"--set=notes={folder / 'notes'}"]
    return run_process(*words, "--set=seconds=0.5", *args, **environment)


def test_autoscaler_starts_workers_and_removes_idle_ones(cluster: Cluster, tmp_path: Path) -> None:
    cluster.wait_until_up()
    done = sweep(cluster.environment, tmp_path)
    log = (tmp_path / "home" / "head.log").read_text()
    assert done.returncode == 0, done.stdout + done.stderr + log
    assert "1 of up to 3 machines" in done.stdout
    deadline = time.monotonic() + 120
    while cluster.num_machines() > 1:
        assert time.monotonic() < deadline, "idle workers stay"
        time.sleep(1)


@pytest.mark.parametrize("cluster", ["v2"], indirect=True)
def test_workers_without_a_machine_do_not_block_the_sweep(cluster: Cluster, tmp_path: Path) -> None:
    cluster.wait_until_up()
    promise(tmp_path / "home", {"CPU": 2}, 8)  # 6 workers, of which 2 get a machine
    done = sweep(cluster.environment, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 of up to 9 machines" in done.stdout
    assert "6/6 finished" in done.stdout


@pytest.mark.parametrize("cluster", ["v2"], indirect=True)
def test_impossible_resources_are_refused(cluster: Cluster, tmp_path: Path) -> None:
    cluster.wait_until_up()
    (tmp_path / "first").mkdir()
    done = sweep(cluster.environment, tmp_path / "first", "--cpus-per-trial=64")
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stderr.startswith("error: no node can fit a trial")
    assert len(done.stderr.strip().splitlines()) == 1
    promise(tmp_path / "home", {"CPU": 2, "GPU": 1}, 2)
    (tmp_path / "second").mkdir()
    done = sweep(cluster.environment, tmp_path / "second", "--budget=20s")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Budget reached" in done.stderr


def promise(home: Path, resources: dict[str, int], number: int) -> None:
    """List this number of machines in the file that a sweep reads."""
    path = home / "ray_bootstrap_config.yaml"
    config = json.loads(path.read_text())
    config["max_workers"] = number
    config["available_node_types"]["worker"] |= {"resources": resources, "max_workers": number}
    path.write_text(json.dumps(config))


def test_local_ray_ignores_the_autoscaler_file(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    bootstrap(home)  # this machine is also the head of a cluster
    path = os.pathsep.join([str(PLUGIN), str(ROOT)])
    environment = {**os.environ, "HOME": str(home), "PYTHONPATH": path}
    done = sweep(environment, tmp_path, "--set=steps=1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "machines" not in done.stdout


def test_ray_client_address_is_refused(tmp_path: Path) -> None:
    address = "ray://10.0.0.1:10001"
    done = run_command("sweep", "retrieval", "--out", tmp_path, "--address", address)
    assert done.returncode == 2
    assert done.stderr.startswith(
        "error: --address ray://10.0.0.1:10001 is the address of a Ray Client"
    )
    assert "ray job submit" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
