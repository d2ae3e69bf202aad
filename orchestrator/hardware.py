"""The devices of this machine and their memory."""

from __future__ import annotations

import os
import subprocess


def pick_device() -> str:
    """The torch device of this process: its first GPU where there is one."""
    try:
        import torch
    except ImportError:
        return "cpu"
    if torch.cuda.is_available():
        return "cuda:0"
    if torch.backends.mps.is_available():
        return "mps"
    return "cpu"


def device_bytes() -> int | None:
    """Memory of this machine's smallest GPU, or its main memory where it has none."""
    gpus = [line for line in _ask_nvidia("memory.total", "nounits") if line.isdigit()]
    return min(map(int, gpus)) * 2**20 if gpus else main_memory()


def main_memory() -> int | None:
    """This machine's memory in bytes; None where the system does not say, as on Windows."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return None


def gpu_names() -> list[str]:
    """The GPUs that nvidia-smi lists."""
    return _ask_nvidia("name")


def _ask_nvidia(field: str, *flags: str) -> list[str]:
    """One line per GPU; none where there is no nvidia-smi."""
    style = ",".join(("csv", "noheader", *flags))
    command = ["nvidia-smi", f"--query-gpu={field}", f"--format={style}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    return [line.strip() for line in done.stdout.splitlines() if line.strip()]
