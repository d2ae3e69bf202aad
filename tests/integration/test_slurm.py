"""docs/clusters/slurm.sbatch on a Slurm cluster of two machines, preempted and resumed.

The machines are Linux namespaces (``tests/machines.py``) with Slurm's own daemons.
"""

from __future__ import annotations

import os
import secrets
import shlex
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from machines import PATH, Machine, machines, missing, wait_for
from paths import PYTHONPATH, ROOT

from results.storage.reading import read_sweep

DAEMONS = ("munged", "slurmctld", "slurmd", "sbatch")
ABSENT = [name for name in DAEMONS if shutil.which(name, path=PATH) is None]
REASON = f"not installed: {', '.join(ABSENT)}" if ABSENT else missing()
CONFIG = """
ClusterName=tests
SlurmctldHost={head.name}({head.address})
SlurmUser=root
AuthType=auth/munge
AuthInfo=cred_expire=10
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=sched_interval=2,bf_interval=2
MinJobAge=300
ReturnToService=2
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
NodeName={head.name} NodeAddr={head.address} CPUs=2 RealMemory=4000
NodeName={worker.name} NodeAddr={worker.address} CPUs=2 RealMemory=4000
PartitionName=low Nodes=ALL Default=YES PriorityTier=1 GraceTime=60
PartitionName=high Nodes=ALL PriorityTier=2 PreemptMode=OFF
"""

pytestmark = pytest.mark.skipif(bool(REASON), reason=REASON)


class Slurm:
    """Slurm on two machines."""

    def __init__(self, head: Machine, worker: Machine) -> None:
        self.head, self.worker = head, worker
        self.folder = head.folder.parent / "slurm"  # visible on both
        self.env = {
            "SLURM_CONF": str(self.folder / "slurm.conf"),
            "PATH": f"{Path(sys.prefix) / 'bin'}:{PATH}",
            "PYTHONPATH": f"{PYTHONPATH}:{ROOT / 'tests' / 'plugin'}",
            "OMP_NUM_THREADS": "1",
            "HF_HUB_OFFLINE": "1",
            "RAY_AUTH_TOKEN_PATH": str(self.folder / "token"),
        }

    def start(self) -> None:
        """Start the daemons on both machines, and wait for both nodes."""
        (self.folder / "state").mkdir(parents=True)
        text = CONFIG.format(head=self.head, worker=self.worker, folder=self.folder)
        (self.folder / "slurm.conf").write_text(text)
        key = self.folder / "munge.key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o400)
        munged = f"mkdir -p -m 755 /run/munge; munged --force --key-file={key}"
        folders = f"--pid-file=/run/munge/pid --log-file={self.folder}/munged-$(hostname).log"
        for machine in (self.head, self.worker):
            machine.run(f"{munged} {folders} --seed-file=/run/munge/seed")
        self.run("slurmctld")
        for machine in (self.head, self.worker):
            machine.run(f"slurmd -N {machine.name}", env=self.env)
        wait_for(lambda: self.run("sinfo --noheader --format='%t %D'").strip() == "idle 2")
        (self.folder / "token").write_text(secrets.token_hex(32))

    def run(self, script: str) -> str:
        """Run a script on the head with Slurm's and this environment's programs."""
        return self.head.run(script, cwd=self.folder, env=self.env)

    def submit(self, *words: str) -> str:
        """Submit a job from the checkout; returns its id."""
        output = f"--output={self.folder}/sweep-%j.log"
        script = shlex.join(["sbatch", "--parsable", f"--chdir={ROOT}", output, *words])
        return self.run(script).strip()

    def job(self, number: str) -> dict[str, str]:
        """What ``scontrol`` says of a job."""
        words = self.run(f"scontrol show job {number}").split()
        return dict(word.split("=", 1) for word in words if "=" in word)

    def log(self, number: str) -> str:
        """The output of a job."""
        file = self.folder / f"sweep-{number}.log"
        return file.read_text() if file.exists() else ""


@pytest.fixture(scope="module")
def slurm() -> Iterator[Slurm]:
    with machines("head", "worker") as (_, head, worker):
        made = Slurm(head, worker)
        made.start()
        yield made


def test_a_preempted_sweep_is_requeued_and_resumes(slurm: Slurm) -> None:
    notes = slurm.folder / "notes"
    notes.mkdir()
    space = slurm.folder / "few.py"
    space.write_text("GRID = {'level': list(range(4))}\n")
    job = slurm.submit(
        *("--cpus-per-task=1", "--mem=3000M", "--time=10"),
        *(str(ROOT / "docs" / "clusters" / "slurm.sbatch"), "fragile"),
        *("--space", str(space), "--name", "few", "--out", str(slurm.folder / "runs")),
        *("--set", f"notes={notes}", "--set", "seconds=0.5", "--set", "steps=40"),
    )

    def steps() -> list[list[str]]:
        """Host, level and step of each step that began."""
        found = (path.name.split(".") for path in notes.iterdir() if path.name[:5] == "step.")
        return [[words[4], *words[1:2]] for words in found]

    def hosts() -> set[str]:
        assert slurm.job(job)["JobState"] in ("PENDING", "RUNNING"), slurm.log(job)
        return {host for host, *_ in steps()}

    wait_for(lambda: hosts() == {"head", "worker"}, 180)  # Ray runs trials on both nodes
    urgent = slurm.submit("--partition=high", "--nodes=2", "--exclusive", "--wrap=sleep 3")
    wait_for(lambda: slurm.job(urgent)["JobState"] == "COMPLETED", 120)
    assert slurm.job(job)["Restarts"] == "1"
    assert "Run the same command to resume" in slurm.log(job)
    computed = len(steps())
    assert computed < 4 * 40
    wait_for(lambda: slurm.job(job)["JobState"] == "COMPLETED", 300)
    rows = read_sweep(str(slurm.folder / "runs"), "fragile", "few").rows()
    assert [row["status"] for row in rows] == ["finished"] * 4
    numbers = np.random.default_rng(0).normal(size=50_000)
    totals = {row["param.level"]: row["metric.total"] for row in rows}
    expected = {level: float(sum(numbers[level * 7 + 1 :][:40])) for level in range(4)}
    assert totals == pytest.approx(expected)
    assert len(steps()) == 4 * 40  # no step was computed twice


def test_a_canceled_sweep_stays_canceled(slurm: Slurm) -> None:
    space = slurm.folder / "endless.py"
    space.write_text("GRID = {'level': list(range(4))}\n")
    job = slurm.submit(
        *("--nodes=1", "--cpus-per-task=1", "--mem=3000M"),
        *(str(ROOT / "docs" / "clusters" / "slurm.sbatch"), "fragile", "--space", str(space)),
        *("--out", str(slurm.folder / "canceled"), "--set", "seconds=0.5", "--set", "steps=1000"),
    )
    wait_for(lambda: (slurm.folder / "canceled" / "fragile").is_dir(), 120)
    slurm.run(f"scancel {job}")
    wait_for(lambda: slurm.job(job)["JobState"] == "CANCELLED", 120)
    assert slurm.job(job)["Restarts"] == "0"
