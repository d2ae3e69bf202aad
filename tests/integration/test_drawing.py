"""Layout and text of drawn figures."""

from __future__ import annotations

import pytest
from drawn_charts import LONG, chart_of, drawn

from results.figures.drawing import PLOT_HEIGHT, draw, figure_of


@pytest.mark.parametrize("number", [1, 2, 5, 8])
@pytest.mark.parametrize("length", [3, 40, 70, 340])
def test_plot_size_does_not_depend_on_the_legend(number: int, length: int) -> None:
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


def test_long_note_is_wrapped_within_the_page() -> None:
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
def test_axis_labels_stay_on_the_page(value: float) -> None:
    figure = drawn(chart_of(["a"], (value, value * 1.5)))
    box = figure.axes[0].get_tightbbox()
    assert box is not None
    assert box.x0 >= 0


def test_equal_charts_give_equal_files() -> None:
    chart = chart_of(["a", "b"], title="toy/s")
    for form in ("png", "svg"):
        assert draw([chart], "epoch", form) == draw([chart], "epoch", form)


def test_any_text_is_drawn_unchanged_and_without_warnings(
    recwarn: pytest.WarningsRecorder, capfd: pytest.CaptureFixture[str]
) -> None:
    names = ["_hidden", "$x^2", "一个提示", "a\\frac{1}{2}$", "🐈"]
    chart = chart_of(names, title="$toy_{/s", notes=["$\\alpha", "%d {} \\n"])
    figure = figure_of([chart], "a $ epoch")
    assert [text.get_text().strip() for text in figure.legends[0].get_texts()] == names
    assert draw([chart], "a $ epoch", "png")
    assert not recwarn.list
    assert capfd.readouterr() == ("", "")
