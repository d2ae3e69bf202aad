"""Small sweeps with chosen parameters and hits, for tests of comparisons."""

from __future__ import annotations

import io
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from toy_results import manifest

from results.compare import sweeps as compared
from results.compare.view import render_comparison
from results.storage.reading import read_sweep
from results.storage.store import SweepStore, TrialResult
from results.tables.details import DetailTable

PARAMS = {"lr": "float", "epochs": "int", "start": "str"}
_ids = itertools.count()


def make_trial(
    hits: Sequence[int] | None, *, seed: int = 0, status: str = "finished", **params: Any
) -> Any:
    """A trial with these parameters. ``hits`` says for each query whether it was found."""
    values = {"lr": 0.1, "epochs": 5, "start": "pretrained"} | params
    name = f"t{next(_ids)}"
    row: dict[str, Any] = {
        "trial_id": name,
        "seed": seed,
        "status": status,
        "reason": "it broke" if status == "failed" else None,
        "reused_from": None,
        "model_fingerprint": "m",
        "data_fingerprint": "d",
        "version": "1",
        "num_steps": 1,
        "seconds": 2.5,
        **{f"param.{key}": value for key, value in values.items()},
    }
    samples = None
    if hits is not None:
        row["metric.r1"] = float(np.mean(hits))
        ranks = [1 if hit else 7 for hit in hits]
        samples = {"query": list(range(len(hits))), "rank": ranks}
    return TrialResult(trial=row, steps=[], samples=samples)


def write_sweep(out: Path, name: str, trials: Sequence[Any], **more: Any) -> Any:
    """Write a sweep of these trials, and read it."""
    task = more.get("task", "toy")
    store = SweepStore(str(out), task, name, PARAMS)
    store.add(trials)
    changes = {
        "task": task,
        "name": name,
        "params": PARAMS,
        "columns": [
            {"key": "param.lr", "label": "lr", "format": "scientific", "pick": "last"},
            {"key": "param.epochs", "label": "epochs", "format": "integer", "pick": "last"},
            {"key": "metric.r1", "label": "R@1", "format": "percent", "pick": "last"},
        ],
        "paired": [{"metric": "r1", "unit": "query", "value": "rank", "at_most": 1, "where": {}}],
        "seeds": sorted({trial.trial["seed"] for trial in trials} or {0}),
        "versions": {"torch": "2.13"},
    }
    store.write_manifest(manifest(**(changes | more)))
    return read_sweep(str(out), task, name)


def hits(share: float, number: int = 200) -> list[int]:
    return [int(index < round(share * number)) for index in range(number)]


def compare(first: Any, second: Any, names: tuple[str, str]) -> tuple[DetailTable, Any]:
    """The table about the whole sweeps, and the one about rows or about the best rows."""
    return compared.compare(first, second, names)


def render_text(tables: tuple[DetailTable, DetailTable], width: int) -> str:
    """Both tables of a comparison, as a terminal of this width shows them."""
    console = Console(width=width, record=True, color_system=None, file=io.StringIO())
    console.print(render_comparison(*tables))
    return console.export_text()
