"""The table of scores on the test split."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from toy_sweeps import run_toy

from results.tables.looks import FinalRow, Look, final_table


def test_look_with_fewer_seeds_than_the_sweep_is_noted(tmp_path: Path) -> None:
    sweep = run_toy(tmp_path, "GRID = {'degree': [3], 'epochs': [1]}\n", seeds=2)
    ids = [row["trial_id"] for row in sweep.rows()]
    intervals: dict[str, Any] = dict.fromkeys(
        ("val_interval", "test_interval", "difference_interval")
    )
    captions = []
    for number in (1, 2):
        row = FinalRow(
            table="t",
            configuration="degree 3",
            mark="best",
            trial_ids=ids[:number],
            chosen_on="val",
            val=0.25,
            test=0.5,
            **intervals,
        )
        look = Look(split="test", began="2026-11-26T15:04", command=[], trials=ids, rows=[row])
        table = final_table(sweep, [look])
        assert table is not None
        captions.append(" ".join(table.caption))
    assert "scores of 1 seed; the sweep has 2 now. Give --final test again" in captions[0]
    assert "again" not in captions[1]
