"""Where a result comes from: versions, git commit, hardware. No torch import, no secrets."""

from __future__ import annotations

import functools
import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

from orchestrator.hardware import gpu_names, main_memory
from results.storage.manifest_parts import GitState

PACKAGES = ("torch", "transformers", "ray", "optuna", "pyarrow", "numpy", "pillow")


@functools.cache
def versions() -> dict[str, str]:
    """The installed versions of what can move a number, and Python's."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


@functools.cache
def git() -> GitState | None:
    """Commit and dirty flag of the checkout this code runs from; None outside one.

    Asked once: later changes do not change the code that this process has loaded.
    """
    root = Path(__file__).resolve().parents[2]

    def run(*args: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(root), *args], capture_output=True, text=True, timeout=10, check=True
        )
        return done.stdout.strip()

    try:
        if Path(run("rev-parse", "--show-toplevel")).resolve() != root:
            return None
        changed = run("status", "--porcelain", "--untracked-files=no")
        return GitState(commit=run("rev-parse", "HEAD"), dirty=bool(changed))
    except (OSError, subprocess.SubprocessError):
        return None


def hardware() -> dict[str, Any]:
    """Processor, cores, memory and the names of the GPUs."""
    memory = main_memory()
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "memory_gib": None if memory is None else round(memory / 2**30, 1),
        "gpus": gpu_names(),
    }
