"""Claims in reports and exports."""

from __future__ import annotations

import dataclasses
import io
import json
from pathlib import Path

import pytest
from harness import run_command as run
from paths import STORED
from rich.console import Console
from simulated import published_order, simulate_retrieval

from results.claims.verdicts import check_claims
from results.export import FORMATS
from results.render.claims_table import ClaimsView, claims_table
from results.render.sweep_tables import render
from results.storage.manifest import Manifest
from results.storage.reading import read_sweep


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
def test_every_export_contains_the_verdicts(name: str) -> None:
    sweep = read_sweep(str(STORED), "toy", "stored")
    status, out, _ = run(
        "report", "stored", "--out", str(STORED), "--format", name, "--table=claims"
    )
    assert status == 0
    for claim in check_claims(sweep):
        assert claim.verdict in out
        assert claim.text.replace("'", "") in out.replace("'", "")
    if name == "json":
        claims = json.loads(out)[-1]["claims"]
        assert isinstance(claims[0]["difference"]["mean"], float)


def test_sweep_without_claims_prints_no_claims(tmp_path: Path) -> None:
    sweep = simulate_retrieval(tmp_path, published_order)
    content = sweep.manifest.to_json()
    for key in ("claims", "errata", "published"):
        del content[key]
    sweep = dataclasses.replace(sweep, manifest=Manifest.from_json(content))
    assert claims_table(sweep) is None
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(render(sweep))
    assert "Claims" not in console.export_text()


def test_verdicts_are_readable_without_color() -> None:
    table = claims_table(read_sweep(str(STORED), "toy", "stored"))
    assert table is not None
    console = Console(width=80, record=True, color_system=None, file=io.StringIO())
    console.print(ClaimsView(table))
    lines = console.export_text().splitlines()
    assert sum(line.startswith(("reproduced ", "undecided ")) for line in lines) == 5
