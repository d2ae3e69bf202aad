"""Resize class scores to the grid of labels, in training.

B batch, C classes, h x w grid, H x W grid of the labels
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor

from tasks.segmentation.heads import resize

MAX_GRID = 32  # side up to which matrices are faster


def resize_scores(scores: Tensor, size: Sequence[int]) -> Tensor:
    """Resize class scores [B, C, h, w] to [B, C, H, W], bilinearly.

    On a CPU, scores of a small grid are multiplied by a matrix per axis. Forward and backward, this
    takes a third of the time of torch's kernel. The results differ by rounding errors.
    """
    is_small = max(scores.shape[-2:]) <= MAX_GRID
    if scores.device.type != "cpu" or not is_small or tuple(scores.shape[-2:]) == tuple(size):
        return resize(scores, size)
    rows, columns = (
        _matrix(old, new).to(scores.dtype) for old, new in zip(scores.shape[-2:], size, strict=True)
    )
    return rows @ (scores.contiguous() @ columns.T)


@lru_cache(maxsize=64)
@torch.inference_mode(False)
def _matrix(old: int, new: int) -> Tensor:
    """Return the weights [new, old] of the old points in each new one."""
    return resize(torch.eye(old)[None, None], (new, old))[0, 0]
