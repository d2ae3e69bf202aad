"""Losses of class scores against labels, where the label 255 is ignored.

B batch, C classes
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor

from tasks.segmentation.masked import IGNORE
from tasks.segmentation.params import Params

SMOOTHING = 1.0  # pixels added to both parts of the dice ratio


def segmentation_loss(
    params: Params, logits: Float[Tensor, "B C H W"], labels: UInt8[Tensor, "B H W"]
) -> Float[Tensor, ""]:
    """Return the loss that a trial asks for; 0 if every pixel is ignored."""
    if params.loss == "dice":
        return dice_loss(logits, labels)
    gamma = params.focal_gamma if params.loss == "focal" else 0.0
    return focal_loss(logits, labels, gamma)


def focal_loss(
    logits: Float[Tensor, "B C H W"], labels: UInt8[Tensor, "B H W"], gamma: float
) -> Float[Tensor, ""]:
    """Return the focal loss (Lin et al. 2017, eq. 4), averaged over pixels that are not ignored.

    With ``gamma=0`` it is the cross-entropy.
    """
    entropy = F.cross_entropy(logits, labels.long(), ignore_index=IGNORE, reduction="none")
    if gamma:
        entropy = (1 - (-entropy).exp()).clamp(min=1e-6) ** gamma * entropy
    counted = labels != IGNORE
    return (entropy * counted).sum() / counted.sum().clamp(min=1)


def dice_loss(
    logits: Float[Tensor, "B C H W"], labels: UInt8[Tensor, "B H W"]
) -> Float[Tensor, ""]:
    """Return 1 minus the soft dice score, averaged over the classes in the batch's labels.

    The score of a class is over all pixels of the batch (Milletari et al. 2016, with the
    denominator without squares).
    """
    classes = torch.arange(logits.shape[1], device=logits.device)
    truth = labels[:, None] == classes[:, None, None].to(labels.dtype)  # never true for IGNORE
    shares = logits.softmax(1) * (labels != IGNORE)[:, None]
    overlap, numbers = (shares * truth).sum((0, 2, 3)), truth.sum((0, 2, 3))
    scores = (2 * overlap + SMOOTHING) / (shares.sum((0, 2, 3)) + numbers + SMOOTHING)
    present = numbers > 0
    return ((1 - scores) * present).sum() / present.sum().clamp(min=1)
