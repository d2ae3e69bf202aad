"""Two machines made of namespaces: each its own network, processes, host name and home, with sshd.

They share the file system, so that one environment serves both, but not ``/root``'s files nor Ray's
folder under ``/tmp``. Whatever runs on them ends with them, and nothing on them sees a process of
the machine that the tests run on. Needs root.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ADDRESSES = ("10.77.0.1", "10.77.0.2")
PROGRAMS = ("sshd", "ssh", "ssh-keygen", "rsync", "ip", "unshare", "nsenter")

SSHD = """\
ListenAddress {address}
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/key.pub
PidFile none
StrictModes no
UsePAM no
PermitRootLogin yes
"""

#: What a host does before it listens: a home, a name and a folder for Ray of its own.
BOOT = """\
set -e
hostname {name}
mount --bind {home}/passwd /etc/passwd
mount --bind {home}/tmp-ray /tmp/ray
exec {sshd} -D -e -f {home}/sshd_config
"""


@dataclass(frozen=True, kw_only=True)
class Host:
    """One of the two."""

    address: str
    home: Path
    namespace: str
    process: subprocess.Popen[bytes]

    def pids(self, words: str) -> list[int]:
        """Processes of this host whose command line holds the words, by the host's own numbers."""
        told = self.run("pgrep", "-f", words)
        return [int(line) for line in told.stdout.split()]

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """A command among the host's own processes."""
        with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children") as children:
            inside = children.read().split()[0]
        enter = ["nsenter", "-t", inside, "-p", "-m", "-n", "-u", "--"]
        return subprocess.run([*enter, *command], capture_output=True, text=True, timeout=60)

    def kill(self, pid: int) -> None:
        """SIGKILL to one of the host's processes."""
        self.run("kill", "-9", str(pid))


@contextlib.contextmanager
def two_hosts(folder: Path) -> Iterator[tuple[Host, Host]]:
    """Both, joined by a cable; ``folder/key`` opens them, and their homes lie in the folder."""
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing:
        pytest.skip(f"this needs {', '.join(missing)}; .ci/run installs them")
    if os.geteuid() != 0:
        pytest.skip("namespaces need root")
    names = [f"sweep-{os.getpid()}-{number}" for number in (1, 2)]
    made: list[subprocess.Popen[bytes]] = []
    try:
        try:
            _cable(names)
        except subprocess.CalledProcessError as error:
            pytest.skip(f"network namespaces cannot be made here: {error.stderr}")
        for key in ("host_key", "key"):
            _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / key))
        hosts = []
        for name, address in zip(names, ADDRESSES, strict=True):
            home = _home(folder / name, folder, address)
            hosts.append(
                Host(address=address, home=home, namespace=name, process=_boot(name, home))
            )
            made.append(hosts[-1].process)
        _wait_for_sshd(names[0], folder)
        yield hosts[0], hosts[1]
    finally:
        for process in made:
            process.kill()  # and with it, by --kill-child, all of the host
            process.wait()
        for name in names:
            subprocess.run(["ip", "netns", "del", name], capture_output=True)


def _cable(names: list[str]) -> None:
    ends = [f"sw{os.getpid()}{number}"[-15:] for number in (1, 2)]
    for name in names:
        _run("ip", "netns", "add", name)
    _run("ip", "link", "add", ends[0], "type", "veth", "peer", "name", ends[1])
    for name, end, address in zip(names, ends, ADDRESSES, strict=True):
        _run("ip", "link", "set", end, "netns", name)
        for command in (
            ("addr", "add", f"{address}/24", "dev", end),
            ("link", "set", end, "up"),
            ("link", "set", "lo", "up"),
            ("route", "add", "default", "dev", end),  # Ray finds its own address by it
        ):
            _run("ip", "-n", name, *command)


def _home(home: Path, folder: Path, address: str) -> Path:
    (home / "tmp-ray").mkdir(parents=True)
    Path("/tmp/ray").mkdir(exist_ok=True)
    Path("/run/sshd").mkdir(exist_ok=True)
    (home / "passwd").write_text(
        f"root:x:0:0:root:{home}:/bin/bash\nsshd:x:109:65534::/run/sshd:\n"
    )
    (home / "sshd_config").write_text(SSHD.format(address=address, folder=folder))
    _environment(home / "sweep" / "venv")
    return home


def _environment(venv: Path) -> None:
    """A virtual environment with all that this one has, and the host's own checkout first."""
    _run(sys.executable, "-m", "venv", "--without-pip", str(venv))
    packages = next((venv / "lib").glob("python3*")) / "site-packages"
    checkout = venv.parent / "checkout"
    mine = next(path for path in sys.path if path.endswith("site-packages"))
    (packages / "0.pth").write_text(f"{checkout}\n{checkout / 'tests' / 'plugin'}\n")
    (packages / "1.pth").write_text(f"import site; site.addsitedir({mine!r})\n")
    ray = venv / "bin" / "ray"
    ray.write_text(f"#!{venv}/bin/python\nfrom ray.scripts.scripts import main\nmain()\n")
    ray.chmod(0o755)


def _boot(name: str, home: Path) -> subprocess.Popen[bytes]:
    script = BOOT.format(name=name, home=home, sshd=shutil.which("sshd"))
    apart = ["unshare", "-p", "-m", "-u", "-f", "--mount-proc", "--kill-child", "--"]
    with open(home / "sshd.log", "wb") as log:
        return subprocess.Popen(
            ["ip", "netns", "exec", name, *apart, "bash", "-c", script], stdout=log, stderr=log
        )


def _wait_for_sshd(name: str, folder: Path) -> None:
    deadline = time.monotonic() + 20
    for address in ADDRESSES:
        while True:
            options = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]
            command = ["ssh", "-i", str(folder / "key"), *options, f"root@{address}", "true"]
            if subprocess.run(
                ["ip", "netns", "exec", name, *command], capture_output=True
            ).returncode:
                assert time.monotonic() < deadline, "sshd does not answer"
                time.sleep(0.2)
            else:
                break


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True)


def end(process: subprocess.Popen[str]) -> None:
    """Kill a process and its children."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
