"""Claims: what is derived from a paper, which verdict the results give, and what `check` says."""

from __future__ import annotations

import dataclasses
import io
import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import golden_sweeps
import numpy as np
import pytest
from harness import run_command
from paths import STORED
from rich.console import Console
from scipy import stats
from simulated import published_order, simulate_diffusion, simulate_retrieval

from orchestrator.planning.errata import plan_errata
from orchestrator.planning.planned_claims import Published, plan_claims
from orchestrator.request import Request
from orchestrator.running.plan import make_plan
from results.claims.tests import ClaimTest, ClaimTests
from results.claims.verdicts import CheckedClaim, check_claims
from results.export import FORMATS
from results.render.claims_table import ClaimsView, claims_table
from results.render.sweep_tables import render
from results.statistics import Difference, Estimate
from results.statistics.comparisons import _tukey as tukey
from results.statistics.power import what_decides
from results.statistics.regions import locate, region_of
from results.storage.manifest import Manifest
from results.storage.manifest_parts import NumberSide, RecordedErratum, RowSide
from results.storage.reading import Sweep, read_sweep
from results.storage.store import SweepStore, TrialResult
from results.tables.summary import summarise


def published(task: str) -> Published:
    plan = make_plan(Request(task=task))
    return Published(space=plan.space, planned=plan.planned, task=plan.task)


def run(*args: str) -> tuple[int, str]:
    """Exit status and output of a command in this process."""
    done = run_command(*args)
    return done.returncode, done.stdout


# --- what a paper claims -------------------------------------------------------------------------


def test_retrieval_claims_are_the_pairs_beyond_the_published_noise() -> None:
    claims = plan_claims(published("retrieval"))
    assert [claim.kind for claim in claims[:4]] == ["stated"] * 4
    pairs: list[Any] = [(c.left.published, c.right.published) for c in claims]
    # 58.38 and 59.35 are one configuration: its number is their mean, also in the table of each.
    mean: Any = pytest.approx((0.5838 + 0.5935) / 2)
    assert (mean, 0.4513) in pairs
    assert not any(abs(left - right) < 0.036 for left, right in pairs), "1.96 errors at n = 1449"
    assert (0.5948, 0.5541) in pairs, "4.07 points are more than 3.6"
    assert not any(right == 0.5541 and left == mean for left, right in pairs), "3.46 are not"
    assert len({repr(c.sides) for c in claims}) == len(claims)


def test_captioning_claims_leave_out_what_bleu_cannot_tell_apart() -> None:
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


def test_known_mistakes_are_found_in_the_published_numbers() -> None:
    def errata(task: str) -> dict[str, RecordedErratum]:
        made = published(task)
        return {e.text: e for e in plan_errata(made, plan_claims(made))}

    retrieval = errata("retrieval")
    recall = retrieval["The column called BLEU holds image-to-text recall at 1"]
    assert recall.shown is True
    assert recall.evidence.startswith("8 of 8 published numbers are k/1449")
    (twice,) = [e for text, e in retrieval.items() if "run twice" in text]
    assert "58.38, 59.35" in twice.evidence
    captioning = errata("captioning")
    best = captioning["The text names top-k 50 the best row"]
    assert best.shown is True
    assert "12.90, but decoding greedy" in best.evidence
    assert "27.95" in best.evidence
    (three,) = [e for text, e in captioning.items() if "run three times" in text]
    assert "12.90, 12.90" in three.evidence


def test_an_erratum_that_the_numbers_do_not_show_says_so(tmp_path: Path) -> None:
    space = tmp_path / "s.py"
    space.write_text(
        "from search_spaces.space import Claim, Erratum, Row, Table\n"
        "def r(lr, n): return Row(params={'lr': lr}, report={'metric.i2t_r1': n})\n"
        "A, B, C = r(0.1, 0.5), r(0.2, 0.4), r(0.2, 0.41)\n"
        "REPORT = (Table(title='t', rows=(A, B, C)),)\n"
        "CLAIMS = (Claim('b wins', B, '>', A),)\n"
        "ERRATA = (Erratum(text='the text names a best', best=A),)\n"
    )
    plan = make_plan(Request(task="retrieval", space=str(space)))
    made = Published(space=plan.space, planned=plan.planned, task=plan.task)
    claims = plan_claims(made)
    assert [c.text for c in claims] == ["b wins"], "nothing is derived without known noise"
    named, several, wrong = plan_errata(made, claims)
    assert (named.shown, several.shown, wrong.shown) == (False, True, True)
    assert several.text.startswith("One configuration has several published numbers: lr 0.2")
    assert wrong.text.endswith("do not support this claim: b wins")


