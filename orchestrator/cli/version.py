"""The output of ``--version``."""

from __future__ import annotations

import importlib.metadata
import platform


def version_line() -> str:
    """Return the versions of this program, Python, torch, Ray and Optuna, importing none."""
    names = ("torch", "ray", "optuna")
    others = [f"{name} {_version(name)}" for name in names]
    ours = _version("multimodal-sweep-orchestrator")
    return f"orchestrator {ours} (Python {platform.python_version()}, {', '.join(others)})"


def _version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
