"""An installed package that declares a task."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from paths import ROOT


class Package:
    """The package ``mine``, a copy of the toy task, in a folder of ``sys.path``."""

    def __init__(self, root: Path) -> None:
        self.root, self.folder = root, root / "mine"
        self.folder.mkdir(parents=True)
        for name in ("__init__", "params", "task", "space"):
            source = ROOT / "examples" / "toy" / "toy_sweep" / f"{name}.py"
            text = source.read_text().replace("toy_sweep", "mine")
            (self.folder / f"{name}.py").write_text(text.replace('name = "toy"', 'name = "mine"'))
        self.declare("mine.task:TASK", "mine.space")

    def declare(self, task: str, space: str = "") -> None:
        info = self.root / "mine-0.1.dist-info"
        shutil.rmtree(info, ignore_errors=True)  # as pip does, so that its parent changes, too
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 0.1\n")
        text = f"[orchestrator.tasks]\nmine = {task}\n"
        text += f"[orchestrator.search_spaces]\nmine = {space}\n" if space else ""
        (info / "entry_points.txt").write_text(text)

    def edit(self, file: str, old: str, new: str) -> None:
        path = self.folder / file
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))

    def forget(self) -> None:
        """Let the next import read its files again."""
        for name in [each for each in sys.modules if each.split(".")[0] == "mine"]:
            del sys.modules[name]