# --- verdicts -------------------------------------------------------------------------------------


def verdicts(sweep: Sweep) -> dict[str, CheckedClaim]:
    return {claim.text: claim for claim in check_claims(sweep)}


def test_the_published_order_reproduces_and_the_opposite_contradicts(tmp_path: Path) -> None:
    same = check_claims(simulate_retrieval(tmp_path / "a", published_order, num_units=1449))
    assert {claim.verdict for claim in same} == {"reproduced"}
    assert {claim.scope for claim in same} == {"over queries only"}
    other = simulate_retrieval(tmp_path / "b", lambda p: 1 - published_order(p), num_units=1449)
    assert {claim.verdict for claim in check_claims(other)} == {"contradicted"}


def test_equal_rows_are_undecided_and_say_what_would_decide(tmp_path: Path) -> None:
    found = check_claims(simulate_retrieval(tmp_path, lambda p: 0.5))
    assert {claim.verdict for claim in found} == {"undecided"}
    assert all("queries" in claim.decided_by or "more data" in claim.decided_by for claim in found)
    assert all(claim.p_value is not None and claim.p_value > 0.05 for claim in found)


def test_seeds_are_part_of_the_verdict(tmp_path: Path) -> None:
    found = check_claims(simulate_retrieval(tmp_path, published_order, seeds=3))
    assert {claim.scope for claim in found} == {"over queries and seeds"}
    assert found[1].verdict == "reproduced"


def test_a_claim_about_a_row_and_the_best_agrees_with_the_mark_of_the_row(tmp_path: Path) -> None:
    """Two seeds say little about one pair: both take the average over the pairs of the table."""
    # The best row must have a published number, so that there are claims about it.
    sweep = simulate_retrieval(
        tmp_path, lambda p: published_order(p) - 0.2 * (p["lr"] == 6e-5), seeds=2
    )
    tests = ClaimTests(sweep)
    table = next(t for t in summarise(sweep) if t.title.startswith("Table 3"))
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
    # Holm, slowly: the largest of (number of p values at least as large) * p, up to each rank.
    ordered = sorted(raw)
    steps = [min(1.0, (len(raw) - rank) * p) for rank, p in enumerate(ordered)]
    expected = [max(steps[: ordered.index(p) + 1]) for p in raw]
    assert [claim.p_value for claim in check_claims(sweep)] == pytest.approx(expected)


def without(sweep: Sweep, **changes: Mapping[str, Any]) -> Sweep:
    """The sweep with other values in the columns of trials whose temperature is 0.7."""
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


def test_what_cannot_be_tested_says_why(tmp_path: Path) -> None:
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


