"""Paths of the checkout, its test data and the optional shared data."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).parents[1]
PLUGIN = ROOT / "tests" / "plugin"
STORED = ROOT / "tests" / "data" / "sweeps"
SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
#: PYTHONPATH of processes that need the fragile task, this checkout and its toy task.
PYTHONPATH = os.pathsep.join(map(str, (PLUGIN, ROOT, ROOT / "examples" / "toy")))
