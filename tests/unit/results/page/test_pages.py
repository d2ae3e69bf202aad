"""Pages show the terminal's cells, escape what they show, and link what exists."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path

import pytest
from page_sweeps import FAILED, write_sweep
from paths import STORED

from results.export.cells import columns_of
from results.page.compare_page import compare_page
from results.page.file_page import file_page
from results.page.links import ServedLinks
from results.page.progress import duration_text, seconds_left
from results.page.selection import Selection
from results.page.sweep_page import sweep_page
from results.page.trial_page import trial_page
from results.render.claims_table import claims_table
from results.render.show import find_trial
from results.storage.folder_files import sweep_files
from results.storage.reading import Sweep, read_sweep
from results.tables.overview import Overview, overview_of
from results.tables.summary import summarize

NOW = datetime(2026, 1, 1, 0, 1, tzinfo=UTC)
LINKS = ServedLinks()


class Tables(HTMLParser):
    """The cells of each table of a page by the table's id, and its other texts and links."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tables: dict[str, list[list[str]]] = {}
        self.links: list[str] = []
        self._rows: list[list[str]] = []
        self._in_cell = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "table":
            self._rows = self.tables.setdefault(str(given["id"]), [])
        elif tag == "tr":
            self._rows.append([])
        elif tag in ("td", "th"):
            self._rows[-1].append("")
            self._in_cell = True
        elif tag == "a":
            self.links.append(str(given["href"]))

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th"):
            self._in_cell = False

    def handle_data(self, data: str) -> None:
        if self._in_cell:
            self._rows[-1][-1] += data


def overview(sweep: Sweep) -> Overview:
    files = sweep_files(sweep.root, sweep.manifest.task, sweep.manifest.name)
    return overview_of(sweep, files, NOW)


def page_of(sweep: Sweep, selection: Selection | None = None) -> str:
    return sweep_page(sweep, overview(sweep), selection or Selection(), LINKS, NOW)


@pytest.fixture
def sweep(tmp_path: Path) -> Sweep:
    return write_sweep(str(tmp_path))


@pytest.fixture
def stored() -> Sweep:
    return read_sweep(str(STORED), "toy", "stored")


def test_result_tables_have_the_cells_of_the_terminal(stored: Sweep) -> None:
    shown = Tables(page_of(stored)).tables
    tables = summarize(stored)
    assert len(tables) == 2
    for number, table in enumerate(tables, start=1):
        heading, *rows = shown[f"table-{number}"]
        columns = columns_of(table)
        assert heading[1:] == [column.heading for column in columns]
        cells = [list(each) for each in zip(*(column.cells for column in columns), strict=True)]
        assert [row[1:] for row in rows] == cells
        assert any(cell.startswith("★") for row in rows for cell in row)
    claims = claims_table(stored)
    assert claims is not None
    assert shown["table-3"][1:] == claims.rows


def test_the_head_has_the_label_of_the_main_metric(tmp_path: Path) -> None:
    metric = {"name": "r1", "label": "image-to-text R@1", "direction": "maximize"}
    sweep = write_sweep(str(tmp_path), metric=metric)
    head = page_of(sweep).partition('id="tables"')[0]
    assert "best image-to-text R@1 90.50." in " ".join(head.split())


def test_trials_are_filtered_sorted_and_linked(sweep: Sweep) -> None:
    selection = Selection(filters={"param.loss": "siglip"}, sort="-metric.r1")
    page = page_of(sweep, selection)
    found = Tables(page)
    heading, *rows = found.tables["trials"]
    assert heading == ["trial", "lr", "loss", "seed", "status", "R@1 % ↓", "s"]
    scores = [row[5] for row in rows]
    assert scores == sorted(scores, reverse=True)
    assert {row[2] for row in rows} == {"siglip"}
    assert "6 of 12 trials" in page
    linked = {link for link in found.links if "/trials/" in link}
    assert all(find_trial(sweep, link.rpartition("/")[2]) for link in linked)
    assert len(linked) >= 6


def test_long_lists_have_pages(sweep: Sweep, monkeypatch: pytest.MonkeyPatch) -> None:
    from results.page.trials import trials_part

    first = trials_part(sweep, Selection(), LINKS, max_rows=5)
    last = trials_part(sweep, Selection(page=3), LINKS, max_rows=5)
    beyond = trials_part(sweep, Selection(page=9), LINKS, max_rows=5)
    assert (first.previous, first.next) == ("", "?page=2")
    assert (last.previous, last.next) == ("?page=2", "")
    assert [len(part.table.rows) for part in (first, last, beyond)] == [5, 2, 2]


def test_what_results_hold_is_escaped(sweep: Sweep) -> None:
    failed = find_trial(sweep, FAILED)
    for page in (page_of(sweep), trial_page(sweep, failed, LINKS)):
        assert "<b>out of memory" not in page
        assert "&lt;b&gt;out of memory" in page
        assert "<script>alert" not in page


def test_a_trial_has_parameters_steps_samples_and_other_seeds(sweep: Sweep) -> None:
    row = find_trial(sweep, "0000000000000000")
    page = trial_page(sweep, row, LINKS)
    found = Tables(page)
    steps = found.tables[f"steps-{row['trial_id']}"]
    assert steps[0] == ["epoch", "R@1 %", "speed", "s"]
    assert [line[0] for line in steps[1:]] == ["1", "2", "3", "4", "5"]
    assert len(found.tables[f"samples-1-{row['trial_id']}"]) == 11
    assert "/sweeps/toy/s/trials/0000000000000001" in found.links


def test_pictures_are_inside_the_page(tmp_path: Path) -> None:
    sweep = write_sweep(str(tmp_path), pictures=True)
    page = trial_page(sweep, find_trial(sweep, "0000000000000000"), LINKS)
    assert page.count('src="data:image/png;base64,') == 10


def test_a_comparison_has_each_sweep_beside_the_first(tmp_path: Path) -> None:
    sweeps = [write_sweep(str(tmp_path), name) for name in ("one", "two", "three")]
    page = compare_page(sweeps, LINKS)
    assert "one and two" in page
    assert "one and three" in page
    assert "= 6 configurations" not in page
    assert "6 configurations in both" in page


def test_a_file_loads_nothing_and_its_links_lead_somewhere(sweep: Sweep) -> None:
    page = file_page(sweep, overview(sweep), NOW)
    before, _, _ = page.partition("<script>/*")  # before Plotly's own text
    assert not re.findall(r"<(?:script|img|iframe|link)[^>]+(?:src|href)=\"(?!data:)", before)
    found = Tables(before)
    for link in found.links:
        assert link.startswith("#"), link
        assert f'id="{link[1:]}"' in page, link
    assert len(found.tables["trials"]) == 13


def test_the_time_left_is_the_pace_so_far(sweep: Sweep) -> None:
    rows = sweep.rows()[:6]
    seconds = seconds_left(sweep.manifest, rows, NOW)
    assert seconds == pytest.approx(60 / 6 * 6)
    assert seconds_left(sweep.manifest, [], NOW) is None
    late = [{**row, "ended": NOW - timedelta(days=2)} for row in rows]
    assert seconds_left(sweep.manifest, late, NOW) is None  # an earlier run made them


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (99, "99 s"), (600, "10 min"), (7200, "2.0 h")]
)
def test_durations(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text
