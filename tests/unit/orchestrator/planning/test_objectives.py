"""The main metric that ``--metric NAME`` chooses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from orchestrator.functions.finding import find_task
from orchestrator.planning.discovery import load_task
from orchestrator.request import Request
from orchestrator.running.plan import Plan, make_plan
from orchestrator.running.request_checks import check_can_start
from tasks.contract import RequestError


def plan(out: Path, **options: Any) -> Plan:
    return make_plan(Request(task="captioning", engine="local", out=str(out), **options))


def test_a_task_can_offer_several_main_metrics() -> None:
    found = find_task("captioning", "cider_d")
    assert (found.metric.name, found.metric.direction) == ("cider_d", "maximize")
    assert load_task("captioning").metric.name == "bleu4"  # the task itself is unchanged
    assert find_task("captioning", ("rouge_l:maximize",)).metric.name == "rouge_l"
    assert find_task("captioning", "bleu4").metric.name == "bleu4"


@pytest.mark.parametrize(
    ("metric", "maximize", "message"),
    [
        ("cider", None, "cannot be sorted by 'cider'; did you mean"),
        ("cider_d:minimize", None, "captioning maximizes cider_d; write --metric cider_d"),
        ("cider_d", False, "--maximize and --minimize are for functions"),
    ],
)
def test_another_metric_or_direction_is_refused(
    metric: str, maximize: bool | None, message: str
) -> None:
    with pytest.raises(RequestError, match=message):
        find_task("captioning", metric, maximize)


def test_a_metric_is_refused_for_a_task_that_offers_one() -> None:
    with pytest.raises(RequestError, match="has its own metric: remove them, or name several"):
        find_task("retrieval", "i2t_r1")


def test_sweeps_by_different_metrics_have_the_same_trials_and_different_names(
    tmp_path: Path,
) -> None:
    by_bleu, by_cider = plan(tmp_path), plan(tmp_path, metric="cider_d")
    assert [t.id for t in by_bleu.trials] == [t.id for t in by_cider.trials]
    assert (by_bleu.name, by_cider.name) == ("paper", "paper-cider_d")
    assert plan(tmp_path, metric="bleu4").name == "paper"


@pytest.mark.parametrize(
    ("metric", "settings", "message"),
    [
        ("clip_score", (), r"needs the parameter clip, which is not set; add --set clip=VALUE"),
        (
            "self_bleu4",
            ("num_samples=2",),
            r"num_samples, which is not set or not used in 1 of 9 trials, .* decoding=greedy",
        ),
    ],
)
def test_a_metric_that_no_trial_would_report_is_refused(
    metric: str, settings: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    with pytest.raises(RequestError, match=message):
        plan(tmp_path, metric=metric, settings=settings)


def test_a_metric_with_its_parameter_is_planned(tmp_path: Path) -> None:
    found = plan(tmp_path, metric="clip_score", settings=("clip=blip-scenes",))
    assert found.task.metric.name == "clip_score"
    sampled = plan(
        tmp_path, metric="self_bleu4", settings=("num_samples=2", "decoding=sample"), space="grid"
    )
    assert sampled.task.metric.name == "self_bleu4"


@pytest.mark.parametrize("metrics", ["ref_clip_score", ("bleu4", "ref_clip_score")])
def test_a_search_by_a_metric_that_no_trial_would_report_does_not_start(
    metrics: str | tuple[str, ...], tmp_path: Path
) -> None:
    search = plan(tmp_path, metric=metrics, space="search", trials=3)
    with pytest.raises(RequestError, match="ref_clip_score needs the parameter clip"):
        check_can_start(search)
    check_can_start(plan(tmp_path, metric=metrics, space="search", settings=("clip=blip-scenes",)))
