"""Searches that optimize several metrics together, in this process."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import optuna
import pytest

import orchestrator as orc
from orchestrator.running.plan import make_plan
from orchestrator.running.stored_request import read_request, request_of
from results.page.charts.sweep import sweep_page_charts
from results.storage.reading import Sweep, read_sweep
from results.tables.rows import SummaryRow
from results.tables.summary import summarize
from tasks.contract import RequestError

SPACE = {"x": {"min": -1.0, "max": 2.0}, "y": {"min": 0.0, "max": 1.0}}


@orc.task(metric="error", maximize=False)
def fit(x: float = 0.0, y: float = 0.0, *, seed: int = 0) -> dict[str, float]:
    """A trade-off between x near 0, x near 1, and nothing that y improves."""
    return {"error": x**2 + y + seed / 100, "cost": (x - 1) ** 2 + y, "speed": -y}


def search(out: Path, space: Any = SPACE, **options: Any) -> Sweep:
    chosen: dict[str, Any] = {"metric": ("error", "cost:minimize"), "trials": 12, **options}
    found = orc.sweep(fit, space, engine="local", out=out, **chosen)
    return read_sweep(str(out), *found.name.split("/"))


def is_better(one: Sequence[float], other: Sequence[float]) -> bool:
    """Whether one is at least as low everywhere, and lower somewhere."""
    return all(a <= b for a, b in zip(one, other, strict=True)) and one != other


def points(rows: Sequence[SummaryRow]) -> list[tuple[float, float]]:
    return [(row.metrics["metric.error"], row.metrics["metric.cost"]) for row in rows]


@pytest.mark.parametrize("sampler", ["tpe", "random", "qmc", "gp", "nsga2"])
def test_the_table_begins_with_the_front(tmp_path: Path, sampler: str) -> None:
    sweep = search(tmp_path, sampler=sampler, seeds=2)
    (table,) = summarize(sweep, 5)
    rows = summarize(sweep, None)[0].rows
    found = points(rows)
    assert len(found) == 12
    on_front = [not any(is_better(other, point) for other in found) for point in found]
    assert [row.on_front for row in rows] == on_front
    assert 0 < sum(on_front) < 12
    assert on_front == sorted(on_front, reverse=True)  # the front first
    assert len(table.rows) == max(5, sum(on_front))
    front = found[: sum(on_front)]
    assert front == sorted(front)  # by the main metric
    assert table.title == "fit: search-x-y-error-cost" + (
        f"{'' if sampler == 'tpe' else f'-{sampler}'}, 12 configurations, Pareto front first"
    )
    text = " ".join(table.caption)
    assert "for error (minimized) and cost (minimized); no pruner" in text
    assert "on the Pareto front of error and cost: no other row is better in both." in text


def test_a_third_metric_and_a_direction(tmp_path: Path) -> None:
    sweep = search(tmp_path, metric=("error", "speed:maximize", "cost:minimize"), trials=6)
    assert sweep.manifest.search is not None
    assert sweep.manifest.search.metrics == {
        "error": "minimize",
        "speed": "maximize",
        "cost": "minimize",
    }
    (table,) = summarize(sweep)
    assert [column.key for column in table.metrics][:2] == ["metric.speed", "metric.cost"]
    text = " ".join(table.caption)
    assert "the Pareto front of error, speed and cost: no other row is better in all" in text
    charts = {chart.id: chart for chart in sweep_page_charts(sweep, sweep.rows())}
    fronts = [charts["front"], charts["front-1"]]
    assert [chart.title for chart in fronts] == ["speed and error", "cost and error"]
    assert all("front of error, speed and cost: no other" in chart.summary for chart in fronts)


def test_a_space_file_names_the_metrics(tmp_path: Path) -> None:
    (tmp_path / "space.py").write_text(
        'METRICS = ("error", "doubled:minimize")\n'
        'def search(trial):\n    return {"x": trial.suggest_float("x", -1, 2)}\n'
    )
    with pytest.raises(RequestError, match="fit has no metric 'doubled'; available: error"):
        search(tmp_path, str(tmp_path / "space.py"), metric=None)
    one = 'METRICS = ("doubled",)\ndef search(trial):\n    return {}\n'
    (tmp_path / "one.py").write_text(one)
    with pytest.raises(RequestError, match="METRICS of the space 'one': fit has no metric"):
        search(tmp_path, str(tmp_path / "one.py"), metric=None)
    text = (tmp_path / "space.py").read_text().replace("doubled", "cost")
    (tmp_path / "space.py").write_text(text)

    @orc.task(metric="error", maximize=False, columns=["cost"])
    def fit(x: float = 0.0) -> dict[str, float]:
        return {"error": x**2, "cost": (x - 1) ** 2}

    out = tmp_path / "out"
    found = orc.sweep(fit, str(tmp_path / "space.py"), trials=4, engine="local", out=out)
    manifest = read_sweep(str(out), *found.name.split("/")).manifest
    assert manifest.name == "space"
    assert manifest.objectives == {"error": "minimize", "cost": "minimize"}
    request = dataclasses.replace(request_of(manifest), task=fit)
    assert make_plan(dataclasses.replace(request, out=str(out))).manifest_before == manifest

    # One metric replaces those of the file.
    alone = orc.sweep(
        fit, str(tmp_path / "space.py"), metric="cost:minimize", trials=2, engine="local", out=out
    )
    manifest = read_sweep(str(out), *alone.name.split("/")).manifest
    assert manifest.name == "space-cost"
    assert (manifest.metric.name, dict(manifest.objectives)) == ("cost", {})
    assert manifest.search is not None
    assert manifest.search.pruner["name"] == "halving"
    request = dataclasses.replace(request_of(manifest), task=fit)
    assert make_plan(dataclasses.replace(request, out=str(out))).manifest_before == manifest


def test_optuna_learns_every_metric_also_after_a_resume(tmp_path: Path) -> None:
    search(tmp_path, seeds=2, trials=4)
    sweep = search(tmp_path, seeds=2, trials=7)
    assert sweep.trials.num_rows == 14
    storage = optuna.storages.JournalStorage(
        optuna.storages.journal.JournalFileBackend(f"{sweep.path}/optuna-journal.log")
    )
    study = optuna.load_study(study_name=sweep.manifest.name, storage=storage)
    learned = sorted((t.params["x"], *t.values) for t in study.trials)
    (table,) = summarize(sweep, None)
    expected = sorted(
        (row.params["x"], *point) for row, point in zip(table.rows, points(table.rows), strict=True)
    )
    assert [len(each) for each in learned] == [3] * 7
    for one, other in zip(learned, expected, strict=True):
        assert one == pytest.approx(other)
    assert [d.name for d in study.directions] == ["MINIMIZE", "MINIMIZE"]
    assert {t.state.name for t in study.trials} == {"COMPLETE"}


def test_another_set_of_metrics_is_another_sweep(tmp_path: Path) -> None:
    names = [
        search(tmp_path, metric=metric, trials=2).manifest.name
        for metric in (None, ("error", "cost:minimize"), ("error", "cost:maximize"))
    ]
    assert names[:2] == ["search-x-y", "search-x-y-error-cost"]
    assert names[2].startswith("search-x-y-error-cost-")


def test_a_stored_search_runs_again(tmp_path: Path) -> None:
    sweep = search(tmp_path, trials=2)
    request = read_request(f"{sweep.path}/sweep.json")
    assert request.metrics == ("error:minimize", "cost:minimize")
    assert (request.trials, request.sampler, request.pruner) == (2, "tpe", "none")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"metric": None, "sampler": "nsga2"}, "--sampler nsga2 searches for the Pareto front"),
        ({"pruner": "median"}, "--pruner median compares one metric, but this search optimizes"),
        ({"pruner": "halving"}, "error and cost; remove it, or name one metric"),
        ({"metric": ("error", "cost")}, "does not say whether a higher cost is better; write"),
        ({"metric": ("error", "cost:min")}, "NAME:maximize or NAME:minimize, but got 'cost:min'"),
        ({"metric": ("error", "error")}, "--metric names the metric error twice"),
        (
            {"metric": "error:minimize", "maximize": True},
            "--metric error:minimize and --maximize contradict each other; remove --maximize",
        ),
        ({"sampler": "cmaes"}, "--sampler cmaes cannot suggest values: .*; use another one"),
        (
            {"space": {"x": [0.0, 1.0]}, "trials": None},
            "--metric error --metric cost:minimize has no effect: the space 'grid-x' lists all",
        ),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(RequestError, match=message):
        search(tmp_path, **options)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        (("rouge_l:maximize", "cider_d:maximize"), "--metric must include bleu4, the main metric"),
        (("bleu4", "length"), "does not say whether a higher length is better"),
        (("bleu4", "rogue_l"), "captioning has no metric 'rogue_l'; did you mean 'rouge_l'"),
        ("rogue_l", "cannot be sorted by 'rogue_l'; did you mean 'rouge_l'"),
    ],
)
def test_metrics_of_a_task_are_checked(
    tmp_path: Path, metric: str | tuple[str, ...], message: str
) -> None:
    with pytest.raises(RequestError, match=message):
        orc.sweep("captioning", "search", metric=metric, engine="local", out=tmp_path)
