"""Verdicts on claims, from sweeps with known true scores."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import golden_sweeps
import numpy as np
import pytest
from simulated import published_order, simulate_diffusion, simulate_retrieval

from results.claims.tests import ClaimTest, ClaimTests
from results.claims.verdicts import CheckedClaim, check_claims
from results.statistics.comparisons import _tukey as tukey
from results.storage.manifest_parts import RowSide
from results.storage.reading import Sweep, read_sweep
from results.storage.store import SweepStore, TrialResult
from results.tables.summary import summarize


def verdicts(sweep: Sweep) -> dict[str, CheckedClaim]:
    return {claim.text: claim for claim in check_claims(sweep)}


def test_published_order_is_reproduced_and_the_opposite_contradicted(tmp_path: Path) -> None:
    same = check_claims(simulate_retrieval(tmp_path / "a", published_order, num_units=1449))
    assert {claim.verdict for claim in same} == {"reproduced"}
    assert {claim.scope for claim in same} == {"over queries only"}
    other = simulate_retrieval(tmp_path / "b", lambda p: 1 - published_order(p), num_units=1449)
    assert {claim.verdict for claim in check_claims(other)} == {"contradicted"}


def test_equal_rows_are_undecided_and_need_more_data(tmp_path: Path) -> None:
    found = check_claims(simulate_retrieval(tmp_path, lambda p: 0.5))
    assert {claim.verdict for claim in found} == {"undecided"}
    assert all("queries" in claim.decided_by or "more data" in claim.decided_by for claim in found)
    assert all(claim.p_value is not None and claim.p_value > 0.05 for claim in found)


def test_several_seeds_widen_the_scope_of_a_verdict(tmp_path: Path) -> None:
    found = check_claims(simulate_retrieval(tmp_path, published_order, seeds=3))
    assert {claim.scope for claim in found} == {"over queries and seeds"}
    assert found[1].verdict == "reproduced"


def test_claim_about_the_best_row_agrees_with_the_mark_in_the_table(tmp_path: Path) -> None:
    """With two seeds, both use the seed variance averaged over the pairs of the table."""
    # The best row must have a published number, or there are no claims about it.
    sweep = simulate_retrieval(
        tmp_path, lambda p: published_order(p) - 0.2 * (p["lr"] == 6e-5), seeds=2
    )
    tests = ClaimTests(sweep)
    table = next(t for t in summarize(sweep) if t.title.startswith("Table 3"))
    best = next(row for row in table.rows if row.mark == "best")
    rows = {json.dumps(row.params, sort_keys=True): row for row in table.rows}
    compared = 0
    for claim in sweep.manifest.claims:
        rows_of_it = [side for side in claim.sides if isinstance(side, RowSide)]
        keys = [json.dumps(side.params, sort_keys=True) for side in rows_of_it]
        if not set(keys) <= rows.keys() or best not in [rows[key] for key in keys]:
            continue
        found = tests.test(claim)
        other = next(rows[key] for key in keys if rows[key] is not best)
        assert isinstance(found, ClaimTest)
        assert other.p_value is not None
        assert found.p_value <= other.p_value  # adjusted for all pairs of the table
        assert tukey(found.p_value, len(table.rows)) == pytest.approx(other.p_value)
        compared += 1
    assert compared >= 2


def test_p_values_are_adjusted_over_all_claims(tmp_path: Path) -> None:
    sweep = simulate_retrieval(tmp_path, published_order, num_units=300)
    tests = [ClaimTests(sweep).test(claim) for claim in sweep.manifest.claims]
    raw = [test.p_value for test in tests if isinstance(test, ClaimTest)]
    assert len(raw) == len(tests)
    # Holm's method, slowly: the maximum of (number of p values as large) * p up to each rank.
    ordered = sorted(raw)
    steps = [min(1.0, (len(raw) - rank) * p) for rank, p in enumerate(ordered)]
    expected = [max(steps[: ordered.index(p) + 1]) for p in raw]
    assert [claim.p_value for claim in check_claims(sweep)] == pytest.approx(expected)


def without(sweep: Sweep, **changes: Mapping[str, Any]) -> Sweep:
    """The sweep with other values in the rows of trials whose temperature is 0.7."""
    rows = [
        {**row, **(changes["trial"] if row["param.temperature"] == 0.7 else {})}
        for row in sweep.rows()
    ]
    root = tempfile.mkdtemp(dir=Path(sweep.path).parent)
    store = SweepStore(root, "retrieval", "paper", sweep.manifest.params)
    samples = sweep.samples.to_pylist()
    for row in rows:
        of_it = [s for s in samples if s["trial_id"] == row["trial_id"]]
        columns = {k: [s[k] for s in of_it] for k in ("direction", "query", "rank", "hit1")}
        keep = row["status"] == "finished" and changes.get("samples") is None
        plain = {k: v for k, v in row.items() if v is not None}
        store.add([TrialResult(trial=plain, steps=[], samples=columns if keep else None)])
    store.write_manifest(sweep.manifest)
    return read_sweep(root, "retrieval", "paper")


def test_untested_claim_has_a_reason(tmp_path: Path) -> None:
    sweep = simulate_retrieval(tmp_path, published_order)
    hot = "temperature 0.7 is worse than 0.1"
    failed = without(sweep, trial={"status": "failed", "reason": "it broke"})
    claim = verdicts(failed)[hot]
    assert (claim.verdict, claim.p_value) == ("not tested", None)
    assert claim.reason.endswith("failed: it broke")
    assert verdicts(failed)["finetuning beats a random head"].verdict == "reproduced"
    stopped = without(sweep, trial={"status": "stopped"})
    assert verdicts(stopped)[hot].reason.endswith("pruned@1")
    bare = without(sweep, trial={}, samples={})
    assert {c.reason for c in check_claims(bare)} == {"no scores per sample, and one seed"}
    nothing = Sweep(sweep.filesystem, f"{sweep.path}-none", sweep.manifest)
    assert all(c.reason.endswith("not run yet") for c in check_claims(nothing))


def test_constant_corpus_score_is_not_tested(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Corpus BLEU is 0 on every resample if no caption shares a 4-gram with its references."""
    made = golden_sweeps.GoldenSweep(name="paper", task="captioning")
    assert any(claim.p_value for claim in check_claims(golden_sweeps.make_sweep(tmp_path, made)))

    def without_matches(rng: np.random.Generator, score: float) -> dict[str, list[Any]]:
        samples = captions(rng, score)
        rows = samples["bleu_statistics"]
        return {**samples, "bleu_statistics": [[*row[:3], 0.0, *row[4:]] for row in rows]}

    captions = golden_sweeps.SAMPLES["captioning"]
    monkeypatch.setitem(golden_sweeps.SAMPLES, "captioning", without_matches)
    found = check_claims(golden_sweeps.make_sweep(tmp_path / "none", made))
    assert {claim.verdict for claim in found} == {"not tested"}
    assert {claim.reason for claim in found} == {
        "too few samples: no resample changes one of the scores"
    }


