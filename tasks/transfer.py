"""Copy tensors to a device."""

from __future__ import annotations

from torch import Tensor


def to_device(value: Tensor, device: str) -> Tensor:
    """Copy a tensor of the CPU to a device, without waiting for the work that is queued there.

    A GPU copies by itself only from pinned memory. From other memory, the CPU would first wait
    until the GPU has finished everything else.
    """
    if not device.startswith("cuda"):
        return value.to(device)
    return value.pin_memory().to(device, non_blocking=True)
