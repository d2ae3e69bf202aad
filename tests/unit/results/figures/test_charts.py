"""What a chart shows: which lines, by which names, in how much room, between which numbers."""

from __future__ import annotations

import io
import math
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure
from PIL import Image
from rich.console import Console
from sweeps_with_figures import make_store, result

from orchestrator.reports.show import show
from results.figures.charts import Chart, trial_charts
from results.figures.drawing import PLOT_HEIGHT, draw, figure_of
from results.figures.sweep_charts import sweep_charts
from results.figures.terminal_chart import terminal_chart
from results.figures.ticks import limits, tick_texts, ticks
from results.storage.reading import Sweep, read_sweep
from tasks.contract import RequestError

LONG = "decoding sample, " * 20


def sweep_of(root: Path, *results: Any, **changes: Any) -> Sweep:
    make_store(str(root), **changes).add(results)
    return read_sweep(str(root), "toy", "s")


def stopped(name: str, score: float, num_steps: int = 1) -> Any:
    found = result(name, score, num_steps)
    found.trial["status"] = "stopped"  # type: ignore[index]
    return found


def chart_of(names: list[str], values: tuple[float, ...] = (1.0, 2.0), **more: Any) -> Chart:
    lines = {name: [(at + 1, value) for at, value in enumerate(values)] for name in names}
    return Chart(label="score (%)", lines=lines, **more)  # type: ignore[arg-type]


