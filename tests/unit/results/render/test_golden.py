"""What every table looks like at 60, 80, 120 and 160 columns.

After a change that is meant, write the files again with
``python -m tests.golden``, and read the difference.
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
def test_a_table_looks_as_it_did(name: str, make: Callable[[], RenderableType]) -> None:
    path = FOLDER / f"{name}.txt"
    expected = path.read_text() if path.exists() else ""
    lines = (snapshot(make()).splitlines(), expected.splitlines())
    changes = list(difflib.unified_diff(lines[1], lines[0], "golden", "now", lineterm="", n=1))
    assert not changes, "\n".join(["python -m tests.golden writes it again:", *changes[:60]])


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.txt")), ids=lambda path: path.stem)
def test_no_line_is_too_wide_and_nothing_is_cut(path: object) -> None:
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


def test_a_terminal_of_another_width_is_none_of_the_snapshots() -> None:
    make = dict(VIEWS)["retrieval-seeds"]
    assert max(map(cell_len, printed(make(), 50).splitlines())) <= 50
