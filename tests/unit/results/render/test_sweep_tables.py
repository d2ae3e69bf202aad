"""The line about shared work, and the cells of a printed table."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from toy_results import PARAMS, manifest, result

from results.export import FORMATS, make_document
from results.render.sweep_tables import render, shared_work
from results.storage.reading import read_sweep
from results.storage.store import SweepStore
from results.tables.summary import summarize


def test_shared_work_sums_over_runs(tmp_path: Path) -> None:
    store = SweepStore(str(tmp_path), "toy", "s", PARAMS)
    store.write_manifest(manifest())
    assert shared_work(read_sweep(str(tmp_path), "toy", "s")) == ""
    run = {"run": datetime.now(UTC), "key": "k", "label": "encode(split=val)"}
    store.add_stages([run | {"seconds": 30.0, "uses": 8}])
    store.add_stages([run | {"seconds": None, "uses": 2}])  # a later run, from the cache
    sweep = read_sweep(str(tmp_path), "toy", "s")
    assert sweep.stages.num_rows == 2
    assert shared_work(sweep) == (
        "Shared work: 1 stage computed in 30.0 s, 1 read from the cache, used 10 times; "
        "4.5 min saved."  # nine times 30 s
    )


def test_shared_work_distinguishes_computed_kept_and_cached(tmp_path: Path) -> None:
    """A stage is computed, kept from an earlier run, or read from the cache."""
    store = SweepStore(str(tmp_path), "toy", "s", PARAMS)
    store.write_manifest(manifest())
    run = {"run": datetime.now(UTC), "key": "k", "label": "encode(split=val)"}
    store.add_stages([run | {"seconds": 30.0, "uses": 0, "source": "computed"}])
    first = shared_work(read_sweep(str(tmp_path), "toy", "s"))
    assert first == "Shared work: 1 stage computed in 30.0 s, not used yet."
    other = run | {"key": "other", "seconds": None, "uses": 2, "source": "cache"}
    store.add_stages([run | {"seconds": None, "uses": 4, "source": "kept"}, other])
    assert shared_work(read_sweep(str(tmp_path), "toy", "s")) == (
        "Shared work: 1 stage computed in 30.0 s, 1 kept from an earlier run, "
        "1 read from the cache, used 6 times; 90.0 s saved."  # 4 x 30 s, less 30 s
    )


def rendered(tmp_path: Path, width: int) -> str:
    store = SweepStore(str(tmp_path), "toy", "s", PARAMS)
    store.add([result(1, 0.1, hits=9), result(2, 0.2, hits=8), result(3, 0.3, hits=1)])
    rows = [
        {"label": None, "params": {"lr": lr}, "report": {"metric.r1": number}}
        for lr, number in ((0.1, 0.5838), (0.2, 0.4), (0.3, 0.3), (0.1, 0.5935), (0.9, 0.2))
    ]
    store.write_manifest(manifest(tables=[{"title": "T", "note": "", "rows": rows}]))
    console = Console(width=width, record=True, color_system=None, file=io.StringIO())
    console.print(render(read_sweep(str(tmp_path), "toy", "s")))
    return console.export_text()


def test_cells_of_the_summary(tmp_path: Path) -> None:
    text = rendered(tmp_path, 80)
    lines = [line.split() for line in text.splitlines()]
    best = next(line for line in lines if line[:1] == ["t1"])
    assert best[1:4] == ["0.1", "★", "90.00"]
    assert best[-2:] == ["58.38,", "59.35"]  # one configuration that the paper ran twice
    assert next(line for line in lines if line[:1] == ["t2"])[1:4] == ["0.2", "≈", "80.00"]
    assert next(line for line in lines if line[:1] == ["t3"])[1:3] == ["0.3", "10.00"]
    assert next(line for line in lines if line[:1] == ["0.9"])[-2:] == ["not", "run"]
    assert max(map(len, text.splitlines())) <= 80


def test_exports_contain_the_same_cells(tmp_path: Path) -> None:
    rendered(tmp_path, 80)
    (table,) = summarize(read_sweep(str(tmp_path), "toy", "s"))
    for name, export in FORMATS.items():
        text = export([make_document("toy", "s", [("table", table)])])
        is_text = name not in ("json", "csv")  # these have unrounded numbers
        assert ("90.00" in text and "58.38" in text) if is_text else "0.9" in text
