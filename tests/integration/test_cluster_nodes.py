"""How `ray up` sets up a node with the cluster files: copied files and shell settings."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from cluster_files import FILES, prepared, read
from paths import ROOT

every_file = pytest.mark.parametrize("kind", FILES)


@every_file
def test_ignored_files_are_not_copied_to_nodes(kind: str) -> None:
    excluded = {pattern.lstrip("/") for pattern in read(kind)["rsync_exclude"]}
    assert set((ROOT / ".gitignore").read_text().split()) <= excluded
    assert {".git/config", ".git/hooks/", ".git/logs/"} <= excluded


@every_file
def test_rsync_copies_the_checkout_without_results_and_secrets(kind: str, tmp_path: Path) -> None:
    if shutil.which("rsync") is None:
        pytest.skip("rsync is not on this machine; `ray up` needs it too")
    from ray.autoscaler._private.command_runner import SSHCommandRunner

    here, there = tmp_path / "here", tmp_path / "there"
    stays = [
        ".venv/bin/python",
        "runs/retrieval/paper/sweep.json",
        "tasks/__pycache__/contract.cpython-311.pyc",
        "x.egg-info/PKG-INFO",
        ".git/config",
        ".git/hooks/post-checkout",
        "build/lib/a.py",
    ]
    goes = [".git/HEAD", "tasks/contract/base.py", "results/storage/store.py", "requirements.lock"]
    for name in (*stays, *goes):
        (here / name).parent.mkdir(parents=True, exist_ok=True)
        (here / name).write_text(name)
    arguments = SSHCommandRunner._create_rsync_filter_args(None, read(kind))
    subprocess.run(["rsync", "-az", *arguments, f"{here}/", f"{there}/"], check=True)
    arrived = {str(p.relative_to(there)) for p in there.rglob("*") if p.is_file()}
    assert arrived == set(goes)


# --- the shells on the nodes ----------------------------------------------------------------------


def run_as_ray_does(home: Path, command: str) -> subprocess.CompletedProcess[str]:
    """Run a command as on a node: in a login shell that reads ~/.bashrc."""
    from ray.autoscaler._private.command_runner import _with_interactive

    clean = {k: v for k, v in os.environ.items() if not k.startswith("RAY_")}
    return subprocess.run(
        " ".join(_with_interactive(command)),
        shell=True,
        executable="/bin/bash",
        env={**clean, "HOME": str(home)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        start_new_session=True,
        timeout=60,
    )


def node(kind: str, home: Path, of: str) -> None:
    """Run the setup of a node, except for commands that need the network or root."""
    home.mkdir(exist_ok=True)
    (home / "sweep").mkdir(exist_ok=True)
    (home / ".ray").mkdir(exist_ok=True)
    (home / ".ray" / "auth_token").write_text("0" * 32)
    (home / ".bashrc").touch()
    for command in prepared(read(kind))[f"{of}_setup_commands"]:
        if not any(word in command for word in ("pip install", "apt-get", "-m venv")):
            assert run_as_ray_does(home, command).returncode == 0, command


@every_file
def test_nodes_know_the_address_and_require_the_token(kind: str, tmp_path: Path) -> None:
    names = "RAY_ADDRESS RAY_AUTH_MODE PATH"
    for of, address in (("head", "auto"), ("worker", "")):
        home = tmp_path / of
        for _ in range(2):  # `ray up` again
            node(kind, home, of)
        echo = f'for name in {names}; do echo "$name=${{!name}}"; done'
        lines = run_as_ray_does(home, echo).stdout.splitlines()
        shown = dict(line.split("=", 1) for line in lines if line.split("=")[0] in names)
        assert shown["RAY_ADDRESS"] == address
        assert shown["RAY_AUTH_MODE"] == "token"
        assert shown["PATH"].startswith(f"{home}/sweep/venv/bin:")
        assert (home / ".bashrc").read_text().count("settings.sh") == 1
        assert (home / ".ray" / "auth_token").stat().st_mode & 0o077 == 0


@every_file
def test_setup_fails_without_the_token(kind: str, tmp_path: Path) -> None:
    config = read(kind)
    assert config["file_mounts"]["~/.ray/auth_token"] == "~/.ray/auth_token"
    check = next(c for c in config["setup_commands"] if "auth_token" in c)
    assert run_as_ray_does(tmp_path, check).returncode != 0


@every_file
def test_dashboard_listens_on_loopback(kind: str) -> None:
    start = next(c for c in read(kind)["head_start_ray_commands"] if "ray start" in c)
    assert "--dashboard-host=127.0.0.1" in start
    assert "--autoscaling-config=~/ray_bootstrap_config.yaml" in start