@pytest.mark.parametrize(
    ("seen", "unseen", "expected"),
    [
        (1024, 1024, ["reproduced"] * 3),
        (1024, 700, ["contradicted", "reproduced", "contradicted"]),
        (700, 1024, ["reproduced", "contradicted", "reproduced"]),
        (1010, 1010, ["undecided"] * 2),
    ],
)
def test_claims_compare_metrics_with_numbers_and_each_other(
    tmp_path: Path, seen: int, unseen: int, expected: list[str]
) -> None:
    sweep = simulate_diffusion(tmp_path, seen=seen, unseen=unseen, num_samples=1024)
    found = check_claims(sweep)
    assert [claim.verdict for claim in found][: len(expected)] == expected
    assert found[0].ours == (unseen / 1024, 1.0)
    assert found[0].difference is not None
    assert found[0].difference.mean == pytest.approx(unseen / 1024 - 1)


def test_setting_shared_by_both_rows_may_change(tmp_path: Path) -> None:
    found = verdicts(simulate_retrieval(tmp_path, published_order, settings=("epochs=9",)))
    assert found["temperature 0.7 is worse than 0.1"].verdict != "not tested"
    for text in ("finetuning improves on the pretrained start", "finetuning beats a random head"):
        assert found[text].reason == "--set epochs replaces what the claim is about"


def test_rows_made_equal_by_a_setting_are_not_tested(tmp_path: Path) -> None:
    sweep = simulate_retrieval(tmp_path, published_order, settings=("temperature=0.1",))
    claim = verdicts(sweep)["temperature 0.7 is worse than 0.1"]
    assert claim.reason == "--set temperature replaces what the claim is about"
