"""The origin of results: versions, Git commit and hardware. Does not import torch."""

from __future__ import annotations

import functools
import importlib.metadata
import platform
import subprocess
from pathlib import Path
from typing import Any

from orchestrator.cgroups import available_cpus
from orchestrator.hardware import gpu_names, main_memory
from results.storage.manifest_parts import GitState

PACKAGES = ("torch", "transformers", "ray", "optuna", "pyarrow", "numpy", "pillow")


@functools.cache
def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that can change a number."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


@functools.cache
def git() -> GitState | None:
    """Return commit and dirty flag of the checkout with this code; None outside of one.

    Later calls return the first result, because later changes do not affect the loaded code.
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
    """Return system, cores and memory that this process may use, and the names of the GPUs."""
    memory = main_memory()
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "cores": available_cpus(),
        "memory_gib": None if memory is None else round(memory / 2**30, 1),
        "gpus": gpu_names(),
    }
