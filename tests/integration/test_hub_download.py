"""``hub:ID`` from a stand-in for the Hugging Face Hub on this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from captioned_layouts import hub, hub_rows
from hub_files_server import FileHub, file_hub
from paths import ROOT

pytest.importorskip("datasets", reason="datasets is not installed")

COMMITS = ("ab" * 20, "cd" * 20)
CODE = """
import json, sys
from tasks.contract import DataError
from tasks.datasets import registry
found = []
for name in sys.argv[1:]:
    try:
        source = registry.resolve(name)
        train = registry.load_split(source.name, "train")
        reds = [train.load(index).getpixel((0, 0))[0] for index in range(len(train))]
        found.append([source.name, source.fingerprint, reds])
    except DataError as error:
        found.append(str(error))
print(json.dumps(found))
"""


def read(hub: FileHub, home: Path, *names: str) -> list[Any]:
    """Read data sets in a new process: the library reads its variables when it is imported."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("HF_")}
    variables = {
        "PYTHONPATH": str(ROOT),
        "HF_ENDPOINT": hub.address,
        "HF_HOME": str(home / "hf"),
        "XDG_CACHE_HOME": str(home / "xdg"),
        "HF_HUB_DISABLE_XET": "1",  # the stand-in does not support this protocol
        "HF_HUB_DISABLE_TELEMETRY": "1",
    }
    done = subprocess.run(
        [sys.executable, "-c", CODE, *names],
        env={**kept, **variables},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, "")
    found: list[Any] = json.loads(done.stdout)
    return found


def test_data_of_a_commit_is_downloaded_once(tmp_path: Path) -> None:
    commits = {
        commit: hub(tmp_path / commit, train=hub_rows(number))
        for number, commit in enumerate(COMMITS, 2)
    }
    names = ("hub:lab/d", f"hub:lab/d@{COMMITS[0]}", "hub:lab/d@v9", "hub:lab/other")
    with file_hub("lab/d", commits) as server:
        latest, first, unknown, other = read(server, tmp_path, *names)
    assert latest[::2] == [f"hub:lab/d@{COMMITS[1]}", [0, 1, 2]]
    assert first[::2] == [f"hub:lab/d@{COMMITS[0]}", [0, 1]]
    assert unknown.startswith("lab/d@v9 cannot be loaded (RevisionNotFoundError: ")
    assert other.startswith("lab/other cannot be loaded (RepositoryNotFoundError: ")
    # A recorded name needs no connection.
    assert read(server, tmp_path, latest[0], first[0]) == [latest, first]


def test_stream_of_the_hub_stores_nothing(tmp_path: Path) -> None:
    with file_hub("lab/d", {COMMITS[0]: hub(tmp_path, train=hub_rows(3))}) as server:
        first, recorded = read(
            server, tmp_path, "hub:lab/d,streaming", f"hub:lab/d@{COMMITS[0]},streaming"
        )
    assert first[::2] == [f"hub:lab/d@{COMMITS[0]},streaming", [0, 1, 2]]
    assert recorded == first
    assert not list((tmp_path / "hf").rglob("*.arrow"))
    assert not list((tmp_path / "hf").rglob("*.parquet"))
