"""Installed packages compared with the requirements of the project."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

import pytest

from orchestrator.doctor.requirements import check_requirements, declared_requirements


def test_installed_packages_are_compared_with_the_requirements(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert {finding.verdict for finding in check_requirements()} == {"ok"}
    assert any(line.startswith("torch") for line in declared_requirements()[1])
    fake = tmp_path / "transformers-4.1.dist-info"
    fake.mkdir()
    (fake / "METADATA").write_text("Metadata-Version: 2.1\nName: transformers\nVersion: 4.1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    (outdated,) = [f for f in check_requirements() if f.verdict == "error"]
    assert outdated.text == "transformers 4.1, but >=5.0 is required"
    assert outdated.fix == "pip install 'transformers>=5.0'"


def test_missing_optional_package_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    installed = importlib.metadata.version

    def version(name: str) -> str:
        if name in ("optuna", "numpy"):
            raise importlib.metadata.PackageNotFoundError(name)
        return installed(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    found = {f.text: (f.verdict, f.fix) for f in check_requirements() if f.verdict != "ok"}
    optuna = found.pop("--space search needs optuna, which is not installed")
    assert optuna == ("warning", "pip install 'multimodal-sweep-orchestrator[search]'")
    ((numpy, (verdict, _)),) = found.items()
    assert (numpy, verdict) == ("numpy is not installed", "error")
