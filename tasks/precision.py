"""What a network computes in: float32, or bfloat16 where this machine has instructions for it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

Precision = Literal["auto", "float32", "bfloat16"]


def resolve_precision(precision: Precision) -> Precision:
    """``auto`` as this machine would have it; it is the driver's, where trials get their ids."""
    if precision != "auto":
        return precision
    return "bfloat16" if _has_bfloat16() else "float32"


def _has_bfloat16() -> bool:
    """Whether the processor, or any NVIDIA GPU there is, computes in bfloat16. Imports no torch."""
    if Path("/proc/driver/nvidia/version").exists():
        return True
    try:
        flags = Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags
