"""The probe: three linear classifiers on pixels, for an image's shape, color and size.

N images, P = 2352 pixels
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tasks.datasets import concepts
from tasks.interrupt import check_interrupt
from tasks.progress import report_progress

Array = np.ndarray[Any, Any]
EPOCHS, BATCH, LR = 10, 128, 1e-3
MIN_ACCURACY = 0.99  # on real held-out images; below, accuracies of generated images mean nothing


def train_probe(train: concepts.Concepts, test: concepts.Concepts) -> Mapping[str, Array]:
    """Train the probe on real images and return ``weight`` [6, P], ``bias`` [6] and ``accuracy``.

    As in the protocol: Adam, batch size 128, 10 epochs over 4500 real images of all eight
    conditions. The accuracy is the fraction of ``test`` with all three attributes right.
    """
    generator = torch.Generator().manual_seed(0)
    pixels, digits = to_pixels(train.images).flatten(1), torch.from_numpy(train.digits)
    heads = nn.Linear(pixels.shape[1], 6)
    with torch.no_grad():
        for value in heads.parameters():
            value.uniform_(-0.02, 0.02, generator=generator)
    optimizer = torch.optim.Adam(heads.parameters(), lr=LR)
    for epoch in range(EPOCHS):
        report_progress(epoch, EPOCHS)
        for rows in torch.randperm(len(pixels), generator=generator).split(BATCH):  # type: ignore[no-untyped-call]
            check_interrupt()
            logits = heads(pixels[rows]).reshape(-1, 3, 2)
            loss = F.cross_entropy(logits.flatten(0, 1), digits[rows].flatten())
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    found = {"weight": heads.weight.detach().numpy(), "bias": heads.bias.detach().numpy()}
    right = predict(found, test.images) == test.digits
    return {**found, "accuracy": np.array(right.all(1).mean())}


def predict(probe: Mapping[str, Array], images: Array) -> Array:
    """Predict the digits [N, 3] of images uint8 [N, 28, 28, 3]."""
    pixels = to_pixels(images).flatten(1).numpy()
    logits = pixels @ probe["weight"].T + probe["bias"]
    return np.asarray(logits.reshape(-1, 3, 2).argmax(2))


def to_pixels(images: Array) -> Tensor:
    """Convert images uint8 [N, H, W, 3] to float32 [N, 3, H, W] in -1..1."""
    return torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1
