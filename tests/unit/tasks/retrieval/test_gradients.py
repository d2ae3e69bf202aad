"""Gradients of a batch in chunks, compared with those of the whole batch."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tasks.retrieval.gradients import cached_gradients, whole_gradients


def loss_of(images: Tensor, texts: Tensor) -> Tensor:
    return torch.nn.functional.cross_entropy(images @ texts.T, torch.arange(len(images)))


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_chunks_have_the_gradient_of_the_batch(size: int) -> None:
    """Autograd returns one tensor as the gradient of both summands, and views of one tensor."""
    torch.manual_seed(0)
    batch = torch.randn(6, 4)
    first, second, token, positions, unused = (
        torch.randn(shape, requires_grad=True)
        for shape in ((4, 3), (4, 3), (1, 1, 3), (2, 3), (2,))
    )
    weights = [first, second, token, positions, unused]

    def embed(chunk: Tensor) -> tuple[Tensor, Tensor]:
        features = chunk @ (first + second)
        tokens = torch.cat([token.expand(len(chunk), -1, -1), features[:, None]], dim=1) + positions
        return tokens.tanh().sum(1), features

    loss, expected = whole_gradients(embed, [batch], weights, loss_of)
    found_loss, found = cached_gradients(embed, torch.split(batch, size), weights, loss_of)
    torch.testing.assert_close(found_loss, loss)
    torch.testing.assert_close(found[:4], expected[:4])
    assert found[4] is expected[4] is None
