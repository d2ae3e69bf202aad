"""Files and the store after kill -9: nothing acknowledged is lost, nothing is half written."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from paths import ROOT
from toy_results import PARAMS, manifest

from results.storage.atomic_write import TEMPORARY_PATTERN
from results.storage.reading import read_sweep
from results.storage.store import SweepStore

WRITER = """
import sys
sys.path[:0] = [{root!r}, {tests!r}]
from toy_results import PARAMS, result
from results.storage.store import SweepStore
store = SweepStore({out!r}, "toy", "s", PARAMS)
for number in range(int(sys.argv[1]), 10**6):
    store.add([result(number)])
    print(number, flush=True)
    if number % 7 == 0:
        store.compact()
"""


def test_kill_9_loses_no_acknowledged_trial(tmp_path: Path) -> None:
    code = WRITER.format(root=str(ROOT), tests=str(ROOT / "tests"), out=str(tmp_path))
    SweepStore(str(tmp_path), "toy", "s", PARAMS).write_manifest(manifest())
    acknowledged, rng = 0, np.random.default_rng(0)
    for _ in range(8):
        command = [sys.executable, "-c", code, str(acknowledged)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout is not None
            assert writer.stdout.readline()
            time.sleep(rng.uniform(0.0, 0.4))
            os.kill(writer.pid, signal.SIGKILL)
            output = writer.stdout.read().split()
        acknowledged = int(output[-1]) + 1 if output else acknowledged + 1
        sweep = read_sweep(str(tmp_path), "toy", "s")
        ids = sweep.trials["trial_id"].to_pylist()
        assert set(ids) >= {f"t{number}" for number in range(acknowledged)}
        assert len(ids) == len(set(ids))
        assert not sweep.damaged
        assert set(sweep.steps["trial_id"].to_pylist()) >= set(ids)
    assert acknowledged > 8


def test_killed_writer_leaves_the_earlier_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("before")
    program = (
        "import os, sys; from results.storage.atomic_write import atomic_file\n"
        "with atomic_file(sys.argv[1]) as temporary:\n"
        "    temporary.write_text('half'); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", program, str(path)], check=False)
    assert done.returncode == -9
    assert path.read_text() == "before"
    (left,) = {*os.listdir(tmp_path)} - {"file"}
    assert re.fullmatch(rf"file{TEMPORARY_PATTERN}", left)
