"""``scenes`` are equal in every process."""

from __future__ import annotations

import os
import subprocess
import sys

from paths import ROOT
from scene_digest import digest_scenes


def test_scenes_are_equal_in_another_process() -> None:
    code = "from scene_digest import digest_scenes; print(digest_scenes())"
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    env = {**os.environ, "PYTHONHASHSEED": "7", "PYTHONPATH": path}
    fresh = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=env, check=True, capture_output=True, text=True
    )
    assert fresh.stdout.strip() == digest_scenes()
