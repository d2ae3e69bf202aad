"""A cluster that `ray up` starts with the file in docs/clusters on machines with ssh.

The machines are Linux namespaces (``tests/machines.py``), so `ray stop` affects nothing else.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml
from captioned_folder import draw_folder
from machines import Machine, machines, missing, wait_for
from paths import ROOT

from results.storage.reading import read_sweep

FILE = ROOT / "docs" / "clusters" / "machines.yaml"
RAY = Path(sys.prefix) / "bin" / "ray"
SITE_PACKAGES = sysconfig.get_path("purelib")
CHECKOUT = ["orchestrator", "tasks", "search_spaces", "results", "tests", "pyproject.toml"]
REASON = missing()

pytestmark = pytest.mark.skipif(bool(REASON), reason=REASON)


class Cluster:
    """A cluster of two machines, used from a third."""

    def __init__(self, desk: Machine, head: Machine, worker: Machine) -> None:
        self.desk, self.head, self.worker = desk, head, worker
        self.shared = desk.folder.parent / "shared"  # visible on all machines
        self.checkout = desk.home / "checkout"
        self.file = desk.home / "machines.yaml"

    def prepare(self) -> None:
        """Copy the checkout to the desk, install packages on the machines, and fill in the file."""
        self.shared.mkdir()
        copy = ["rsync", "-a", "--exclude=__pycache__", *CHECKOUT, f"{self.checkout}/"]
        self.desk.run(shlex.join(copy), cwd=ROOT)  # without the environment that CI keeps there
        for machine in (self.head, self.worker):
            _install(machine)
        text = FILE.read_text()
        filled = {
            "HEAD_IP": self.head.address,
            "WORKER_IP": self.worker.address,
            "SSH_USER": "researcher",
            "SSH_PRIVATE_KEY": str(self.desk.folder.parent / "key"),
        }
        for word, value in filled.items():
            text, found = re.subn(rf"(?<=[ \[]){word}\b", value, text)
            assert found, word
        config = yaml.safe_load(text)
        commands = [line for line in config["setup_commands"] if "pip install" not in line]
        assert len(commands) == len(config["setup_commands"]) - 1  # see _install
        self.file.write_text(yaml.safe_dump({**config, "setup_commands": commands}))

    def ray(self, command: str, *args: str, seconds: int = 240) -> str:
        """Run `ray COMMAND FILE ARGS` at the desk; returns its output."""
        process = self.start(command, *args, seconds=seconds)
        output, _ = process.communicate()
        assert process.returncode == 0, output
        return output

    def start(self, command: str, *args: str, seconds: int = 240) -> subprocess.Popen[str]:
        """Start `ray COMMAND FILE ARGS` at the desk."""
        env = {"RAY_UP_enable_autoscaler_v2": "0", "RAY_USAGE_STATS_ENABLED": "0"}
        script = shlex.join([str(RAY), command, str(self.file), *args])
        return self.desk.start(script, seconds, cwd=self.checkout, env=env)

    def wait_for_nodes(self, number: int) -> None:
        """Wait until this number of nodes has joined."""
        wait_for(lambda: f" {number} local.cluster.node" in self.ray("exec", "ray status"))


def _install(machine: Machine) -> None:
    """Make the packages of this environment and the checkout available, like `pip install`."""
    venv = machine.home / "sweep" / "venv"
    machine.run(f"{sys.executable} -m venv --without-pip {venv}")
    paths = f"{machine.home}/sweep/checkout\n{SITE_PACKAGES}\n"
    next(venv.glob("lib/*/site-packages")).joinpath("shared.pth").write_text(paths)
    script = f"#!{venv}/bin/python\nfrom ray.scripts.scripts import main\n\nmain()\n"
    (venv / "bin" / "ray").write_text(script)
    (venv / "bin" / "ray").chmod(0o755)
    # The task of tests/plugin, which is not part of the package.
    plugin = f"export PYTHONPATH={machine.home}/sweep/checkout/tests/plugin\n"
    (machine.home / ".bashrc").write_text(plugin)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with machines("head", "worker") as (desk, head, worker):
        made = Cluster(desk, head, worker)
        made.prepare()
        desk.run(f"{RAY} get-auth-token --generate")
        output = made.ray("up", "-y")
        assert "Ray runtime started" in output
        made.wait_for_nodes(2)
        yield made


def test_sweep_and_report_run_through_ray_exec(cluster: Cluster) -> None:
    space, out = cluster.shared / "few.py", cluster.shared / "runs"
    space.write_text("GRID = {'lr': [1e-4, 3e-4]}\n")
    photos = draw_folder(cluster.shared, train=16, val=16)
    sweep = f"python -m orchestrator sweep retrieval --name few --space {space} --out {out}"
    small = f"--data folder:{photos} --set epochs=1 --set precision=float32"
    output = cluster.ray("exec", f"{sweep} {small}")
    assert "2 configurations" in output
    output = cluster.ray("exec", f"python -m orchestrator report few --out {out}")
    assert "1e-4" in output
    assert "3e-4" in output


def test_results_without_shared_storage_reach_the_driver(
    cluster: Cluster,
) -> None:
    space = cluster.shared / "four.py"
    space.write_text("GRID = {'level': list(range(4))}\n")
    sweep = f"python -m orchestrator sweep fragile --name four --space {space}"
    output = " ".join(
        cluster.ray("exec", f"{sweep} --out /tmp/alone").split()
    )  # each machine has its own /tmp
    assert "1 node cannot access /tmp/alone" in output
    report = cluster.ray("exec", "python -m orchestrator report four --out /tmp/alone")
    assert "All rows: steps 3" in " ".join(report.split())  # below the table
    output = cluster.ray("exec", f"{sweep} --out {cluster.shared / 'runs'}")
    assert "do not see" not in output


class Notes:
    """The notes of the fragile task."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()

    def steps(self, host: str) -> list[int]:
        """The pids, on this machine, of the processes that computed steps; the latest last."""
        notes = [path.name.split(".") for path in self.folder.iterdir()]
        found = [n for n in notes if n[0] == "step" and n[4] == host]
        return [int(n[2]) for n in sorted(found, key=lambda n: int(n[3].partition("-")[2]))]


