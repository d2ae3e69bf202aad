"""Heads: shapes, stacks, and what a constant pyramid gives."""

from __future__ import annotations

import pytest
import torch

from tasks.segmentation.heads import apply_head, head_shapes, init_head

WIDTHS = {"linear": [6], "upernet": [6, 6, 10, 12]}


def levels(kind: str, batch: int, seed: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    sides = [4] if kind == "linear" else [16, 8, 4, 2]
    return [
        torch.randn(batch, width, side, side, generator=generator)
        for width, side in zip(WIDTHS[kind], sides, strict=True)
    ]


@pytest.mark.parametrize("kind", ["linear", "upernet"])
def test_stacked_heads_equal_each_alone(kind: str) -> None:
    shapes = head_shapes(kind, WIDTHS[kind], 16, 5)
    alone = [init_head(shapes, seed) for seed in range(3)]
    stacked = {name: torch.stack([each[name] for each in alone]) for name in shapes}
    shared = levels(kind, 2, 0)
    own = [levels(kind, 2, seed) for seed in range(3)]
    together = torch.func.vmap(apply_head, (0, None))(stacked, shared)
    apart = torch.func.vmap(apply_head)(
        stacked, [torch.stack(each) for each in zip(*own, strict=True)]
    )
    for k, weights in enumerate(alone):
        torch.testing.assert_close(together[k], apply_head(weights, shared), atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(apart[k], apply_head(weights, own[k]), atol=1e-5, rtol=1e-4)
    assert together.shape == (3, 2, 5, *shared[0].shape[-2:])


def test_upernet_on_equal_grids_keeps_their_size() -> None:
    shapes = head_shapes("upernet", [6] * 4, 16, 5)
    features = [torch.randn(1, 6, 8, 8) for _ in range(4)]
    assert apply_head(init_head(shapes, 0), features).shape == (1, 5, 8, 8)


def test_weights_depend_on_the_seed_alone() -> None:
    shapes = head_shapes("upernet", WIDTHS["upernet"], 16, 5)
    first, again, other = (init_head(shapes, seed) for seed in (0, 0, 1))
    assert all(torch.equal(first[name], again[name]) for name in shapes)
    assert any(not torch.equal(first[name], other[name]) for name in shapes)
    assert {name: tuple(value.shape) for name, value in first.items()} == shapes
