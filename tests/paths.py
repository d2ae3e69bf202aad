"""Where the checkout, its test data and the optional shared data are."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).parents[1]
PLUGIN = ROOT / "tests" / "plugin"
STORED = ROOT / "tests" / "data" / "sweeps"
SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
#: PYTHONPATH of processes that need the task that breaks, this checkout, and its own toy task.
PYTHONPATH = os.pathsep.join(map(str, (PLUGIN, ROOT, ROOT / "examples" / "toy")))
