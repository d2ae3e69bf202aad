"""Mask2Former (Cheng et al. 2022): a class and a mask for each of Q queries.

B batch, C classes, Q queries, n classes of an image, h x w grid of the masks, S side of the labels
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from tasks.segmentation.heads import resize
from tasks.segmentation.masked import IGNORE

MASK_SIZE = (384, 384)  # at which transformers combines masks, whatever the image's size
_LEAST = 1e-30  # of a score, whose logarithm must be finite


class Mask2Former(nn.Module):
    """A Mask2Former checkpoint as a network of pixels [B, 3, H, W], 0 to 1."""

    def __init__(self, model: Any, normalize: Any) -> None:
        super().__init__()
        self.model, self.normalize = model, normalize
        reset_class_weights(model)

    def forward(self, pixels: Tensor) -> Any:
        """Return the output of transformers, with that of each layer of the decoder."""
        inputs = self.normalize(pixels)
        return self.model(pixel_values=inputs, output_auxiliary_logits=True)

    @property
    def encoder(self) -> nn.Module:
        """The backbone."""
        return encoder_of(self.model)  # type: ignore[no-any-return]

    def loss(self, output: Any, labels: Tensor) -> Tensor:
        """Return the model's own loss for labels [B, S, S]; ignored pixels are in no mask."""
        targets = [_targets(each) for each in labels]
        layers = [_in_float32(each) for each in output.auxiliary_logits or []]
        parts = self.model.get_loss_dict(
            masks_queries_logits=output.masks_queries_logits.float(),
            class_queries_logits=output.class_queries_logits.float(),
            mask_labels=[masks for masks, _ in targets],
            class_labels=[classes for _, classes in targets],
            auxiliary_predictions=layers,
        )
        return self.model.get_loss(parts)  # type: ignore[no-any-return]


def encoder_of(model: Any) -> Any:
    """Return the backbone of a Mask2Former checkpoint."""
    return model.model.pixel_level_module.encoder


def reset_class_weights(model: Any) -> None:
    """Set the weights of classes in the loss, which are random for a new number of classes."""
    weights = model.criterion.empty_weight
    weights.fill_(1.0)
    weights[-1] = model.config.no_object_weight


def _in_float32(layer: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.float() for name, value in layer.items()}


def _targets(labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return masks [n, S, S] and classes [n] of the labels [S, S] of an image."""
    classes = torch.unique(labels)
    classes = classes[classes != IGNORE]
    return (labels == classes[:, None, None]).float(), classes.long()


def class_scores(output: Any, size: Sequence[int]) -> Tensor:
    """Return the logarithms of class scores [B, C, *size] (Cheng et al. 2022, section 3.3).

    A score is the sum over queries of the class's probability, times the mask's at the pixel. It is
    computed as by ``post_process_semantic_segmentation`` of transformers. A softmax of the
    logarithms gives the shares of the classes. One image is computed at a time, to save memory.
    """
    shares = output.class_queries_logits.float().softmax(-1)[..., :-1]  # without "no object"
    found = []
    for share, masks in zip(shares, output.masks_queries_logits.float(), strict=True):
        masks = resize(masks[None], MASK_SIZE).sigmoid()[0]
        scores = torch.einsum("qc,qhw->chw", share, masks)
        found.append(resize(scores[None], size))
    return torch.cat(found).clamp(min=_LEAST).log()
