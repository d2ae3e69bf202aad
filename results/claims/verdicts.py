"""Decide whether a paper's claims hold: reproduced, contradicted, undecided or not tested.

A claim states a region for the difference of two scores: above 0 for ``>``, above -margin for
``>=``, within the margin for ``==``. By a paired test, the claim is reproduced if the difference is
significantly inside the region, and contradicted if it is significantly outside. p values are
adjusted by Holm's method over all tested claims of the sweep, so the probability of any wrong
verdict is 5 %.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from results.claims.tests import ClaimTest, ClaimTests
from results.statistics import ALPHA, Estimate, holm
from results.statistics.power import describe_needed_data
from results.storage.manifest_parts import RecordedClaim, RowSide
from results.storage.reading import Sweep

Verdict = Literal["reproduced", "contradicted", "undecided", "not tested"]
VERDICTS: tuple[Verdict, ...] = ("reproduced", "contradicted", "undecided", "not tested")
Pair = tuple[float | None, float | None]


@dataclass(kw_only=True)
class CheckedClaim:
    """A claim with its verdict and the numbers behind it."""

    text: str
    kind: str  # "stated" by the space, or "published": derived from published numbers
    verdict: Verdict
    relation: str
    margin: float
    metric: str  # of the left side, or of the right side if the left one is a number
    published: Pair
    ours: Pair = (None, None)
    difference: Estimate | None = None  # left minus right, with its unadjusted 95 % interval
    p_value: float | None = None  # adjusted over all tested claims of the sweep
    test: str = ""
    scope: str = ""  # what the verdict generalizes to
    reason: str = ""  # why the claim is not tested
    decided_by: str = ""  # the data that would decide an undecided claim


def check_claims(sweep: Sweep) -> list[CheckedClaim]:
    """Test every claim in a sweep's ``sweep.json`` on its results."""
    claims = sweep.manifest.claims
    if not claims:
        return []
    data = ClaimTests(sweep)
    tests = [data.test(claim) for claim in claims]
    tested = [test for test in tests if isinstance(test, ClaimTest)]
    adjusted = iter(holm([test.p_value for test in tested]))
    checked = [
        _judge(claim, test, next(adjusted) if isinstance(test, ClaimTest) else 1.0)
        for claim, test in zip(claims, tests, strict=True)
    ]
    undecided = [claim for claim in checked if claim.verdict == "undecided"]
    for claim, test in zip(checked, tests, strict=True):
        if claim.verdict == "undecided" and isinstance(test, ClaimTest):
            claim.decided_by = describe_needed_data(
                distance=test.distance,
                variance=test.found.standard_error**2,
                over_seeds=test.over_seeds,
                num_units=test.num_units,
                num_seeds=test.num_seeds,
                unit=test.unit,
                alpha=ALPHA / len(undecided),
            )
    return checked


def _judge(claim: RecordedClaim, test: ClaimTest | str, p_value: float) -> CheckedClaim:
    checked = CheckedClaim(
        text=claim.text,
        kind=claim.kind,
        verdict="not tested",
        relation=claim.relation,
        margin=claim.margin,
        metric=next(side.metric for side in claim.sides if isinstance(side, RowSide)),
        published=(claim.left.published, claim.right.published),
    )
    if isinstance(test, str):
        checked.reason = test
        return checked
    checked.ours, checked.difference = test.ours, test.found.estimate
    checked.p_value, checked.test, checked.scope = p_value, test.found.test, test.scope
    checked.verdict = "undecided"
    if p_value <= ALPHA:
        checked.verdict = "reproduced" if test.inside else "contradicted"
    return checked
