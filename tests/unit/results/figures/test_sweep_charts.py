"""Which lines the charts of a sweep and of a trial have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from drawn_charts import drawn, stopped, sweep_of
from sweeps_with_figures import result

from results.figures.charts import trial_charts
from results.figures.sweep_charts import sweep_charts
from results.storage.reading import Sweep
from tasks.contract import RequestError


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_best_trials_are_drawn(tmp_path: Path, direction: str) -> None:
    metric = {"name": "score", "label": "score", "direction": direction}
    trials = [result(f"t{number:02d}", number / 100) for number in range(15)]
    sweep = sweep_of(tmp_path, *trials, metric=metric)
    (chart,) = sweep_charts(sweep, sweep.rows())
    best = range(14, 6, -1) if direction == "maximize" else range(8)
    assert [name.split()[0] for name in chart.lines] == [f"t{number:02d}" for number in best]
    assert chart.notes[0] == "The best 8 of 15 trials."
    assert chart.title == "toy/s"


def test_legend_has_differences_and_notes_have_common_values(tmp_path: Path) -> None:
    sweep = sweep_of(tmp_path, result("1234567890ab", 0.1), result("abcdef012345", 0.2))
    (chart,) = sweep_charts(sweep, sweep.rows())
    assert list(chart.lines) == ["abcdef01  lr 0.2", "12345678  lr 0.1"]
    assert chart.notes == ["All: seed 0."]


def test_trial_with_one_value_is_a_dashed_line(tmp_path: Path) -> None:
    sweep = sweep_of(tmp_path, result("curve", 0.3), result("level", 0.2, num_steps=1))
    (chart,) = sweep_charts(sweep, sweep.rows())
    assert chart.notes[0] == "Dashed: a trial's only value."
    lines = {line.get_label(): line for line in drawn(chart).axes[0].lines}
    assert lines["level  lr 0.2"].get_linestyle() == "--"
    assert np.array(lines["level  lr 0.2"].get_ydata()).tolist() == [20.0, 20.0]
    assert lines["curve  lr 0.3"].get_linestyle() == "-"


def test_trials_without_a_curve_are_named(tmp_path: Path) -> None:
    short = [stopped(f"s{number}", 0.1 + number / 100) for number in range(6)]
    sweep = sweep_of(tmp_path, result("curve", 0.3), *short)
    (chart,) = sweep_charts(sweep, sweep.rows())
    assert [name.split()[0] for name in chart.lines] == ["curve"]
    assert chart.notes[0] == (
        "Not drawn, because they have fewer than two values: s5, s4, s3, s2 and 2 more."
    )
    assert chart.title == "toy/s, trial curve"  # it has no legend


def test_stopped_trial_is_marked_in_the_legend(tmp_path: Path) -> None:
    sweep = sweep_of(tmp_path, result("one", 0.3), stopped("two", 0.9, num_steps=2))
    (chart,) = sweep_charts(sweep, sweep.rows())
    assert list(chart.lines) == ["one  lr 0.3", "two  lr 0.9 (stopped)"]


def seeds_of(name: str, scores: list[float], num_steps: int = 2, **more: Any) -> list[Any]:
    """The trials of one configuration, one per seed."""
    found = [result(f"{name}{seed}", score, num_steps) for seed, score in enumerate(scores)]
    for seed, each in enumerate(found):
        each.trial.update({"seed": seed, "param.lr": scores[0], **more})  # type: ignore[attr-defined]
    return found


def test_several_seeds_are_drawn_as_mean_and_band(tmp_path: Path) -> None:
    trials = seeds_of("many", [0.2, 0.4, 0.9]) + seeds_of("once", [0.7])
    sweep = sweep_of(tmp_path, *trials)
    (chart,) = sweep_charts(sweep, sweep.rows())
    several, once = "many0 +2  lr 0.2, seeds 0, 1, 2", "once0  lr 0.7, seed 0"
    assert list(chart.lines) == [once, several]  # by the mean: 0.5 is less than 0.7
    curves = [line_of(sweep, row) for row in sweep.rows() if row["trial_id"].startswith("many")]
    for at, mean in chart.lines[several]:
        assert mean == pytest.approx(sum(curve[at] for curve in curves) / 3)
    for at, low, high in chart.bands[several]:
        assert (low, high) == (min(c[at] for c in curves), max(c[at] for c in curves))
    assert once not in chart.bands
    assert "bands span the lowest and the highest seed" in chart.notes[0]
    (axes,) = drawn(chart).axes
    assert len(axes.collections) == 1
    low, high = axes.get_ylim()
    ends = [end for _, *both in chart.bands[several] for end in both]
    assert low <= min(ends) <= max(ends) <= high


def line_of(sweep: Sweep, row: Any) -> dict[float, float]:
    (line,) = trial_charts(sweep, row)[0].lines.values()
    return dict(line)


def test_lines_are_selected_by_configuration(tmp_path: Path) -> None:
    trials = [t for n in range(12) for t in seeds_of(f"c{n:02d}-", [n / 20, n / 20 + 0.01])]
    sweep = sweep_of(tmp_path, *trials)
    (chart,) = sweep_charts(sweep, sweep.rows())
    assert [name[:3] for name in chart.lines] == [f"c{n:02d}" for n in range(11, 3, -1)]
    assert chart.notes[0].startswith("The best 8 of 12 configurations.")
    assert chart.notes[1] == "All: seeds 0, 1."


def test_running_seed_does_not_shorten_the_line(tmp_path: Path) -> None:
    finished, stops = seeds_of("run", [0.3, 0.4])
    stops.trial["status"] = "stopped"
    sweep = sweep_of(tmp_path, finished, stops)
    (chart,) = sweep_charts(sweep, sweep.rows())
    assert list(chart.lines) == ["run0"]


def test_charts_of_a_trial_name_it(tmp_path: Path) -> None:
    sweep = sweep_of(tmp_path, result("1234567890ab", 0.1))
    charts = trial_charts(sweep, sweep.rows()[0])
    assert [chart.label for chart in charts] == ["score (%)", "parts (%)"]
    assert {chart.title for chart in charts} == {"toy/s, trial 12345678"}
    assert charts[0].notes == ["lr 0.1, seed 0"]


def test_sweep_without_curves_is_refused(tmp_path: Path) -> None:
    sweep = sweep_of(tmp_path, result("one", 0.1, num_steps=1))
    with pytest.raises(RequestError, match="no trial of s has two steps"):
        sweep_charts(sweep, sweep.rows())


def test_steps_are_read_only_for_drawn_trials(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trials = [result(f"t{number:02d}", number / 100, pictures=False) for number in range(40)]
    short = [stopped(f"s{number:02d}", 0.9) for number in range(40)]
    sweep = sweep_of(tmp_path, *trials, *short)
    read: list[str] = []
    steps_of = Sweep.steps_of

    def counted(self: Sweep, trial_id: str) -> list[dict[str, Any]]:
        read.append(trial_id)
        return steps_of(self, trial_id)

    monkeypatch.setattr(Sweep, "steps_of", counted)
    sweep_charts(sweep, sweep.rows())
    assert len(read) == 8
