"""The matching loss and its negatives compared with plain loops."""

from __future__ import annotations

import math

import pytest
import torch

from tasks.retrieval.matching_loss import (
    draw_uniforms,
    has_negative,
    list_pairs,
    matching_loss,
    sample_negatives,
)

K, B = 3, 5


@pytest.fixture
def drawn() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Logits, what is the same (in the last member everything), and uniform numbers."""
    generator = torch.Generator().manual_seed(0)
    logits = 4 * torch.randn((K, B, B), generator=generator)
    ids = torch.tensor([[0, 1, 2, 3, 4], [0, 1, 0, 2, 1], [7, 7, 7, 7, 7]])
    return logits, ids[:, :, None] == ids[:, None], draw_uniforms(0, 1, K, B)


def choose(logits: list[float], same: list[bool], uniform: float) -> int:
    """The candidate of one query: walk along the shares until they exceed the number."""
    shares = [0.0 if s else math.exp(x) for x, s in zip(logits, same, strict=True)]
    total = 0.0
    for index, share in enumerate(shares):
        total += share / sum(shares)
        if share and uniform < total:
            return index
    raise AssertionError


def test_negatives_are_drawn_by_their_similarity(
    drawn: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
) -> None:
    logits, same, uniforms = drawn
    found = sample_negatives(logits, same, uniforms)
    for k in range(2):
        for i in range(B):
            text = choose(logits[k, i].tolist(), same[k, i].tolist(), float(uniforms[k, 0, i]))
            image = choose(logits[k, :, i].tolist(), same[k, i].tolist(), float(uniforms[k, 1, i]))
            assert found[k, :, i].tolist() == [text, image]
    assert not has_negative(same)[2].any()
    assert has_negative(same)[:2].all()


@pytest.mark.parametrize("uniform", [0.0, 1 - 2**-53])
def test_a_masked_candidate_is_never_drawn(uniform: float) -> None:
    """Not even at the ends of the range, or if a share is too small for its type."""
    logits = torch.tensor([[[0.0, 0.0, 90.0, -900.0], *[[0.0] * 4] * 3]])
    same = torch.eye(4, dtype=torch.bool)[None].clone()
    same[0, 0, 3] = same[0, 3, 0] = True
    found = sample_negatives(logits, same, torch.full((1, 2, 4), uniform))
    assert not same[0].gather(1, found[0].T).any()
    assert found[0, 0, 0] == (1 if uniform == 0 else 2)


def test_shares_of_many_draws_are_the_softmax() -> None:
    logits = torch.tensor([[9.0, 1.0, 0.0], [0.0, 9.0, 2.0], [0.0, 1.0, 9.0]])
    same = torch.eye(3, dtype=torch.bool)
    number = 100_000
    uniforms = draw_uniforms(3, 1, number, 3)
    found = sample_negatives(logits.expand(number, -1, -1), same.expand(number, -1, -1), uniforms)
    counts = torch.bincount(found[:, 0, 0], minlength=3)
    assert counts[0] == 0
    assert float(counts[1] / number) == pytest.approx(1 / (1 + math.exp(-1)), abs=0.01)


def test_loss_and_gradient_are_those_of_single_pairs(
    drawn: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
) -> None:
    logits, same, uniforms = drawn
    negatives = sample_negatives(logits, same, uniforms)
    pairs = list_pairs(negatives)
    scores = torch.randn((K, B, B, 2), generator=torch.Generator().manual_seed(1))
    scores.requires_grad_()
    member = torch.arange(K)[:, None]
    found = matching_loss(scores[member, pairs[:, 0], pairs[:, 1]], has_negative(same))
    expected = []
    for k in range(K):
        losses = [-scores[k, i, i].log_softmax(0)[1] for i in range(B)]
        for i in range(B):
            if not same[k, i].all():
                text, image = negatives[k, :, i].tolist()
                losses.append(-scores[k, i, text].log_softmax(0)[0])
                losses.append(-scores[k, image, i].log_softmax(0)[0])
        expected.append(torch.stack(losses).mean())
    torch.testing.assert_close(found, torch.stack(expected))
    (grad,) = torch.autograd.grad(found.sum(), scores, retain_graph=True)
    (expected_grad,) = torch.autograd.grad(sum(expected), scores)  # type: ignore[arg-type]
    torch.testing.assert_close(grad, expected_grad)


def test_numbers_depend_on_seed_and_epoch() -> None:
    first = draw_uniforms(0, 1, 4, 8)
    assert torch.equal(first, draw_uniforms(0, 1, 4, 8))
    assert not torch.equal(first, draw_uniforms(1, 1, 4, 8))
    assert not torch.equal(first, draw_uniforms(0, 2, 4, 8))
