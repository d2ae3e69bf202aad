"""The model card of an exported trial."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard
from toy_sweeps import run_toy

from results.export.model_card import render_card, trial_record
from results.storage.reading import Sweep
from results.tables.looks import FinalRow, Look, write_looks
from results.tables.selection import select_best, select_trial
from results.tables.summary import summarize
from tasks.contract import Export

EXPORT = Export(
    usage="print(1)\n",
    library="transformers",
    pipeline="image-to-text",
    license="apache-2.0",
    base_models=["lab/base"],
    notes=["It differs."],
)


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Sweep:
    return run_toy(tmp_path_factory.mktemp("grid"), "GRID = {'degree': [1, 3, 5, 9]}\n", seeds=3)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Sweep:
    """The report of the toy task, which has published numbers and claims."""
    return run_toy(tmp_path_factory.mktemp("report"))


def section(card: str, title: str) -> str:
    found = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", card, re.S | re.M)
    assert found, f"no section {title}"
    return found[1]


def test_hub_parses_the_front_matter(grid: Sweep) -> None:
    data: Any = ModelCard(render_card(grid, select_best(grid), EXPORT)).data
    assert data.license == "apache-2.0"
    assert data.library_name == "transformers"
    assert data.pipeline_tag == "image-to-text"
    assert data.base_model == ["lab/base"]
    assert data.tags == ["multimodal-sweep-orchestrator", "toy"]


def test_an_unknown_license_is_called_unknown(grid: Sweep) -> None:
    card = render_card(grid, select_best(grid), Export(usage="pass"))
    assert ModelCard(card).data.to_dict() == {
        "license": "unknown",
        "tags": ["multimodal-sweep-orchestrator", "toy"],
    }
    assert "data sine: unknown" in section(card, "License")


def test_scores_match_the_table(grid: Sweep) -> None:
    chosen = select_best(grid)
    (best,) = [row for row in summarize(grid, None)[0].rows if row.mark == "best"]
    assert chosen.trial["trial_id"] == best.trial_ids[0]
    assert chosen.trial["seed"] == 0
    text = section(render_card(grid, chosen, EXPORT), "Results")
    cells = next(line for line in text.splitlines() if line.startswith("| squared error"))
    _, own, mean, interval, *_ = (cell.strip() for cell in cells.strip("|").split("|"))
    assert best.estimate is not None
    assert best.deviation is not None
    assert own == f"{chosen.trial['metric.error']:.4g}"
    assert mean == f"{best.metrics['metric.error']:.4g} ± {best.deviation:.4g}"
    assert interval == f"[{best.estimate.low:.3g}, {best.estimate.high:.3g}]"
    assert "interval of squared error over 200 points and other seeds." in text


def test_card_counts_the_compared_configurations(grid: Sweep) -> None:
    text = section(render_card(grid, select_best(grid), EXPORT), "How it was chosen")
    assert "best by squared error of 4 configurations (12 finished trials)" in text
    assert "Of its 3 seeds it is the first." in text
    assert "expect lower scores on other data" in text


def test_trial_chosen_by_id_has_its_rank(grid: Sweep) -> None:
    tables = summarize(grid, None)
    last = tables[0].rows[-1]
    row = next(r for r in grid.rows() if r["trial_id"] == last.trial_ids[1])
    text = section(render_card(grid, select_trial(grid, row), EXPORT), "How it was chosen")
    assert "It was chosen by its id. Its configuration is number 4 by squared error" in text


def test_single_configuration_was_not_selected(tmp_path: Path) -> None:
    sweep = run_toy(tmp_path, "GRID = {'degree': [3]}\n")
    card = render_card(sweep, select_best(sweep), EXPORT)
    assert "so nothing was chosen" in section(card, "How it was chosen")
    assert "one seed says nothing about other seeds" in section(card, "Results")


def test_configurations_that_were_pruned_count_as_compared(grid: Sweep) -> None:
    selection = dataclasses.replace(
        select_best(grid), num_configurations=8, num_pruned=7, num_trials=1
    )
    card = section(render_card(grid, selection, EXPORT), "How it was chosen")
    assert "of 8 configurations (1 finished trial, 7 pruned) that the sweep compared" in card
    assert "partly good by chance" in card


def test_pruned_configurations_of_a_search_are_counted(tmp_path: Path) -> None:
    space = (
        "def search(trial):\n"
        "    degree = trial.suggest_categorical('degree', list(range(1, 9)))\n"
        "    return {'degree': degree, 'epochs': 30}\n"
    )
    sweep = run_toy(tmp_path, space, trials=8)
    selection = select_best(sweep)
    rows = sweep.current_rows()
    num_pruned = len(
        {row["param.degree"] for row in rows if row["status"] == "stopped"}
        - {row["param.degree"] for row in rows if row["status"] == "finished"}
    )
    assert num_pruned > 0
    assert selection.num_pruned == num_pruned
    assert selection.num_configurations == len({row["param.degree"] for row in rows})


def test_a_task_without_model_and_data_names_none(grid: Sweep) -> None:
    selection = select_best(grid)
    selection = dataclasses.replace(
        selection, trial={**selection.trial, "model": "none", "data": "none"}
    )
    card = render_card(grid, selection, EXPORT)
    assert "none" not in section(card, "Origin") + section(card, "License")
    assert "\n# toy, trial " in card
    assert "of the toy sweep `s`: seed 0." in card
    assert "- model: apache-2.0" in section(card, "License")


def test_published_numbers_and_verdicts_are_in_the_card(report: Sweep) -> None:
    row = next(r for r in report.rows() if r["param.degree"] == 5)  # the one with a number
    card = render_card(report, select_trial(report, row), EXPORT)
    assert "| published |" in section(card, "Results")
    assert "0.01 |" in section(card, "Results")
    claims = section(card, "Claims")
    assert claims.count("| reproduced |") == 2
    assert "a cubic fits the sine better than a line" in claims
    assert "about the whole sweep, not about this model alone" in claims


def test_card_names_the_split(grid: Sweep) -> None:
    chosen = select_best(grid)
    chosen.trial["param.split"] = "val"  # type: ignore[index]
    try:
        card = render_card(grid, chosen, EXPORT)
    finally:
        del chosen.trial["param.split"]  # type: ignore[attr-defined]
    assert "Scored on the split val of sine." in card
    assert "on the split val that the scores above are from" in card


def test_card_contains_the_test_score(tmp_path: Path) -> None:
    sweep = run_toy(tmp_path, "GRID = {'degree': [1, 3]}\n")
    selection = select_best(sweep)
    assert "nothing about any other split" in render_card(sweep, selection, EXPORT)
    intervals: dict[str, Any] = {
        "val_interval": None,
        "test_interval": None,
        "difference_interval": None,
    }
    row = FinalRow(
        table="t",
        configuration="degree 3",
        mark="best",
        trial_ids=[selection.trial["trial_id"]],
        chosen_on="val",
        val=0.25,
        test=0.5,
        **intervals,
    )
    look = Look(split="test", began="2026-11-26T15:04", command=[], trials=row.trial_ids)
    look.rows = [row]
    write_looks(sweep, [look])
    card = render_card(sweep, selection, EXPORT)
    assert "nothing about any other split" not in card
    assert "On the split test, which was not used to choose, its" in card
    assert "is 0.5, compared with 0.25 on val." in card


def test_untrained_model_is_stated_first(grid: Sweep) -> None:
    text = "The model was not trained in this sweep (epochs is 0)."
    card = render_card(grid, select_best(grid), EXPORT, text)
    first = next(part for part in card.split("\n\n") if part.startswith("Trial `"))
    assert first.endswith(text)


def test_row_tied_with_the_best_is_noted(grid: Sweep) -> None:
    selection = select_best(grid)
    assert selection.row is not None
    assert selection.table is not None
    next(row for row in selection.table.rows if row is not selection.row).mark = "best"
    selection.row.mark = "tie"
    assert "not distinguishable from the best row" in render_card(grid, selection, EXPORT)


def test_card_lists_parameters_sources_and_versions(grid: Sweep) -> None:
    chosen = select_best(grid)
    card = render_card(grid, chosen, EXPORT)
    parameters = section(card, "Parameters")
    for name, value in (("degree", chosen.trial["param.degree"]), ("epochs", 20)):
        assert f"| {name} | {value} |" in parameters
    origin = section(card, "Origin")
    for text in (chosen.trial["trial_id"], "polynomial", "content hash `1`", "torch ", "python "):
        assert text in origin
    record = trial_record(grid, chosen.trial)
    assert record["metrics"]["error"] == chosen.trial["metric.error"]


def test_card_contains_no_local_paths(tmp_path: Path, grid: Sweep) -> None:
    chosen = select_best(grid)
    hidden = {"model": f"{tmp_path}/my model", "data": f"folder:{tmp_path}/photos"}
    before = {name: chosen.trial[name] for name in hidden}
    try:
        chosen.trial.update(hidden)  # type: ignore[attr-defined]
        card = render_card(grid, chosen, EXPORT)
        record = str(trial_record(grid, chosen.trial))
    finally:
        chosen.trial.update(before)  # type: ignore[attr-defined]
    assert str(tmp_path) not in card + record
    assert "my model" in card
