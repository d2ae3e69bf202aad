"""Known errors of the paper, and whether its numbers show them."""

from __future__ import annotations

from pathlib import Path

from simulated import published

from orchestrator.planning.errata import plan_errata
from orchestrator.planning.planned_claims import PublishedRows, plan_claims
from orchestrator.request import Request
from orchestrator.running.plan import make_plan
from results.storage.manifest_parts import RecordedErratum


def test_known_errata_are_found_in_the_published_numbers() -> None:
    def errata(task: str) -> dict[str, RecordedErratum]:
        made = published(task)
        return {e.text: e for e in plan_errata(made, plan_claims(made))}

    retrieval = errata("retrieval")
    recall = retrieval["The column called BLEU is image-to-text recall at 1"]
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


def test_erratum_without_evidence_is_marked(tmp_path: Path) -> None:
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
    made = PublishedRows(space=plan.space, planned=plan.planned, task=plan.task)
    claims = plan_claims(made)
    assert [c.text for c in claims] == ["b wins"], "nothing is derived without known noise"
    named, several, contradicted = plan_errata(made, claims)
    assert (named.shown, several.shown, contradicted.shown) == (False, True, True)
    assert several.text.startswith("One configuration has several published numbers: lr 0.2")
    assert contradicted.text.endswith("do not support this claim: b wins")
