"""The log of a run whose sweep is in a bucket."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from orchestrator.running.logs import run_log


def test_later_parts_are_added_to_the_log_in_a_bucket() -> None:
    written: dict[str, bytes] = {}
    store = SimpleNamespace(filesystem=None, path="bucket/toy/s", write_log=written.__setitem__)
    run: Any = SimpleNamespace(
        store=store,
        log_name="now.log",
        logged=b"",
        request=SimpleNamespace(out="s3://bucket"),
        plan=SimpleNamespace(task=SimpleNamespace(name="toy"), name="s"),
    )
    for text in ("trials\n", "trackers\n"):
        with run_log(run) as path:
            Path(path).write_text(text)
    assert written == {"now.log": b"trials\ntrackers\n"}
