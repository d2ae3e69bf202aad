"""The end of Ray while other threads run."""

from __future__ import annotations

import subprocess
import sys

from paths import ROOT

#: A thread makes garbage with references to Ray's objects until Ray has been shut down.
SCRIPT = """
import threading, time
from orchestrator.engines.ray.engine import RayEngine
import ray

engine = RayEngine()
engine.start(1, print, lambda: False)
references = [ray.put(0) for _ in range(20_000)]
has_begun, has_ended = threading.Event(), threading.Event()

def make_garbage():
    while references and not has_ended.is_set():
        cell = [references.pop()]
        cell.append(cell)
        if len(references) % 5 == 0:
            time.sleep(0.0005)
            has_begun.set()

thread = threading.Thread(target=make_garbage)
thread.start()
has_begun.wait()
engine.close()
has_ended.set()
thread.join()
print("the end")
"""


def test_garbage_of_another_thread_does_not_end_the_process() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert done.stdout.endswith("the end\n"), (done.returncode, done.stderr)
    assert done.returncode == 0
