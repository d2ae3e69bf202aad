"""`ray up` for real: docs/clusters/machines.yaml on two hosts that are reached by ssh alone."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import draw_folder
from hosts import ADDRESSES, Host, two_hosts

from results.reading import read_sweep

ROOT = Path(__file__).parents[1]
FILE = ROOT / "docs" / "clusters" / "machines.yaml"
INSTALL = (
    "  - cd ~/sweep/checkout && ~/sweep/venv/bin/pip install --quiet -r requirements.lock -e .\n"
)


class Cluster:
    """The client's side: Ray's own commands, typed on the head's network."""

    def __init__(self, folder: Path, head: Host, worker: Host) -> None:
        self.head, self.worker, self.home = head, worker, folder / "client"
        self.home.mkdir()
        text = FILE.read_text()
        assert text.count(INSTALL) == 1  # the hosts have no network to install from, but packages
        for placeholder, value in (
            (INSTALL, ""),
            ("cluster_name: multimodal-sweep", f"cluster_name: {folder.name}-{os.getpid()}"),
            ("head_ip: HEAD_IP ", f"head_ip: {ADDRESSES[0]} "),
            ("[WORKER_IP]", f"[{ADDRESSES[1]}]"),
            ("ssh_user: SSH_USER ", "ssh_user: root "),
            ("ssh_private_key: SSH_PRIVATE_KEY", f"ssh_private_key: {folder / 'key'}"),
        ):
            assert text.count(placeholder) == 1, placeholder
            text = text.replace(placeholder, value)
        self.file = folder / "machines.yaml"
        self.file.write_text(text)

    def start(self, *command: str) -> subprocess.Popen[str]:
        """One of Ray's commands, as the file's first lines say to type it."""
        ray = str(Path(sys.executable).parent / "ray")
        environment = {
            "HOME": str(self.home),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "RAY_UP_enable_autoscaler_v2": "0",
            "RAY_USAGE_STATS_ENABLED": "0",
            "TERM": "dumb",
        }
        return subprocess.Popen(
            ["ip", "netns", "exec", self.head.namespace, ray, *command],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def ray(self, *command: str, status: int = 0) -> str:
        """What the command printed."""
        process = self.start(*command)
        try:
            told, _ = process.communicate(timeout=300)
        finally:
            process.kill()
        assert process.returncode == status, told
        return told

    def typed(self, command: str) -> str:
        """What a shell on the head prints, by `ray exec`."""
        return self.ray("exec", str(self.file), command)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("up")
    with two_hosts(folder) as (head, worker):
        made = Cluster(folder, head, worker)
        made.ray("get-auth-token", "--generate")
        made.ray("up", "-y", str(made.file))
        deadline = time.monotonic() + 200
        while "2 node(s)" not in made.typed(
            "python -c 'import ray; ray.init(log_to_driver=False); "
            'print(len(ray.nodes()), "node(s)")\''
        ):
            assert time.monotonic() < deadline, made.typed("ray status")
        yield made
        shutil.rmtree(folder, ignore_errors=True)


def notes(folder: Path, kind: str) -> list[tuple[str, int, str]]:
    """(what, pid, host) of the notes of one kind."""
    names = [path.name.split(".") for path in folder.iterdir()]
    return [(n[1], int(n[2]), n[4]) for n in names if n[0] == kind]


@pytest.mark.slow
def test_a_sweep_uses_both_hosts_and_outlives_a_worker_and_a_node(
    cluster: Cluster, tmp_path: Path
) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "space.py").write_text("GRID = {'level': list(range(8))}\n")
    out, steps = tmp_path / "out", 16
    command = f"python -m orchestrator sweep fragile --name s --out {out}"
    command += f" --space {tmp_path / 'space.py'} --set steps={steps} --set seconds=0.7"
    command += f" --set notes={tmp_path / 'notes'} --cpus-per-trial 1"
    sweep = cluster.start("exec", str(cluster.file), command)
    deadline = time.monotonic() + 180

    def wait_for(host: Host, number: int) -> int:
        """The process of that host's slot, once it made so many steps."""
        while True:
            here = [
                pid for _, pid, name in notes(tmp_path / "notes", "step") if name == host.namespace
            ]
            if len(here) >= number:
                return here[-1]
            assert sweep.poll() is None, sweep.communicate()[0]
            assert time.monotonic() < deadline
            time.sleep(0.05)

    wait_for(cluster.head, 1)
    cluster.worker.kill(wait_for(cluster.worker, 1))  # a slot's process
    lost = len(notes(tmp_path / "notes", "step"))
    while len(notes(tmp_path / "notes", "step")) < lost + 8:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    cluster.worker.run("pkill", "-9", "-f", "raylet")  # the whole node
    told, _ = sweep.communicate(timeout=240)
    assert sweep.returncode == 0, told

    rows = read_sweep(str(out), "fragile", "s").rows()
    assert [row["status"] for row in rows] == ["finished"] * 8
    done = notes(tmp_path / "notes", "step")
    assert {name for _, _, name in done} == {cluster.head.namespace, cluster.worker.namespace}
    assert len({what for what, _, _ in done}) == 8 * steps
    assert len(done) <= 8 * steps + 2 * 8  # both losses cost at most the step that was under way
    report = cluster.typed(f"python -m orchestrator report s --out {out}")
    assert "★ best" in report


@pytest.mark.slow
def test_the_main_command_runs_there_on_the_checkout_that_was_sent(
    cluster: Cluster, tmp_path: Path
) -> None:
    where = cluster.typed("python -c 'import orchestrator; print(orchestrator.__file__)'")
    assert str(cluster.head.home / "sweep" / "checkout" / "orchestrator") in where
    data = draw_folder(tmp_path, train=32, val=24)
    (tmp_path / "space.py").write_text("GRID = {'lr': [1e-2, 1e-3], 'temperature': [0.1, 0.7]}\n")
    told = cluster.typed(
        f"python -m orchestrator sweep retrieval --address auto --data folder:{data}"
        f" --space {tmp_path / 'space.py'} --set epochs=1 --name s --out {tmp_path / 'out'}"
    )
    assert "R@1" in told
    rows = read_sweep(str(tmp_path / "out"), "retrieval", "s").rows()
    assert [row["status"] for row in rows] == ["finished"] * 4


@pytest.mark.slow
def test_down_leaves_nothing_of_ray(cluster: Cluster) -> None:
    assert cluster.head.pids("gcs_server")
    cluster.ray("down", "-y", str(cluster.file))
    assert cluster.head.pids("raylet|gcs_server|ray::") == []
    deadline = time.monotonic() + 120  # Ray's own patience with a head that is gone is a minute
    while cluster.worker.pids("raylet|ray::"):
        assert time.monotonic() < deadline
        time.sleep(1)
