"""Opening a folder or a bucket."""

from __future__ import annotations

import pytest

from results.storage.filesystem import open_filesystem

BUCKET = "s3://bucket/runs?region=us-east-1&scheme=http&endpoint_override=127.0.0.1%3A1"


def test_a_bucket_keeps_its_client_between_uses() -> None:
    first, path = open_filesystem(BUCKET)
    second, _ = open_filesystem(BUCKET)

    assert path == "bucket/runs"
    assert second is first


def test_changed_credentials_open_a_new_client(monkeypatch: pytest.MonkeyPatch) -> None:
    first, _ = open_filesystem(BUCKET)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "rotated")
    second, _ = open_filesystem(BUCKET)

    assert second is not first
