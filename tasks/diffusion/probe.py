"""The probe: linear classifiers on pixels, one for each attribute of an image.

N images, P = 2352 pixels, A attributes, V the largest number of values of an attribute
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tasks.datasets.conditions import AttributeImages
from tasks.interrupt import check_interrupt
from tasks.progress import report_progress

Array = np.ndarray[Any, Any]
EPOCHS, BATCH, LR = 10, 128, 1e-3
MIN_ACCURACY = 0.99  # on real held-out images; below, accuracies of generated images mean nothing


def train_probe(train: AttributeImages, test: AttributeImages) -> Mapping[str, Array]:
    """Train the probe on real images.

    As in the protocol: Adam, batch size 128, 10 epochs over real images of all conditions.

    Returns:
        ``weight`` [A * V, P], ``bias`` [A * V] and ``num_attributes``, A.
        ``accuracy``, the fraction of ``test`` with all attributes right.
    """
    generator = torch.Generator().manual_seed(0)
    pixels, digits = to_pixels(train.images).flatten(1), torch.from_numpy(train.digits)
    possible = possible_values(train.digits)
    heads = nn.Linear(pixels.shape[1], possible.numel())
    with torch.no_grad():
        for value in heads.parameters():
            value.uniform_(-0.02, 0.02, generator=generator)
    optimizer = torch.optim.Adam(heads.parameters(), lr=LR)
    for epoch in range(EPOCHS):
        report_progress(epoch, EPOCHS)
        for rows in torch.randperm(len(pixels), generator=generator).split(BATCH):  # type: ignore[no-untyped-call]
            check_interrupt()
            logits = mask_logits(heads(pixels[rows]), possible)
            loss = F.cross_entropy(logits.flatten(0, 1), digits[rows].flatten())
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    bias = heads.bias.detach().masked_fill(~possible.flatten(), -torch.inf)
    found = {"weight": heads.weight.detach().numpy(), "bias": bias.numpy()}
    found["num_attributes"] = np.array(len(possible))
    right = predict(found, test.images) == test.digits
    return {**found, "accuracy": np.array(right.all(1).mean())}


def possible_values(digits: Array) -> Tensor:
    """Return which values each attribute has, bool [A, V], from the digits [N, A] of all images."""
    numbers = torch.from_numpy(digits).amax(0) + 1
    return torch.arange(int(numbers.max())) < numbers[:, None]


def mask_logits(logits: Tensor, possible: Tensor) -> Tensor:
    """Reshape logits [N, A * V] to [N, A, V], where values that an attribute lacks are -inf."""
    return logits.reshape(-1, *possible.shape).masked_fill(~possible, -torch.inf)


def predict(probe: Mapping[str, Array], images: Array) -> Array:
    """Predict the digits [N, A] of images uint8 [N, 28, 28, 3]."""
    pixels = to_pixels(images).flatten(1).numpy()
    logits = pixels @ probe["weight"].T + probe["bias"]
    return np.asarray(logits.reshape(len(images), int(probe["num_attributes"]), -1).argmax(2))


def to_pixels(images: Array) -> Tensor:
    """Convert images uint8 [N, H, W, 3] to float32 [N, 3, H, W] in -1..1."""
    return torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1
