"""Machines made of Linux namespaces, each with its own processes, network, /tmp and home.

A machine's first process waits for its standard input to end. When the test closes it, or dies,
that process ends, and the kernel ends with it every process, mount and interface of the machine.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from paths import ROOT

TOOLS = ["bash", "unshare", "nsenter", "timeout", "mount", "ip", "pgrep", "pkill"]
TOOLS += ["ssh", "ssh-keygen", "sshd", "rsync"]
PATH = f"{os.environ['PATH']}:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"
NETWORK = "10.77.0"
UNSHARE = ["unshare", "--net", "--mount", "--pid", "--uts"]
UNSHARE += ["--fork", "--kill-child", "--mount-proc", "bash", "-euc"]

# Each machine has its own /tmp, except for the folders that the test needs; sshd needs a folder in
# /run. The first line of passwd counts, so the home is not that of the user who runs the test.
MAKE = """
hostname {name}
mkdir -p {folder}/tmp {folder}/home
touch {folder}/home/.bashrc
for kept in {kept}; do mkdir -p {folder}$kept; mount --bind $kept {folder}$kept; done
echo 'researcher:*:0:0::{folder}/home:/bin/bash' | cat - /etc/passwd > {folder}/passwd
mount --bind {folder}/passwd /etc/passwd
mount --rbind {folder}/tmp /tmp
mount -t tmpfs none /run
mount -t tmpfs none /dev/shm
mkdir /run/sshd
ip link set lo up
"""
BRIDGE = f"""
ip link add name bridge type bridge
ip addr add {NETWORK}.254/24 dev bridge
ip link set bridge up
"""
PLUG = f"""
until ip link show eth0 &> /dev/null; do sleep 0.05; done
ip addr add {{address}}/24 dev eth0
ip link set eth0 up
ip route add default via {NETWORK}.254
"""
SSHD = """
{sshd} -D -e -f /dev/null -h {scratch}/host_key -o AuthorizedKeysFile={scratch}/key.pub \\
    -o StrictModes=no -o PasswordAuthentication=no -o PidFile=none \\
    < /dev/null &> {folder}/sshd.log &
until (: < /dev/tcp/{address}/22) 2> /dev/null; do sleep 0.05; done
"""
WAIT = "\necho up\ncat > /dev/null\nexit 0"


def missing() -> str:
    """Why such machines cannot be made here, or an empty text."""
    if os.geteuid() != 0:
        return "namespaces are made as root"
    absent = [tool for tool in TOOLS if shutil.which(tool, path=PATH) is None]
    if absent:
        return f"not installed: {', '.join(absent)}"
    script = f"mount -t tmpfs none /run; {BRIDGE} ip link add name one type veth peer name two"
    tried = subprocess.run([*UNSHARE, script], capture_output=True, text=True, timeout=60)
    return "" if tried.returncode == 0 else f"no namespaces here: {tried.stderr.strip()}"


def wait_for(condition: Callable[[], bool], seconds: float = 120) -> None:
    """Wait until the condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not hold in time"
        time.sleep(0.1)


class Machine:
    """A machine. The one without an address is the bridge that connects the others."""

    def __init__(self, name: str, scratch: Path, address: str = "") -> None:
        self.name, self.address, self.folder = name, address, scratch / name
        self.home = self.folder / "home"
        needed = {str(path) for path in (ROOT, scratch, Path(sys.prefix), Path(sys.base_prefix))}
        script = (MAKE + (PLUG + SSHD if address else BRIDGE) + WAIT).format(
            name=name,
            folder=self.folder,
            scratch=scratch,
            address=address,
            sshd=shutil.which("sshd", path=PATH),
            kept=" ".join(sorted(path for path in needed if path.startswith("/tmp/"))),
        )
        self._process = subprocess.Popen(
            [*UNSHARE, script],
            env={"PATH": PATH},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._first = self._find_first()

    def _find_first(self) -> int:
        """The pid of the machine's first process, as seen from outside."""
        pid = self._process.pid
        while self._process.poll() is None:
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            if children:
                return int(children[0])
            time.sleep(0.01)
        raise RuntimeError(f"{self.name}: {self._process.communicate()[0]}")

    def plug_into(self, bridge: Machine) -> None:
        """Connect this machine to the bridge."""
        link = f"ip link add name {self.name} type veth peer name eth0 netns {self._first}"
        enter = ["nsenter", "--target", str(bridge._first), "--net"]
        subprocess.run([*enter, *link.split()], check=True)
        bridge.run(f"ip link set {self.name} master bridge up")

    def wait_until_up(self) -> None:
        """Wait until sshd answers."""
        assert self._process.stdout is not None
        output = self._process.stdout.readline()
        if output != "up\n":
            raise RuntimeError(f"{self.name}: {output}{self._process.communicate()[0]}")

    def run(
        self,
        script: str,
        seconds: int = 60,
        status: int | None = 0,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> str:
        """Run a shell script on this machine, which must end in time and with this status."""
        process = self.start(script, seconds, cwd, env)
        output, _ = process.communicate()
        assert status in (None, process.returncode), f"{process.returncode}: {script}\n{output}"
        return output

    def start(
        self,
        script: str,
        seconds: int = 60,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> subprocess.Popen[str]:
        """Start a shell script on this machine, with both streams in one."""
        enter = f"nsenter --target {self._first} --net --mount --pid --uts --wd={cwd or self.home}"
        limit = f"timeout --kill-after=5 {seconds} bash -c"
        return subprocess.Popen(
            [*enter.split(), *limit.split(), script],
            env={"PATH": PATH, "HOME": str(self.home), "LANG": "C.UTF-8", **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def switch_off(self) -> None:
        """Kill everything on it at once."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=60)
        assert self._process.stdout is not None
        self._process.stdout.close()


@contextmanager
def machines(*names: str) -> Iterator[list[Machine]]:
    """A desk, and machines with these names that it reaches by ssh with one key."""
    scratch = Path(tempfile.mkdtemp(prefix="machines-"))  # short: Ray's sockets lie below
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, scratch)
        for key in ("key", "host_key"):
            command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(scratch / key)]
            subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
        made: list[Machine] = []
        for number, name in enumerate(("desk", *names)):
            made.append(Machine(name, scratch, f"{NETWORK}.{number}" if number else ""))
            stack.callback(made[-1].switch_off)
        desk, *others = made
        desk.wait_until_up()
        for other in others:
            other.plug_into(desk)
        for other in others:
            other.wait_until_up()
        yield made
