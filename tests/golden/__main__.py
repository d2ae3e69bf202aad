"""Write the snapshots again: ``python -m tests.golden``. Read the difference before it goes in."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from golden_views import FOLDER, snapshot, views

for old in FOLDER.glob("*.txt"):
    old.unlink()
for name, make in views():
    (FOLDER / f"{name}.txt").write_text(snapshot(make()))
