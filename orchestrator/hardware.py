"""The devices of this machine and their memory, within the limits of this process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from orchestrator.cgroups import installed_memory, memory_limit

#: Device files of GPUs on Linux: NVIDIA's, those of its Jetson boards, AMD's, and of Windows' WSL.
GPU_FILES = ("nvidia*", "nvhost*", "nvgpu*", "kfd", "dxg")


def may_have_gpu(devices: Path = Path("/dev")) -> bool:
    """Return False if this machine has no GPU that torch could use, without importing torch."""
    if not sys.platform.startswith("linux"):
        return True
    return any(next(devices.glob(name), None) for name in GPU_FILES)


def pick_device() -> str:
    """Return the torch device of this process: its first GPU (CUDA or MPS), otherwise CPU.

    On a machine without GPUs, it does not import torch, which takes seconds: not all tasks use it.
    """
    if not may_have_gpu():
        return "cpu"
    try:
        import torch
    except ImportError:
        return "cpu"
    if torch.cuda.is_available():
        return "cuda:0"
    if torch.backends.mps.is_available():
        return "mps"
    return "cpu"


def device_memory() -> int | None:
    """Return the bytes of memory of the smallest GPU, or of main memory without GPUs.

    None if unknown.
    """
    gpus = [line for line in _query_gpus("memory.total", "nounits") if line.isdigit()]
    return min(map(int, gpus)) * 2**20 if gpus else main_memory()


def main_memory() -> int | None:
    """Return the bytes of main memory that this process may use.

    None if unknown, as on Windows.
    """
    installed, limit = installed_memory(), memory_limit()
    return installed if installed is None or limit is None else min(installed, limit)


def gpu_names() -> list[str]:
    """Return the names of the GPUs that nvidia-smi lists."""
    return _query_gpus("name")


def num_gpus() -> int:
    """Return the number of GPUs that this process may use."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return len(gpu_names())
    return len([each for each in visible.split(",") if each.strip() not in ("", "-1")])


def _query_gpus(field: str, *flags: str) -> list[str]:
    """Return one value per GPU, none without nvidia-smi."""
    output_format = ",".join(("csv", "noheader", *flags))
    command = ["nvidia-smi", f"--query-gpu={field}", f"--format={output_format}"]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    return [line.strip() for line in result.stdout.splitlines() if line.strip()]
