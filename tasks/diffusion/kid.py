"""Kernel inception distance (Binkowski et al. 2018) on the features of a small network.

It is the squared maximum mean discrepancy with the kernel (x . y / D + 1)^3. The unbiased estimator
has mean 0 if generated and real images have the same distribution, so it can be negative. Its
variance is estimated by the jackknife, over generated and over real images.

N generated images, M real images, D features
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from tasks.datasets.conditions import AttributeImages, to_digits
from tasks.diffusion.probe import mask_logits, possible_values, to_pixels
from tasks.interrupt import check_interrupt
from tasks.progress import report_progress

Array = np.ndarray[Any, Any]
NUM_FEATURES, EPOCHS, BATCH, LR = 64, 6, 128, 1e-3
MIN_IMAGES = 3  # the jackknife leaves one image out and needs a pair of the others
Z = 1.96


def _network() -> nn.Sequential:
    return nn.Sequential(
        *(nn.Conv2d(3, 16, 3, 2, 1), nn.ReLU()),
        *(nn.Conv2d(16, 32, 3, 2, 1), nn.ReLU()),
        *(nn.Conv2d(32, 64, 3, 2, 1), nn.ReLU(), nn.Flatten()),
        nn.Linear(64 * 16, NUM_FEATURES),
    )


def fit(train: AttributeImages, real: AttributeImages) -> Mapping[str, Array]:
    """Train the network, and return its weights ``kid.*`` and the ``features`` [M, D] of ``real``.

    The network learns to classify the attributes. Its features are standardized over
    ``real``, images on which it was not trained and to which distances are measured.
    ``feature_digits`` are the conditions of ``real``.
    """
    possible = possible_values(train.digits)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network, heads = _network(), nn.Linear(NUM_FEATURES, possible.numel())
    generator = torch.Generator().manual_seed(0)
    pixels, digits = to_pixels(train.images), torch.from_numpy(train.digits)
    optimizer = torch.optim.Adam([*network.parameters(), *heads.parameters()], lr=LR)
    for epoch in range(EPOCHS):
        report_progress(epoch, EPOCHS)
        for rows in torch.randperm(len(pixels), generator=generator).split(BATCH):  # type: ignore[no-untyped-call]
            check_interrupt()
            logits = mask_logits(heads(F.relu(network(pixels[rows]))), possible)
            loss = F.cross_entropy(logits.flatten(0, 1), digits[rows].flatten())
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    fitted = {f"kid.{name}": value.numpy() for name, value in network.state_dict().items()}
    features = _forward(fitted, real.images)
    fitted |= {"kid_mean": features.mean(0), "kid_deviation": features.std(0)}
    return {
        **fitted,
        "features": to_features(fitted, real.images),
        "feature_digits": real.digits,
    }


def to_features(fitted: Mapping[str, Array], images: Array) -> Array:
    """Return standardized features float64 [N, D] of images uint8 [N, 28, 28, 3]."""
    deviation = np.maximum(fitted["kid_deviation"], np.finfo(np.float64).tiny)
    return np.asarray((_forward(fitted, images) - fitted["kid_mean"]) / deviation)


@torch.inference_mode()
def _forward(fitted: Mapping[str, Array], images: Array) -> Array:
    network = _network()
    prefix = "kid."
    weights = {k.removeprefix(prefix): v for k, v in fitted.items() if k.startswith(prefix)}
    network.load_state_dict({name: torch.tensor(value) for name, value in weights.items()})
    return np.asarray(network(to_pixels(images)).numpy().astype(np.float64))


def of_condition(
    fitted: Mapping[str, Array], condition: str, images: Array
) -> tuple[float, float] | None:
    """Return one condition's distance and its variance; None for fewer than three images."""
    wanted = (fitted["feature_digits"] == to_digits(condition)).all(1)
    if min(len(images), wanted.sum()) < MIN_IMAGES:
        return None
    return distance(to_features(fitted, images), fitted["features"][wanted])


def distance(drawn: Array, real: Array) -> tuple[float, float]:
    """Return the unbiased distance of features [N, D] to [M, D], and its jackknife variance."""
    n, m = len(drawn), len(real)
    kernel, kernel_real, across = _kernel(drawn, drawn), _kernel(real, real), _kernel(drawn, real)
    ours = kernel.sum(1) - kernel.diagonal()  # for each image, the sum over the others
    theirs = kernel_real.sum(1) - kernel_real.diagonal()
    estimate = _combine(ours.sum(), theirs.sum(), across.sum(), n, m)
    # Estimates without one of the images, whose row each sum over ordered pairs contains twice.
    without_ours = _combine(
        ours.sum() - 2 * ours, theirs.sum(), across.sum() - across.sum(1), n - 1, m
    )
    without_theirs = _combine(
        ours.sum(), theirs.sum() - 2 * theirs, across.sum() - across.sum(0), n, m - 1
    )
    variance = (n - 1) * without_ours.var() + (m - 1) * without_theirs.var()
    return float(estimate), float(variance)


def _kernel(x: Array, y: Array) -> Array:
    return np.asarray((x @ y.T / x.shape[1] + 1) ** 3)


def _combine(ours: Any, theirs: Any, across: Any, n: int, m: int) -> Any:
    return ours / (n * (n - 1)) + theirs / (m * (m - 1)) - 2 * across / (n * m)


def summarize(name: str, found: list[tuple[float, float] | None]) -> dict[str, float]:
    """Return the mean over conditions as ``<name>kid``, with 95 % bounds ``_low`` and ``_high``.

    The errors of conditions are independent, because each condition has its own generated and
    real images. The result is empty if a condition has too few images.
    """
    known = [each for each in found if each is not None]
    if len(known) < len(found):
        return {}
    mean = sum(value for value, _ in known) / len(known)
    half = Z * math.sqrt(sum(variance for _, variance in known)) / len(known)
    key = f"{name}kid"
    return {key: mean, f"{key}_low": mean - half, f"{key}_high": mean + half}