def undisturbed(steps: int) -> dict[tuple[int, int], float]:
    """(level, stage) -> total of the fragile task."""
    numbers = {stage: np.random.default_rng(stage).normal(size=50_000) for stage in (0, 1)}
    return {
        (level, stage): float(sum(numbers[stage][level * 7 + 1 :][:steps]))
        for level in range(6)
        for stage in numbers
    }


def test_killed_worker_and_node_cost_no_result(cluster: Cluster) -> None:
    notes, out = Notes(cluster.shared / "notes"), cluster.shared / "runs"
    space = cluster.shared / "many.py"
    space.write_text("GRID = {'level': list(range(6)), 'stage': [0, 1]}\n")
    sweep = f"python -m orchestrator sweep fragile --name many --space {space} --out {out}"
    slow = f"--set notes={notes.folder} --set seconds=0.5 --set steps=12"
    running = cluster.start("exec", f"{sweep} {slow}")
    try:
        wait_for(lambda: bool(notes.steps("head")) and len(notes.steps("worker")) > 4)
        cluster.worker.run(f"kill -9 {notes.steps('worker')[-1]}")
        made = len(notes.steps("worker"))
        wait_for(lambda: len(notes.steps("worker")) > made + 2)  # the other worker continues
        assert running.poll() is None
        cluster.worker.run("pkill -9 'raylet|ray::'")
        output, _ = running.communicate()
    finally:
        running.kill()
    assert running.returncode == 0, output
    rows = read_sweep(str(out), "fragile", "many").rows()
    assert {row["status"] for row in rows} == {"finished"}
    totals = {(row["param.level"], row["param.stage"]): row["metric.total"] for row in rows}
    assert len(rows) == 12
    assert totals == pytest.approx(undisturbed(12))
    cluster.wait_for_nodes(2)  # the autoscaler starts Ray on it again


def test_ray_down_stops_the_head_and_ray_stop_the_worker(cluster: Cluster) -> None:
    cluster.ray("down", "-y")
    # `ray down` does not stop the workers of such a cluster; the file says what to do. A worker
    # also ends by itself, some time after its head, so it may be gone already.
    wait_for(lambda: not processes_of_ray(cluster.head))
    key = f"-i {cluster.desk.folder.parent}/key -o StrictHostKeyChecking=no"
    there = f"researcher@{cluster.worker.address}"
    cluster.desk.run(f"""ssh -tt {key} {there} bash -ic "'ray stop'" """)
    wait_for(lambda: not processes_of_ray(cluster.worker))


def processes_of_ray(machine: Machine) -> str:
    """Command lines of Ray's processes. The brackets keep the search from finding itself."""
    return machine.run("pgrep -fa '[r]aylet|[g]cs_server|[r]ay::|[r]ay/_private'", status=None)
