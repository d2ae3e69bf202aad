"""The uncommitted changes of a git checkout that a sweep records."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from orchestrator.environment.describe import (
    MAX_BYTES,
    changes,
    shorten,
)


def checkout(folder: Path) -> Path:
    """A git repository with one file."""
    (folder / "a.py").write_text("value = 1\n")
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    for words in (["init", "-q"], ["add", "a.py"], [*identity, "commit", "-qm", "Add a"]):
        subprocess.run(["git", "-C", str(folder), *words], check=True)
    return folder


def test_clean_checkout_has_no_changes(tmp_path: Path) -> None:
    assert changes(tmp_path) == ("", ())
    assert changes.__wrapped__(checkout(tmp_path)) == ("", ())


def test_changes_are_recorded_without_secrets_and_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    folder = checkout(tmp_path)
    (folder / "a.py").write_text(
        "value = 2\n"
        'api_key = "0123456789abcdef"\n'
        'login("hf_abcdefghijklmnopqrstuvwx")\n'
        'data = "/home/someone/photos"\n'
        'uri = "s3://KEY:s3cr3t@bucket/runs"\n'
        'sort(key=lambda x: x.token, tokens="short")\n'
    )
    (folder / "new.py").write_text("")
    diff, untracked = changes.__wrapped__(folder)
    assert "-value = 1\n+value = 2\n" in diff
    assert untracked == ("new.py",)
    for secret in ("0123456789abcdef", "abcdefghij", "/home/someone", "s3cr3t"):
        assert secret not in diff, secret
    assert '+data = "~/photos"' in diff
    assert '+sort(key=lambda x: x.token, tokens="short")' in diff


def test_long_changes_are_cut(tmp_path: Path) -> None:
    folder = checkout(tmp_path)
    (folder / "a.py").write_text("".join(f"value = {i}\n" for i in range(60_000)))
    diff, _ = changes.__wrapped__(folder)
    assert len(diff) < MAX_BYTES + 200
    assert diff.endswith("# truncated: the diff exceeds 256 KiB\n")
    assert "a line of 5001 characters was left out" in shorten(b"+" + b"x" * 5000, "changes")
