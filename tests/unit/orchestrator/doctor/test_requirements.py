"""Installed packages compared with the requirements of the project."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.doctor.requirements import check_requirements, declared


def test_installed_packages_are_compared_with_the_requirements(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert {finding.verdict for finding in check_requirements()} == {"ok"}
    assert any(line.startswith("torch") for line in declared()[1])
    fake = tmp_path / "transformers-4.1.dist-info"
    fake.mkdir()
    (fake / "METADATA").write_text("Metadata-Version: 2.1\nName: transformers\nVersion: 4.1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    (outdated,) = [f for f in check_requirements() if f.verdict == "wrong"]
    assert outdated.text == "transformers 4.1, but >=5.0 is needed"
    assert outdated.mend == "pip install 'transformers>=5.0'"
