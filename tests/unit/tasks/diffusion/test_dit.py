"""The diffusion transformer."""

from __future__ import annotations

import math

import pytest
import torch

from tasks.diffusion.dit import DiT, DiTBlock, from_patches, positions, to_patches


def make(**options: int) -> DiT:
    torch.manual_seed(0)
    sizes = {"channels": 3, "size": 28, "num_conditions": 6, "patch_size": 7}
    return DiT(**(sizes | {"depth": 2, "width": 16, "heads": 2} | options))


@pytest.mark.parametrize("patch_size", [1, 2, 4, 14, 28])
def test_patches_are_rows_of_squares(patch_size: int) -> None:
    x = torch.randn(2, 3, 28, 28)
    patches = to_patches(x, patch_size)
    side = 28 // patch_size
    assert patches.shape == (2, side**2, 3 * patch_size**2)
    for number in {0, side - 1, side**2 - 1}:
        top, left = patch_size * (number // side), patch_size * (number % side)
        square = x[:, :, top : top + patch_size, left : left + patch_size]
        torch.testing.assert_close(patches[:, number], square.flatten(1))
    torch.testing.assert_close(from_patches(patches, patch_size, 28), x)


def test_new_block_is_the_identity_and_a_new_network_predicts_zero() -> None:
    network = make()
    tokens, about = torch.randn(2, 5, 16), torch.randn(2, 16)
    block = network.blocks[0]
    assert isinstance(block, DiTBlock)
    torch.testing.assert_close(block(tokens, about), tokens)
    out = network(torch.randn(2, 3, 28, 28), torch.rand(2), torch.randn(2, 6))
    torch.testing.assert_close(out, torch.zeros(2, 3, 28, 28))


def test_output_depends_on_every_pixel_time_and_condition() -> None:
    network = make()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in network.parameters():  # a trained network: no gate is zero
            parameter.normal_(0, 0.2, generator=generator)
    x, time, condition = torch.randn(1, 3, 28, 28), torch.tensor([0.5]), torch.randn(1, 6)
    x.requires_grad_()
    condition.requires_grad_()
    out = network(x, time, condition)
    out[0, :, 0, 0].sum().backward()
    assert x.grad is not None
    assert condition.grad is not None
    assert (x.grad != 0).all()  # attention reaches all patches
    assert (condition.grad != 0).all()
    assert not torch.allclose(network(x, time + 0.1, condition), out)


def test_attention_matches_a_slow_oracle() -> None:
    torch.manual_seed(0)
    block, x = DiTBlock(8, 2), torch.randn(1, 3, 8)
    query, key, value = block.inward(x)[0].chunk(3, dim=1)
    mixed = torch.zeros(3, 8)
    for head in (slice(0, 4), slice(4, 8)):
        for i in range(3):
            scores = torch.stack([query[i, head] @ key[j, head] / math.sqrt(4) for j in range(3)])
            for share, j in zip(scores.softmax(0), range(3), strict=True):
                mixed[i, head] += share * value[j, head]
    torch.testing.assert_close(block._attend(x)[0], block.outward(mixed))


def test_positions_are_distinct_sinusoids_of_row_and_column() -> None:
    found = positions(7, 16)
    assert found.shape == (49, 16)
    assert len({tuple(row.tolist()) for row in found}) == 49
    torch.testing.assert_close(found[:, 0], torch.arange(7.0).repeat_interleave(7).sin())
    torch.testing.assert_close(found[:, 8], torch.arange(7.0).repeat(7).sin())
