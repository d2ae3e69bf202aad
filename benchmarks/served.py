"""A server of the web pages, whose page of one sweep somebody watches."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

REFRESH_SECONDS = 2.0  # as in page.js


@contextmanager
def server(out: Path) -> Iterator[str]:
    """Serve the sweeps under a folder; yields the address."""
    command = [sys.executable, "-m", "orchestrator", "serve", "--port", "0", "--out", str(out)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().split()[1]
        finally:
            process.send_signal(signal.SIGINT)


@contextmanager
def watched_page(out: Path, sweep: str) -> Iterator[None]:
    """Ask for the page of a sweep (task/name) as an open browser does, until the block ends."""
    ended = threading.Event()
    with server(out) as address:
        watcher = threading.Thread(target=_watch, args=(f"{address}sweeps/{sweep}", ended))
        watcher.start()
        try:
            yield
        finally:
            ended.set()
            watcher.join()


def _watch(page: str, ended: threading.Event) -> None:
    version = ""
    while not ended.wait(REFRESH_SECONDS):
        with contextlib.suppress(urllib.error.URLError):  # 304, or the sweep has not begun
            headers = {"If-None-Match": version, "Accept-Encoding": "gzip"}
            with urllib.request.urlopen(urllib.request.Request(page, headers=headers)) as answer:
                answer.read()
                version = answer.headers["ETag"]
            urllib.request.urlopen(f"{page}/charts").read()
        with contextlib.suppress(urllib.error.URLError):
            urllib.request.urlopen(f"{page}/running").read()
