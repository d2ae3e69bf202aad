"""Uploads to a stand-in for the Hugging Face Hub on this machine."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hub_server import TOKEN, Hub, hub_server
from paths import ROOT

from orchestrator.request import Request
from orchestrator.running.plan import make_plan
from orchestrator.running.sweep import run_sweep


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("toy")
    assert run_sweep(make_plan(Request(task="toy", engine="local", out=str(out), name="s"))) == 0
    return out


def push(
    hub: Hub, toy: Path, folder: Path, *options: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run the command as a process, because the library reads variables when it is imported."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("HF_")}
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "orchestrator",
            "export",
            "s",
            "export",
            "--out",
            str(toy),
            *options,
        ],
        cwd=folder,
        env={
            **kept,
            "PYTHONPATH": str(ROOT),
            "HF_ENDPOINT": hub.address,
            "HF_HOME": str(folder / "home"),
            "HF_HUB_DISABLE_XET": "1",  # the stand-in does not support this protocol
            **environment,
        },
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_pushed_folder_arrives_unchanged(toy: Path, tmp_path: Path) -> None:
    with hub_server() as hub:
        options = ("--push-to-hub", "lab/fit", "--private")
        done = push(hub, toy, tmp_path, *options, HF_TOKEN=TOKEN)
    assert done.returncode == 0, done.stderr
    assert hub.unknown == []
    assert hub.repositories == {"lab/fit": True}
    folder = tmp_path / "export"
    assert hub.files == {file.name: file.read_bytes() for file in folder.iterdir()}
    assert len(hub.blobs) >= 2  # the weights went through LFS
    assert set(hub.cards) == {(folder / "README.md").read_text()}  # checked once or twice
    assert f"Uploaded to {hub.address}/lab/fit." in done.stdout


def test_a_refused_token_is_one_line_and_keeps_the_export(toy: Path, tmp_path: Path) -> None:
    with hub_server() as hub:
        done = push(hub, toy, tmp_path, "--push-to-hub", "lab/fit", HF_TOKEN="hf_wrong")
    assert done.returncode == 2
    assert "refuses the token in HF_TOKEN for lab/fit (401): set HF_TOKEN to" in done.stderr
    assert done.stderr.count("\n") == 1
    assert hub.files == {}
    assert (tmp_path / "export" / "README.md").is_file()


@pytest.mark.parametrize("token", [{}, {"HF_TOKEN": TOKEN}], ids=["no token", "no network"])
def test_upload_without_token_or_network_is_refused(
    token: dict[str, str], toy: Path, tmp_path: Path
) -> None:
    if token:  # no server listens on this port
        done = push(
            Hub(address="http://127.0.0.1:9"), toy, tmp_path, "--push-to-hub", "a/b", **token
        )
        assert "cannot be uploaded to http://127.0.0.1:9" in done.stderr
    else:
        with hub_server() as hub:
            done = push(hub, toy, tmp_path, "--push-to-hub", "lab/fit")
        assert "set HF_TOKEN" in done.stderr
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