def drawn(chart: Chart) -> Figure:
    """The figure as it is saved; every warning is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = figure_of([chart], "epoch")
        figure.savefig(io.BytesIO(), format="png")
    return figure


# --- which lines ----------------------------------------------------------------------------------


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_the_best_lines_are_drawn_not_the_first(tmp_path: Path, direction: str) -> None:
    metric = {"name": "score", "label": "score", "direction": direction}
    trials = [result(f"t{number:02d}", number / 100) for number in range(15)]
    sweep = sweep_of(tmp_path, *trials, metric=metric)
    (chart,) = sweep_charts(sweep, sweep.rows())
    best = range(14, 6, -1) if direction == "maximize" else range(8)
    assert [name.split()[0] for name in chart.lines] == [f"t{number:02d}" for number in best]
    assert chart.notes[0] == "The best 8 of 15 trials."
    assert chart.title == "toy/s"


def test_entries_name_the_trial_and_what_differs_the_notes_what_does_not(tmp_path: Path) -> None:
    sweep = sweep_of(tmp_path, result("1234567890ab", 0.1), result("abcdef012345", 0.2))
    (chart,) = sweep_charts(sweep, sweep.rows())
    assert list(chart.lines) == ["abcdef01  lr 0.2", "12345678  lr 0.1"]
    assert chart.notes == ["All: seed 0."]


def test_a_trial_of_one_value_is_a_dashed_level(tmp_path: Path) -> None:
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


def test_a_stopped_trial_says_so(tmp_path: Path) -> None:
    sweep = sweep_of(tmp_path, result("one", 0.3), stopped("two", 0.9, num_steps=2))
    (chart,) = sweep_charts(sweep, sweep.rows())
    assert list(chart.lines) == ["one  lr 0.3", "two  lr 0.9 (stopped)"]


def seeds_of(name: str, scores: list[float], num_steps: int = 2, **more: Any) -> list[Any]:
    """The trials of one configuration, one per seed."""
    found = [result(f"{name}{seed}", score, num_steps) for seed, score in enumerate(scores)]
    for seed, each in enumerate(found):
        each.trial.update({"seed": seed, "param.lr": scores[0], **more})  # type: ignore[attr-defined]
    return found


def test_a_line_of_several_seeds_is_their_mean_with_a_band(tmp_path: Path) -> None:
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


def test_lines_are_chosen_by_configuration_not_by_trial(tmp_path: Path) -> None:
    trials = [t for n in range(12) for t in seeds_of(f"c{n:02d}-", [n / 20, n / 20 + 0.01])]
    sweep = sweep_of(tmp_path, *trials)
    (chart,) = sweep_charts(sweep, sweep.rows())
    assert [name[:3] for name in chart.lines] == [f"c{n:02d}" for n in range(11, 3, -1)]
    assert chart.notes[0].startswith("The best 8 of 12 configurations.")
    assert chart.notes[1] == "All: seeds 0, 1."


def test_a_seed_that_is_still_running_does_not_shorten_the_line(tmp_path: Path) -> None:
    finished, stops = seeds_of("run", [0.3, 0.4])
    stops.trial["status"] = "stopped"
    sweep = sweep_of(tmp_path, finished, stops)
    (chart,) = sweep_charts(sweep, sweep.rows())
    assert list(chart.lines) == ["run0"]


def test_a_trials_charts_name_the_trial(tmp_path: Path) -> None:
    sweep = sweep_of(tmp_path, result("1234567890ab", 0.1))
    charts = trial_charts(sweep, sweep.rows()[0])
    assert [chart.label for chart in charts] == ["score (%)", "parts (%)"]
    assert {chart.title for chart in charts} == {"toy/s, trial 12345678"}
    assert charts[0].notes == ["lr 0.1, seed 0"]


def test_nothing_to_draw_is_an_error(tmp_path: Path) -> None:
    sweep = sweep_of(tmp_path, result("one", 0.1, num_steps=1))
    with pytest.raises(RequestError, match="no trial of s has two steps"):
        sweep_charts(sweep, sweep.rows())


# --- room -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [1, 2, 5, 8])
@pytest.mark.parametrize("length", [3, 40, 70, 340])
def test_the_plot_keeps_its_size_whatever_the_legend(number: int, length: int) -> None:
    names = [f"{index}{LONG}"[:length] for index in range(number)]
    figure = drawn(chart_of(names, title="toy/s", notes=["All: lr 1."]))
    height = figure.get_size_inches()[1]
    (axes,) = figure.axes
    assert axes.get_position().height * height == pytest.approx(PLOT_HEIGHT)
    assert axes.get_position().width > 0.8
    assert axes.get_position().height > (0.35 if length < 340 else 0.25)
    page = figure.bbox
    plot = axes.get_tightbbox()
    for text in [*figure.texts, *(figure.legends[0].get_texts() if figure.legends else [])]:
        box = text.get_window_extent()
        assert page.x0 <= box.x0
        assert box.x1 <= page.x1
        assert page.y0 <= box.y0
        assert box.y1 <= page.y1
        assert plot is not None
        assert not plot.overlaps(box)  # neither over the curves nor over an axis
    assert len(figure.legends) == (number > 1)


def test_a_long_note_is_whole_and_inside_the_page() -> None:
    note = ", ".join(f"some_parameter_{number} bfloat16" for number in range(12))
    figure = drawn(chart_of(["a"], title="toy/s", notes=[note]))
    texts = [text.get_text() for text in figure.texts]
    assert " ".join(texts[1:]) == note
    assert all(text.get_window_extent().x1 <= figure.bbox.x1 - 10 for text in figure.texts)


def test_equal_curves_do_not_hide_each_other() -> None:
    chart = chart_of(["a", "b", "c"])
    chart.lines["other"] = [(1, 3.0), (2, 1.0)]
    (axes,) = drawn(chart).axes
    assert [line.get_linewidth() for line in axes.get_lines()] == [4.5, 3.0, 1.5, 1.5]
    assert [line.get_markersize() for line in axes.get_lines()] == [9, 6, 3, 3]


@pytest.mark.parametrize("value", [0.5, 12345.678, 9_999_999.0, 1e-9, -12345.5])
def test_labels_of_an_axis_stay_on_the_page(value: float) -> None:
    figure = drawn(chart_of(["a"], (value, value * 1.5)))
    box = figure.axes[0].get_tightbbox()
    assert box is not None
    assert box.x0 >= 0


def test_equal_charts_give_equal_files() -> None:
    chart = chart_of(["a", "b"], title="toy/s")
    for form in ("png", "svg"):
        assert draw([chart], "epoch", form) == draw([chart], "epoch", form)


def test_text_of_any_kind_is_drawn_as_it_is_and_in_silence(
    recwarn: pytest.WarningsRecorder, capfd: pytest.CaptureFixture[str]
) -> None:
    names = ["_hidden", "$x^2", "一个提示", "a\\frac{1}{2}$", "🐈"]
    chart = chart_of(names, title="$toy_{/s", notes=["$\\alpha", "%d {} \\n"])
    figure = figure_of([chart], "a $ epoch")
    assert [text.get_text().strip() for text in figure.legends[0].get_texts()] == names
    assert draw([chart], "a $ epoch", "png")
    assert not recwarn.list
    assert capfd.readouterr() == ("", "")


# --- numbers --------------------------------------------------------------------------------------


def test_ticks_of_a_log_axis_are_plain_numbers() -> None:
    figure = drawn(chart_of(["loss"], (0.2, 0.06, 0.02), log=True))
    (axes,) = figure.axes
    assert axes.get_yscale() == "log"
    texts = [label.get_text() for label in axes.get_yticklabels()]
    assert texts == ["0.02", "0.03", "0.05", "0.07", "0.1", "0.2"]
    assert not axes.yaxis.get_minorticklocs().size
    assert axes.get_ylabel() == "score (%)"
    assert axes.get_xlabel() == "epoch"


def test_a_chart_of_zeros_begins_at_zero() -> None:
    figure = drawn(chart_of(["a"], (0.0, 0.0)))
    assert figure.axes[0].get_ylim() == (0.0, 1.0)
    text = terminal_chart(chart_of(["a"], (0.0, 0.0)), 80).plain
    assert "-1" not in text


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.0, 100.0], (0.0, 100.0)),
        ([5.0, 5.0], (4.5, 5.5)),
        ([-2.0, 2.0], (-2.16, 2.16)),
        ([99.0, 100.0], (98.96, 100.0)),
    ],
)
def test_an_axis_ends_where_values_must(values: list[float], expected: tuple[float, float]) -> None:
    assert limits(values, top=100) == pytest.approx(expected)


NUMBERS = st.floats(1e-9, 1e9)


@given(NUMBERS, NUMBERS, st.booleans(), st.integers(3, 9))
@example(1.0, 231416455.0, True, 3)
@example(1.0, 29.0, True, 3)
@example(1.0, 31.0, True, 3)
@settings(max_examples=100)
def test_ticks_are_few_distinct_and_within_the_axis(
    one: float, other: float, log: bool, most: int
) -> None:
    low, high = limits([one, other], log=log)
    if not high > low * (1 + 1e-6):
        return
    found = ticks(low, high, log=log, most=most)
    assert 1 <= len(found) <= most
    assert all(low * (1 - 1e-6) <= tick <= high * (1 + 1e-6) for tick in found)
    assert found == sorted(set(found))
    for value, text in zip(found, tick_texts(found), strict=True):
        assert re.fullmatch(r"-?[\d,]+(\.\d+)?(e-?\d+)?", text)
        shown = float(text.replace(",", ""))
        assert math.isclose(shown, value, rel_tol=0.01, abs_tol=1e-6 * (high - low))


# --- the terminal ---------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [60, 80, 100])
def test_a_terminal_chart_keeps_to_its_width_with_its_names_below(width: int) -> None:
    chart = chart_of(["first " + LONG[:100], "second"], title="toy/s, trial 12345678", log=True)
    text = terminal_chart(chart, width, x_label="epoch").plain
    lines = text.splitlines()
    assert max(map(len, lines)) <= width
    assert lines[0] == "score (%), toy/s, trial 12345678"
    assert any(line.strip() == "epoch" for line in lines)
    assert lines[-1] == "2 second"
    assert "10^" not in text
    plot = [line for line in lines if "│" in line or "┤" in line]
    assert not [line for line in plot if "first" in line]


# --- show -----------------------------------------------------------------------------------------


def asked(tmp_path: Path, capsys: pytest.CaptureFixture[str], **options: Any) -> str:
    sweep = read_sweep(str(tmp_path), "toy", "s")
    options = {"trial": None, "save": None, "pictures": None, **options}
    show(sweep, options.pop("trial"), **options)
    return capsys.readouterr().out


def test_show_says_what_it_saved(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trial = result("one", 0.5)
    trial.trial.update(seconds=1.0)  # type: ignore[attr-defined]
    sweep_of(tmp_path, trial)
    curve, sheet = tmp_path / "c.png", tmp_path / "p.png"
    told = asked(tmp_path, capsys, trial="one", save=str(curve), pictures=str(sheet))
    assert told.splitlines()[-2:] == [f"Saved {curve}.", f"Saved {sheet}."]
    for file in (curve, sheet):
        with Image.open(file) as image:
            image.verify()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["c.png", "p.png", "toy"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"trial": "bare", "pictures": "p.png"}, "--pictures: trial bare has no pictures"),
        ({"trial": "short", "pictures": "p.png"}, "--save: trial short has fewer than two steps"),
        ({"pictures": "p.png"}, "--pictures takes FILE.png, and one trial"),
        ({"trial": "one", "pictures": "p.svg"}, "--pictures takes FILE.png"),
        ({"trial": "one", "pictures": "nowhere/p.png"}, "there is no folder"),
        ({"trial": "one", "pictures": "c.png"}, "--save and --pictures both name"),
    ],
)
def test_neither_file_is_written_where_one_is_impossible(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: dict[str, Any], message: str
) -> None:
    trials = [result("one", 0.5), result("bare", 0.4, pictures=False), result("short", 0.3, 1)]
    sweep_of(tmp_path, *trials)
    options["pictures"] = str(tmp_path / options["pictures"])
    with pytest.raises(RequestError, match=message):
        asked(tmp_path, capsys, save=str(tmp_path / "c.png"), **options)
    assert [file.name for file in tmp_path.iterdir()] == ["toy"]
    assert capsys.readouterr().out == ""


def test_a_chart_renders_on_a_console_without_wrapping() -> None:
    console = Console(width=80, file=io.StringIO())
    console.print(terminal_chart(chart_of(["a", "b"]), 80))
    assert console.file.getvalue().count("┌") == 1  # type: ignore[attr-defined]


def test_steps_are_read_of_no_more_trials_than_are_drawn(
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
