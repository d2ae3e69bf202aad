"""What ``sweep.json`` records of a run's environment."""

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


def test_every_installed_distribution_is_named_with_its_version() -> None:
    distributions.cache_clear()  # another test may have had a package of its own installed
    lines, local = distributions()
    found = {normal(line.partition("==")[0]): line.partition("==")[2] for line in lines}
    for each in importlib.metadata.distributions():
        assert found.pop(normal(each.metadata["Name"]), each.version) == each.version
    assert not found
    assert list(lines) == sorted(lines, key=lambda line: normal(line.partition("==")[0]))
    assert normal("toy_sweep") in {normal(name) for name in local}  # installed with -e


def test_text_that_is_no_secret_stays() -> None:
    for line in ('token = "<s>"', "password = read()", "tokens: list[str]", "@dataclass"):
        assert hide_secrets(line) == line


def test_a_sweep_records_its_distributions_command_and_space(tmp_path: Path) -> None:
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


def test_a_built_in_space_is_recorded_too(tmp_path: Path) -> None:
    environment = manifest_of(tmp_path).environment
    assert environment is not None
    found = environment.space
    assert found is not None
    assert (found.name, found.file) == ("paper", "space.py")
    assert "Degrees of the polynomial" in str(found.text)


def test_a_run_with_nothing_to_do_keeps_the_environment_of_the_trials(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = manifest_of(tmp_path)
    monkeypatch.setattr(environment, "distributions", lambda: (("other==1",), ()))
    after = manifest_of(tmp_path)
    assert after.environment == before.environment
    more = manifest_of(tmp_path, seeds=2)
    assert more.environment is not None
    assert more.environment.distributions == ("other==1",)


def test_of_an_earlier_version_the_lock_has_what_was_recorded() -> None:
    stored = STORED / "toy" / "stored" / "sweep.json"
    manifest = Manifest.from_json(stored.read_text())
    assert manifest.environment is None
    assert f"torch=={manifest.versions['torch']}" in lock_text(manifest)
