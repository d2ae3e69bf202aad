"""The server of the web pages in a separate process, and a browser that looks at them."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from paths import PYTHONPATH

if TYPE_CHECKING:
    from playwright.sync_api import Browser

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")


@contextmanager
def served_pages(out: str, *options: str) -> Iterator[str]:
    """The address that ``serve`` prints; the server ends with the block, without an error."""
    process = subprocess.Popen(
        [sys.executable, "-m", "orchestrator", "serve", "--out", out, "--port", "0", *options],
        env={**os.environ, "PYTHONPATH": PYTHONPATH, "COLUMNS": "200"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert line.startswith("Open http://"), line + process.communicate()[1]
        yield line.split()[1]
    finally:
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 0, errors
    assert not errors


@contextmanager
def chromium() -> Iterator[Browser]:
    """Debian's Chromium, driven by Playwright; the test is skipped where either is missing."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("there is no Chromium: apt-get install chromium")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=found,
            args=["--no-sandbox"],  # CI runs as root
        )
        try:
            yield browser
        finally:
            browser.close()
