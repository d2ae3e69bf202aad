"""What ``doctor`` checks on the driver."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.doctor.driver import check_token


def test_token_that_is_missing_or_readable_by_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "token"
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(file))
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.delenv("RAY_AUTH_TOKEN", raising=False)
    (missing,) = check_token("head:6379")
    assert (missing.verdict, missing.subject) == ("error", "token")
    file.write_text("x")
    file.chmod(0o644)
    (readable,) = check_token("head:6379")
    assert (readable.verdict, readable.fix) == ("warning", f"chmod 600 {file}")
    file.chmod(0o600)
    assert [finding.verdict for finding in check_token("head:6379")] == ["ok"]
    monkeypatch.delenv("RAY_AUTH_MODE")
    assert [finding.verdict for finding in check_token("head:6379")] == ["warning"]
    assert [finding.verdict for finding in check_token(None)] == ["ok"]
