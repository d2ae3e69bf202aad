"""What ``doctor`` finds on the driver, without asking a cluster."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.doctor.driver import check_token
from orchestrator.doctor.requirements import check_requirements, declared


def test_packages_are_held_against_what_is_declared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert {finding.verdict for finding in check_requirements()} == {"ok"}
    assert any(line.startswith("torch") for line in declared()[1])
    fake = tmp_path / "transformers-4.1.dist-info"
    fake.mkdir()
    (fake / "METADATA").write_text("Metadata-Version: 2.1\nName: transformers\nVersion: 4.1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    (wrong,) = [f for f in check_requirements() if f.verdict == "wrong"]
    assert wrong.text == "transformers 4.1, but >=5.0 is needed"
    assert wrong.mend == "pip install 'transformers>=5.0'"


def test_a_token_that_others_read_or_that_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "token"
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(file))
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.delenv("RAY_AUTH_TOKEN", raising=False)
    (missing,) = check_token("head:6379")
    assert (missing.verdict, missing.subject) == ("wrong", "token")
    file.write_text("x")
    file.chmod(0o644)
    (readable,) = check_token("head:6379")
    assert (readable.verdict, readable.mend) == ("warning", f"chmod 600 {file}")
    file.chmod(0o600)
    assert [finding.verdict for finding in check_token("head:6379")] == ["ok"]
    monkeypatch.delenv("RAY_AUTH_MODE")
    assert [finding.verdict for finding in check_token("head:6379")] == ["warning"]
    assert [finding.verdict for finding in check_token(None)] == ["ok"]
