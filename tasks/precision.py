"""The precision of a network: float32, or bfloat16 if this machine has instructions for it."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Literal

Precision = Literal["auto", "float32", "bfloat16"]
NVIDIA_DRIVER = Path("/proc/driver/nvidia/version")
CPU_INFO = Path("/proc/cpuinfo")


def resolve_precision(precision: Precision) -> Precision:
    """Replace ``auto`` by the best precision of this machine.

    The driver calls it before it computes trial ids, so all workers use the same precision.
    """
    if precision != "auto":
        return precision
    return "bfloat16" if _has_bfloat16() else "float32"


@functools.cache
def _has_bfloat16() -> bool:
    """Return whether all GPUs of this machine, or its CPU if it has none, support bfloat16.

    Emulation does not count: on a T4 or V100 it is slower than float32. Torch is imported only if
    an NVIDIA driver is present.
    """
    if NVIDIA_DRIVER.exists():
        import torch

        if torch.cuda.is_available():
            return all(_gpu_has_bfloat16(index) for index in range(torch.cuda.device_count()))
    try:
        flags = CPU_INFO.read_text()
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags


def _gpu_has_bfloat16(index: int) -> bool:
    import torch

    with torch.cuda.device(index):
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
