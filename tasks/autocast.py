"""Compute at a precision."""

from __future__ import annotations

import torch


def autocast(device: str, precision: str) -> torch.autocast:
    """Return a context manager in which networks compute at a precision, float32 or bfloat16."""
    dtype = getattr(torch, precision)
    return torch.autocast(device.split(":")[0], dtype=dtype, enabled=dtype is not torch.float32)
