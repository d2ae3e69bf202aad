"""Shared by all tests: where the optional data lies, and a clean environment."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from paths import SHARED

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.pop("RAY_ADDRESS", None)


@pytest.fixture(scope="session")
def flickr() -> Path:
    folder = SHARED / "flickr8k-mini"
    if not folder.is_dir():
        pytest.skip("the photos of ../shared/data are not on this machine")
    return folder