def test_a_score_that_no_resample_changes_is_not_tested(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Corpus BLEU is 0 on every resample if no image has a 4-gram in common with its references."""
    made = golden_sweeps.Made(name="paper", task="captioning")
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
        "no resample changes one of the scores: there are too few samples"
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
def test_metrics_of_one_row_against_numbers_and_each_other(
    tmp_path: Path, seen: int, unseen: int, expected: list[str]
) -> None:
    sweep = simulate_diffusion(tmp_path, seen=seen, unseen=unseen, num_samples=1024)
    found = check_claims(sweep)
    assert [claim.verdict for claim in found][: len(expected)] == expected
    assert found[0].ours == (unseen / 1024, 1.0)
    assert found[0].difference is not None
    assert found[0].difference.mean == pytest.approx(unseen / 1024 - 1)


def test_a_protocol_that_both_rows_share_may_change(tmp_path: Path) -> None:
    found = verdicts(simulate_retrieval(tmp_path, published_order, settings=("epochs=9",)))
    assert found["temperature 0.7 is worse than 0.1"].verdict != "not tested"
    for text in ("finetuning improves on the pretrained start", "finetuning beats a random head"):
        assert found[text].reason == "--set epochs replaces what the claim is about"


def test_rows_that_a_setting_made_one_are_not_tested(tmp_path: Path) -> None:
    sweep = simulate_retrieval(tmp_path, published_order, settings=("temperature=0.1",))
    claim = verdicts(sweep)["temperature 0.7 is worse than 0.1"]
    assert claim.reason == "--set temperature replaces what the claim is about"


# --- regions and power: pure functions ------------------------------------------------------------


def at(mean: float, error: float = 0.01, df: float = 1000) -> Difference:
    p_value = float(2 * stats.t.sf(abs(mean) / error, df)) if error else 1.0
    return Difference(Estimate(mean, mean - 0.02, mean + 0.02), p_value, "t", df, error, True)


@pytest.mark.parametrize(
    ("relation", "mean", "inside", "significant"),
    [
        (">", 0.05, True, True),
        (">", -0.05, False, True),
        (">", 0.01, True, False),
        ("<", -0.05, True, True),
        (">=", -0.05, True, True),  # within a margin of 0.1
        (">=", -0.15, False, True),
        (">=", -0.09, True, False),
        ("<=", 0.05, True, True),
        ("==", 0.0, True, True),
        ("==", 0.05, True, True),
        ("==", 0.09, True, False),
        ("==", -0.2, False, True),
    ],
)
def test_where_a_difference_lies(
    relation: str, mean: float, inside: bool, significant: bool
) -> None:
    margin = 0.1 if "=" in relation else 0.0
    found = locate(at(mean), region_of(relation, margin), None)
    assert (found[0], found[1] < 0.05) == (inside, significant)


def test_a_handful_of_hits_proves_no_margin() -> None:
    """20 of 20 right is compatible with 0.95: the exact binomial p is 0.36 one-sided."""
    assert locate(at(0.0, error=0.0), region_of(">=", 0.05), 20)[1] > 0.05
    assert locate(at(0.0, error=0.0), region_of(">=", 0.05), 1000)[1] < 0.001


@pytest.mark.parametrize("relation", [">", "==", ">="])
def test_a_verdict_is_wrong_in_at_most_five_percent(relation: str) -> None:
    """At the bound of a region, where a wrong verdict is most likely."""
    region = region_of(relation, 0.0 if relation == ">" else 0.1)
    bound = next(b for b in region if np.isfinite(b))
    means = np.random.default_rng(0).normal(bound, 0.01, 4000)
    wrong = np.mean([locate(at(float(m)), region, None)[1] <= 0.05 for m in means])
    assert wrong < 0.06


def test_the_number_of_units_that_decides_has_the_power_it_promises() -> None:
    words = what_decides(
        distance=0.01, variance=0.01**2, over_seeds=0.0, num_units=1000, num_seeds=1,
        unit="queries", alpha=0.05,
    )  # fmt: skip
    needed = int("".join(sign for sign in words if sign.isdigit()))
    error = 0.01 * (1000 / needed) ** 0.5
    power = float(stats.norm.sf(1.96 - 0.01 / error))
    assert words.endswith(" queries")
    assert power == pytest.approx(0.8, abs=0.02)


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"over_seeds": 0.9e-4, "num_seeds": 3}, "about 99 seeds"),
        ({"over_seeds": 1e-4, "num_seeds": 3, "num_units": None}, "about 24 seeds"),
        ({"over_seeds": 1e-4, "num_seeds": 20}, "more than 100 seeds"),
        ({"over_seeds": 1e-6, "num_seeds": 3}, "about 8,500 queries"),
        ({"over_seeds": 0.5e-4, "num_seeds": 3}, "more seeds together with more queries"),
        ({"distance": 1e-5}, "more than 100,000 queries"),
        (
            {"distance": 0.0},
            "more data or seeds; a difference observed as 0 does not tell how many",
        ),
    ],
)
def test_what_decides_is_seeds_where_seeds_can(more: dict[str, Any], expected: str) -> None:
    plain: dict[str, Any] = {
        "distance": 0.01, "variance": 1e-4, "over_seeds": 0.0, "num_units": 1000, "num_seeds": 1,
        "unit": "queries", "alpha": 0.05,
    }  # fmt: skip
    assert what_decides(**(plain | more)) == expected


# --- reports and exports --------------------------------------------------------------------------


def test_a_report_lists_every_claim_within_80_columns(tmp_path: Path) -> None:
    sweep = simulate_retrieval(tmp_path, published_order)
    console = Console(width=80, record=True, color_system=None, file=io.StringIO())
    console.print(render(sweep))
    text = console.export_text()
    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in text
    for claim in check_claims(sweep):
        assert "".join(claim.text.split()) in "".join(
            line.replace("over queries only", "").strip() for line in text.splitlines()
        ).replace(" ", "")
    assert "Every verdict holds over queries only" in text
    assert "published 58.87 and 45.13" in text
    assert text.count("Published numbers: BLIP ViT-B") == 1  # once, not under every table


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_every_export_holds_the_verdicts(name: str) -> None:
    sweep = read_sweep(str(STORED), "toy", "stored")
    status, out = run("report", "stored", "--out", str(STORED), "--format", name, "--table=claims")
    assert status == 0
    for claim in check_claims(sweep):
        assert claim.verdict in out
        assert claim.text.replace("'", "") in out.replace("'", "")
    if name == "json":
        claims = json.loads(out)[-1]["claims"]
        assert isinstance(claims[0]["difference"]["mean"], float)


def test_a_sweep_from_before_claims_prints_as_before(tmp_path: Path) -> None:
    sweep = simulate_retrieval(tmp_path, published_order)
    content = sweep.manifest.to_json()
    for key in ("claims", "errata", "published"):
        del content[key]
    sweep = dataclasses.replace(sweep, manifest=Manifest.from_json(content))
    assert claims_table(sweep) is None
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(render(sweep))
    assert "Claims" not in console.export_text()


def test_verdicts_are_words_without_color() -> None:
    table = claims_table(read_sweep(str(STORED), "toy", "stored"))
    assert table is not None
    console = Console(width=80, record=True, color_system=None, file=io.StringIO())
    console.print(ClaimsView(table))
    lines = console.export_text().splitlines()
    assert sum(line.startswith(("reproduced ", "undecided ")) for line in lines) == 5


# --- check ----------------------------------------------------------------------------------------


def test_check_exits_by_the_verdicts(tmp_path: Path) -> None:
    simulate_retrieval(tmp_path / "good", published_order)
    assert run("check", "paper", "--out", str(tmp_path / "good"))[0] == 0
    simulate_retrieval(tmp_path / "bad", lambda p: 1 - published_order(p))
    status, out = run("check", "paper", "--out", str(tmp_path / "bad"))
    assert status == 1
    assert "contradicted" in out
    assert "Known mistakes of the paper" in out
    simulate_retrieval(tmp_path / "flat", lambda p: 0.5)
    assert run("check", "paper", "--out", str(tmp_path / "flat"))[0] == 0
    assert run("check", "paper", "--out", str(tmp_path / "flat"), "--strict")[0] == 1


def test_check_against_a_copy_and_a_changed_copy(tmp_path: Path) -> None:
    for name in ("same", "other"):
        shutil.copytree(STORED, tmp_path / name)
    args = ("check", f"{STORED}/toy/stored", "--against")
    status, out = run(*args, f"{tmp_path}/same/toy/stored")
    assert status == 0
    assert "no difference" in " ".join(out.split())
    sweep = read_sweep(str(tmp_path / "other"), "toy", "stored")
    first, second, *_ = sweep.rows()
    types = sweep.manifest.params
    store = SweepStore(str(tmp_path / "other"), "toy", "stored", types)
    samples = [s for s in sweep.samples.to_pylist() if s["trial_id"] == first["trial_id"]]
    columns = {k: [s[k] for s in samples] for k in ("point", "squared_error")}
    columns["squared_error"][3] += 0.5
    row = {k: v for k, v in first.items() if v is not None}
    row["metric.error"] += 1e-3
    store.add([TrialResult(trial=row, steps=[], samples=columns)])
    status, out = run(*args, f"{tmp_path}/other/toy/stored", "--format", "csv")
    assert status == 1
    # The heading, the trial's metric and samples, and their row: mean, deviation, two bounds.
    assert len(out.splitlines()) == 1 + 2 + 4
    assert "metric.error" in out
    assert '"1 of 200 differ, by at most 0.5"' in out
    assert run(*args, f"{tmp_path}/other/toy/stored", "--tolerance", "0.9")[0] == 0
    assert second["trial_id"] not in out


def test_check_against_lists_missing_trials_and_caps_the_list(tmp_path: Path) -> None:
    simulate_retrieval(tmp_path, published_order, num_units=50)
    simulate_retrieval(tmp_path, published_order, num_units=50, seeds=5, name="five")
    status, out = run("check", "paper", "--against", "five", "--out", str(tmp_path))
    assert status == 1
    assert "32 differences" in out
    assert "12 further differences are not listed." in out
    assert out.count("missing") == 20
