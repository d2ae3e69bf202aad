"""Snapshots of every table at 60, 80, 120 and 160 columns.

After an intended change, write them again with ``python -m tests.golden``, and read the diff.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable

import pytest
from golden_views import FOLDER, WIDTHS, printed, snapshot, views
from rich.cells import cell_len
from rich.console import RenderableType

VIEWS = list(views())


@pytest.mark.parametrize(("name", "make"), VIEWS, ids=[name for name, _ in VIEWS])
def test_table_matches_its_snapshot(name: str, make: Callable[[], RenderableType]) -> None:
    path = FOLDER / f"{name}.txt"
    expected = path.read_text() if path.exists() else ""
    lines = (snapshot(make()).splitlines(), expected.splitlines())
    changes = list(difflib.unified_diff(lines[1], lines[0], "golden", "now", lineterm="", n=1))
    assert not changes, "\n".join(["python -m tests.golden writes it again:", *changes[:60]])


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.txt")), ids=lambda path: path.stem)
def test_snapshot_lines_fit_and_are_not_truncated(path: object) -> None:
    width = 0
    assert hasattr(path, "read_text")
    for line in path.read_text().splitlines():
        if line.startswith("====="):
            width = int(line.split()[1])
        assert cell_len(line) <= width, line
        assert "…" not in line
    assert width == WIDTHS[-1]


def test_every_snapshot_has_a_view() -> None:
    assert {path.stem for path in FOLDER.glob("*.txt")} == {name for name, _ in VIEWS}


def test_table_fits_a_width_without_a_snapshot() -> None:
    make = dict(VIEWS)["retrieval-seeds"]
    assert max(map(cell_len, printed(make(), 50).splitlines())) <= 50
