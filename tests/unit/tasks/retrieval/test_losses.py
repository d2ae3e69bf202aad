"""The losses compared with direct computations."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from tasks.retrieval.losses import contrastive_loss, sigmoid_loss

SHAPES = [(6, 4), (3, 6, 4)]


def draw(shape: tuple[int, ...]) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(shape, generator=generator), torch.randn(shape, generator=generator)


@pytest.mark.parametrize("shape", SHAPES)
def test_contrastive_loss_is_the_mean_of_both_cross_entropies(shape: tuple[int, ...]) -> None:
    image, text = draw(shape)
    found = contrastive_loss(image, text, 0.3)
    expected = []
    for one, other in zip(image.reshape(-1, 6, 4), text.reshape(-1, 6, 4), strict=True):
        logits, target = one @ other.T / 0.3, torch.arange(6)
        ways = [F.cross_entropy(each, target) for each in (logits, logits.T)]
        expected.append(torch.stack(ways).mean())
    torch.testing.assert_close(found.reshape(-1), torch.stack(expected))


@pytest.mark.parametrize("shape", SHAPES)
def test_sigmoid_loss_is_the_sum_over_all_pairs_per_image(shape: tuple[int, ...]) -> None:
    image, text = draw(shape)
    found = sigmoid_loss(image, text, 0.3, -2.0)
    expected = []
    for one, other in zip(image.reshape(-1, 6, 4), text.reshape(-1, 6, 4), strict=True):
        logits = one @ other.T / 0.3 - 2.0
        total = F.binary_cross_entropy_with_logits(logits, torch.eye(6), reduction="sum")
        expected.append(total / 6)
    torch.testing.assert_close(found.reshape(-1), torch.stack(expected))


def test_captions_of_the_same_image_are_all_right() -> None:
    image, text = draw((4, 5))
    ids = torch.tensor([0, 1, 0, 2])
    same = ids[:, None] == ids[None]
    logits = image @ text.T / 0.2
    shares = same / same.sum(1, keepdim=True)
    ways = [F.cross_entropy(each, shares) for each in (logits, logits.T)]
    torch.testing.assert_close(contrastive_loss(image, text, 0.2, same), torch.stack(ways).mean())
    target = same.float()
    total = F.binary_cross_entropy_with_logits(logits + 1.5, target, reduction="sum") / 4
    torch.testing.assert_close(sigmoid_loss(image, text, 0.2, 1.5, same), total)


def test_no_repeated_image_gives_the_plain_losses() -> None:
    image, text = draw((3, 6, 4))
    same = torch.eye(6, dtype=torch.bool).expand(3, 6, 6)
    torch.testing.assert_close(
        contrastive_loss(image, text, 0.3, same), contrastive_loss(image, text, 0.3)
    )
    torch.testing.assert_close(
        sigmoid_loss(image, text, 0.3, -1.0, same), sigmoid_loss(image, text, 0.3, -1.0)
    )
