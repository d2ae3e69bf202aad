"""The environment of a run in ``sweep.json``."""

from __future__ import annotations

import importlib.metadata
import re
from pathlib import Path
from typing import Any

import pytest
from paths import STORED

from orchestrator.environment import describe as environment
from orchestrator.environment.describe import (
    distributions,
    hide_secrets,
)
from orchestrator.request import Request
from orchestrator.running.plan import make_plan
from orchestrator.running.sweep import run_sweep
from orchestrator.sharing.archive import lock_text
from results.storage.manifest import Manifest
from results.storage.manifest_parts import SpaceText
from results.storage.reading import read_sweep


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def manifest_of(out: Path, *, task: str = "toy", **options: Any) -> Manifest:
    plan = make_plan(Request(task=task, engine="local", out=str(out), **options))
    assert run_sweep(plan) == 0
    return read_sweep(str(out), task, plan.name).manifest


def test_distributions_lists_every_installed_version() -> None:
    distributions.cache_clear()  # another test may have installed a package
    lines, local = distributions()
    found = {normal(line.partition("==")[0]): line.partition("==")[2] for line in lines}
    for each in importlib.metadata.distributions():
        assert found.pop(normal(each.metadata["Name"]), each.version) == each.version
    assert not found
    assert list(lines) == sorted(lines, key=lambda line: normal(line.partition("==")[0]))
    assert normal("toy_sweep") in {normal(name) for name in local}  # installed with -e


def test_hide_secrets_keeps_other_text() -> None:
    for line in ('token = "<s>"', "password = read()", "tokens: list[str]", "@dataclass"):
        assert hide_secrets(line) == line


def test_manifest_records_distributions_command_and_space(tmp_path: Path) -> None:
    space = tmp_path / "mine.py"
    space.write_text("GRID = {'degree': [1, 3]}  # mine\n")
    recorded = manifest_of(tmp_path / "runs", space=str(space))
    found = recorded.environment
    assert found is not None
    assert found.distributions == distributions()[0]
    assert found.space == SpaceText(name="mine", file="mine.py", text=space.read_text())
    assert recorded.command[:3] == ("python", "-m", "orchestrator")
    lock = lock_text(recorded)
    assert "\nnumpy==" in lock
    assert not re.search(r"^toy[-_]sweep==", lock, re.M), "no index has it"


def test_manifest_records_a_built_in_space(tmp_path: Path) -> None:
    environment = manifest_of(tmp_path).environment
    assert environment is not None
    found = environment.space
    assert found is not None
    assert (found.name, found.file) == ("paper", "space.py")
    assert "Degrees of the polynomial" in str(found.text)


def test_run_without_new_trials_keeps_the_recorded_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = manifest_of(tmp_path)
    monkeypatch.setattr(environment, "distributions", lambda: (("other==1",), ()))
    after = manifest_of(tmp_path)
    assert after.environment == before.environment
    more = manifest_of(tmp_path, seeds=2)
    assert more.environment is not None
    assert more.environment.distributions == ("other==1",)


def test_lock_of_a_sweep_without_environment_has_recorded_versions() -> None:
    stored = STORED / "toy" / "stored" / "sweep.json"
    manifest = Manifest.from_json(stored.read_text())
    assert manifest.environment is None
    assert f"torch=={manifest.versions['torch']}" in lock_text(manifest)
