"""The image-text matching loss with hard negatives (Li et al. 2021, "ALBEF", section 3.2).

K members of a stack, B batch
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

_STREAM = 1  # of random numbers; pairs are drawn with seed and epoch alone


def draw_uniforms(
    seed: int, epoch: int, num_steps: int, batch_size: int
) -> Float[Tensor, "steps 2 B"]:
    """Return the numbers in [0, 1) that choose the negative texts and images of an epoch."""
    rng = np.random.default_rng([seed, epoch, _STREAM])
    return torch.from_numpy(rng.random((num_steps, 2, batch_size)))


def sample_negatives(
    logits: Float[Tensor, "K B B"],
    same: Bool[Tensor, "K B B"],
    uniforms: Float[Tensor, "K 2 B"],
) -> Int[Tensor, "K 2 B"]:
    """Return a text for each image and an image for each text that do not belong together.

    The more similar a text is to an image, the more likely it is chosen: its probability is the
    softmax of the contrastive logits over the texts of the batch, without those that ``same``
    marks. Images for texts are chosen likewise. Where everything is ``same``, the choice is
    arbitrary.
    """
    both = torch.stack([logits, logits.mT], dim=1).detach().double()  # [K, 2, query, candidate]
    marked = torch.stack([same, same.mT], dim=1)
    shares = both.masked_fill(marked & has_negative(same)[:, None, :, None], -torch.inf).softmax(-1)
    ends = shares.cumsum(-1)
    # The first candidate whose end is above the number; its own share is then above 0.
    place = torch.minimum(uniforms * ends[..., -1], _below(ends[..., -1]))
    found = torch.searchsorted(ends, place[..., None], right=True)[..., 0]
    return found.clamp(max=ends.shape[-1] - 1)  # beyond it only if a logit is not a number


def _below(value: Tensor) -> Tensor:
    return torch.nextafter(value, torch.zeros_like(value))


def has_negative(same: Bool[Tensor, "K B B"]) -> Bool[Tensor, "K B"]:
    """Return which pairs of a batch have a candidate that is not ``same``, which is symmetric."""
    return ~same.all(-1)


def list_pairs(negatives: Int[Tensor, "K 2 B"]) -> Int[Tensor, "K 2 3B"]:
    """Return images and texts of the pairs to match: B positive ones, then those with a negative.

    The second B are images with negative texts, the last B texts with negative images.
    """
    texts, images = negatives.unbind(1)
    own = torch.arange(texts.shape[-1], device=texts.device).expand_as(texts)
    return torch.stack([torch.cat([own, own, images], -1), torch.cat([own, texts, own], -1)], dim=1)


def matching_loss(
    logits: Float[Tensor, "K 3B 2"], has_negative: Bool[Tensor, "K B"]
) -> Float[Tensor, " K"]:
    """Return the mean binary cross-entropy of the pairs of ``list_pairs``.

    Args:
        logits: the logits of "no" and "yes".
        has_negative: which pairs of the batch have negatives. The others count as positive only.
    """
    kept = torch.cat([torch.ones_like(has_negative), has_negative, has_negative], dim=-1)
    target = torch.zeros(logits.shape[:-1], dtype=torch.long, device=logits.device)
    target[:, : has_negative.shape[-1]] = 1
    losses = F.cross_entropy(logits.flatten(0, 1), target.flatten(), reduction="none")
    return (losses.view_as(target) * kept).sum(-1) / kept.sum(-1)
