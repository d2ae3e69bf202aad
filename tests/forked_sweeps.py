"""Sweeps of the fragile task in forked processes that kill themselves; see ``plugin/zygote.py``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from paths import PLUGIN, ROOT


class Zygote:
    """Forks sweeps on the local engine, each with its ``out`` and ``notes`` in a folder."""

    def __init__(self) -> None:
        environment = {**os.environ, "PYTHONPATH": f"{PLUGIN}{os.pathsep}{ROOT}"}
        self.process = subprocess.Popen(
            [sys.executable, str(PLUGIN / "zygote.py")],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(
        self,
        folder: Path,
        space: str,
        options: Sequence[str],
        kill: dict[str, Any] | None,
        most_configurations: int | None = None,
    ) -> bool:
        """Whether it was killed; it must else have ended well.

        Args:
            folder: for its results and notes.
            space: the text of its space file.
            options: further ones of ``sweep``.
            kill: the moment to kill it at (``zygote.arm``).
            most_configurations: whose weights stay while it runs, if not as many as usual.
        """
        (folder / "notes").mkdir(parents=True, exist_ok=True)
        (folder / "space.py").write_text(space)
        args = ["sweep", "fragile", "--name=s", "--engine=local", f"--out={folder / 'out'}"]
        args += [f"--space={folder / 'space.py'}", f"--set=notes={folder / 'notes'}", *options]
        request = {"args": args, "kill": kill, "log": str(folder / "log")}
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        text = json.dumps({**request, "most_configurations": most_configurations})
        self.process.stdin.write(f"{text}\n")
        self.process.stdin.flush()
        ended_by, status = json.loads(self.process.stdout.readline())
        assert ended_by in (0, 9)
        assert status == 0, (folder / "log").read_text()
        return bool(ended_by == 9)

    def close(self) -> None:
        """Leave no process behind."""
        self.process.kill()
        self.process.wait()
