"""Claims derived from the published numbers of a space."""

from __future__ import annotations

from typing import Any

import pytest
from simulated import published

from orchestrator.planning.planned_claims import plan_claims
from results.storage.manifest_parts import NumberSide, RowSide


def test_retrieval_claims_are_pairs_beyond_the_published_noise() -> None:
    claims = plan_claims(published("retrieval"))
    assert [claim.kind for claim in claims[:4]] == ["stated"] * 4
    pairs: list[Any] = [(c.left.published, c.right.published) for c in claims]
    # 58.38 and 59.35 are the same configuration: its number is their mean in both tables.
    mean: Any = pytest.approx((0.5838 + 0.5935) / 2)
    assert (mean, 0.4513) in pairs
    assert not any(abs(left - right) < 0.036 for left, right in pairs), "1.96 errors at n = 1449"
    assert (0.5948, 0.5541) in pairs, "4.07 points are more than 3.6"
    assert not any(right == 0.5541 and left == mean for left, right in pairs), "3.46 are not"
    assert len({repr(c.sides) for c in claims}) == len(claims)


def test_captioning_claims_omit_differences_within_bleu_noise() -> None:
    claims = plan_claims(published("captioning"))
    pairs = {(c.left.published, c.right.published) for c in claims}
    assert {(27.95, 12.90), (27.95, 6.31), (12.59, 6.56)} <= pairs
    assert not pairs & {(12.90, 12.59), (9.69, 9.09), (6.56, 6.31)}
    assert any(c.text.startswith("decoding greedy beats decoding sample, top-k") for c in claims)


def test_diffusion_claims_compare_metrics_of_its_one_row() -> None:
    claims = plan_claims(published("diffusion"))
    assert {c.relation for c in claims} == {">="}
    assert NumberSide(number=1.0) in [c.right for c in claims]
    right = claims[-1].right
    assert isinstance(right, RowSide)
    assert right.metric == "seen_attributes"
