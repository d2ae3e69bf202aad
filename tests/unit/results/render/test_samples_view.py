"""Samples with images in the terminal: what is next to what, and that it fits."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageColor
from rich.cells import cell_len
from rich.console import Console
from screens import Screen
from sweeps_with_images import COLORS, write_both

from orchestrator.reports import show as show_module
from orchestrator.reports.show import show
from results.figures.graphics import Graphics, Protocol
from results.render.picture_cells import PICTURE_SIDE
from results.render.samples_view import samples_view
from results.storage.reading import Sweep
from tasks.contract import RequestError


@pytest.fixture(scope="module")
def sweeps(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Sweep]:
    return write_both(tmp_path_factory.mktemp("images"))


def load(image_id: str) -> bytes:
    """A square of the color that the id begins with; there is no gray one."""
    if image_id.startswith("gray"):
        raise RequestError("no gray")
    out = io.BytesIO()
    Image.new("RGB", (40, 20), image_id.split()[0]).save(out, format="PNG")
    return out.getvalue()


def printed(sweep: Sweep, width: int, *, color: bool = True) -> str:
    view = samples_view(sweep, sweep.rows()[0], load if color else None)
    console = Console(
        width=width, file=io.StringIO(), record=True, force_terminal=True, color_system="truecolor"
    )
    assert view is not None
    console.print(view)
    text = console.export_text()
    assert max(cell_len(line) for line in text.splitlines()) <= width
    return text


@pytest.mark.parametrize("width", [60, 80, 160])
def test_captions_are_next_to_their_image(sweeps: dict[str, Sweep], width: int) -> None:
    lines = printed(sweeps["captioning"], width).splitlines()
    starts = [n for n, line in enumerate(lines) if "cider_d" in line]
    assert len(starts) == len(COLORS)
    for start, color in zip(starts, COLORS, strict=True):
        assert lines[start].startswith("gray &" if color == "gray" else "▀" * PICTURE_SIDE)
        assert f"a {color} <b>" in lines[start + 1]


@pytest.mark.parametrize("width", [60, 80, 160])
def test_rankings_show_as_many_images_as_fit(sweeps: dict[str, Sweep], width: int) -> None:
    text = printed(sweeps["retrieval"], width)
    lines = text.splitlines()
    labels = next(line for line in lines if line.startswith("right image"))
    number = min(3, (width + 1) // (PICTURE_SIDE + 1))
    assert labels.split() == ["right", "image", "1", "2", "right"][: number + 2]
    pictures = lines[lines.index(labels) + 1]
    assert pictures.rstrip() == " ".join(["▀" * PICTURE_SIDE] * number)
    assert "an orange <i>field</i>" in text
    assert "2. a blue field (right)" in text


def test_images_are_drawn_in_their_colors(sweeps: dict[str, Sweep]) -> None:
    console = Console(width=80, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    sweep = sweeps["retrieval"]
    console.print(samples_view(sweep, sweep.rows()[0], load))
    drawn = console.file.getvalue()  # type: ignore[attr-defined]
    assert "38;2;255;165;0" in drawn  # orange, the right image
    assert "38;2;0;0;255" in drawn  # blue, ranked first


@pytest.mark.parametrize("protocol", ["kitty", "sixel"])
@pytest.mark.parametrize("task", ["captioning", "retrieval"])
def test_pixels_are_drawn_over_spaces(
    sweeps: dict[str, Sweep], task: str, protocol: Protocol
) -> None:
    graphics = Graphics(protocol=protocol, cell_width=9, cell_height=20)
    console = Console(width=50, file=io.StringIO(), force_terminal=True, color_system="256")
    sweep = sweeps[task]
    console.print(samples_view(sweep, sweep.rows()[0], load, graphics))
    screen = Screen().show(console.file.getvalue())  # type: ignore[attr-defined]
    places = [(column, image.size) for _, column, image in screen.pictures]
    size = (120, 60)  # three times 40 x 20
    if task == "captioning":
        shown = [name for name in COLORS if name != "gray"]
        assert places == [(0, size)] * len(shown)
    else:  # the right image and two others of a text, and the image of the other ranking
        shown = ["orange", "blue", "orange", "blue"]
        assert places == [(column, size) for column in (0, 15, 30, 0)]
    for name, (line, column, image) in zip(shown, screen.pictures, strict=True):
        color = np.array(image.convert("RGB").getpixel((0, 0)))
        assert np.abs(color - ImageColor.getrgb(name)).max() <= 2  # Sixel has percents
        assert screen.under(line, column, PICTURE_SIDE, PICTURE_SIDE // 2) == {" "}
        text = screen.under(line, PICTURE_SIDE, 50, 1)
        assert task == "retrieval" or text >= set("cider_d")


@pytest.mark.parametrize("task", ["captioning", "retrieval"])
def test_without_images_samples_are_a_table(sweeps: dict[str, Sweep], task: str) -> None:
    text = printed(sweeps[task], 120, color=False)
    assert "▀" not in text
    assert {"captioning": "caption", "retrieval": "direction"}[task] in text


def test_show_draws_no_picture_without_a_terminal(
    sweeps: dict[str, Sweep], capsys: pytest.CaptureFixture[str]
) -> None:
    sweep = sweeps["captioning"]
    show(sweep, sweep.rows()[0]["trial_id"], save=None, pictures=None)
    assert "▀" not in capsys.readouterr().out


def test_show_draws_the_images_of_the_data_set(
    sweeps: dict[str, Sweep], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    console = Console(width=80, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    monkeypatch.setattr(show_module, "Console", lambda: console)
    sweep = sweeps["captioning"]
    show(sweep, sweep.rows()[0]["trial_id"], save=None, pictures=None)
    assert "▀" in console.file.getvalue()  # type: ignore[attr-defined]
