"""Renders the list of trials, a trial's curve or log, and the line of keys."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from orchestrator.view.browser import Browser, ListedTrial
from results.figures.charts import Chart
from results.figures.terminal_chart import terminal_chart

ID_DIGITS = 8
MIN_ROWS = 3  # of the list in a small terminal
HEAD_LINES = 9  # of the panel above, and the lines below
#: The line of keys: the first one that fits.
KEYS = (
    "up/down select  enter curve  l log  s sort  / filter  p pause  x cancel  d detach  ? help",
    "j k select  c curve  l log  s sort  / filter  p pause  x cancel  d detach  ?",
    "? keys",
)
_HELP = (
    ("up, down, k, j", "select a trial; page up, page down, home, end"),
    ("enter, c", "show or hide its curve"),
    ("l", "show or hide its log, or that of the run"),
    ("s", "sort by start, metric or parameters"),
    ("/", "filter by status, parameters or id; escape clears it"),
    ("p", "pause or resume the sweep"),
    ("x", "cancel the selected trial"),
    ("escape, q", "go back"),
)
_OWN_HELP = (
    ("d", "continue in the background and return to the shell"),
    ("Ctrl-C", "stop the sweep; the same command resumes it"),
)
_ATTACHED_HELP = (("d, Ctrl-C", "stop watching; the sweep continues"),)


@dataclass(frozen=True, kw_only=True)
class Details:
    """Where the curve and the log of a trial come from."""

    metric: str  # label of the main metric
    step_unit: str
    curve: Callable[[str], Sequence[tuple[float, float]]]
    log: Callable[[str], Sequence[str]]
    is_attached: bool = False  # whether another process runs the sweep


def browser_view(
    browser: Browser, trials: Sequence[ListedTrial], details: Details, width: int, height: int
) -> RenderableType:
    """Render an open browser for a terminal of this size."""
    rows = browser.rows(trials)
    place = browser.selected(rows)
    room = max(MIN_ROWS, height - HEAD_LINES)
    parts: list[RenderableType] = []
    if browser.page == "help":
        parts.append(_help(details))
    elif place is None:
        parts.append(Text("no trial matches" if browser.filter else "no trial yet", style="dim"))
    elif browser.page == "curve":
        parts += _curve(rows[place], details, width, room)
    elif browser.page == "log":
        parts += _log(rows[place], details, width, room)
    else:
        parts.append(_table(rows, place, browser, details.metric, room, len(trials)))
    parts.append(footer(browser, width))
    return Group(*parts)


def footer(browser: Browser, width: int) -> Text:
    """Return the last line: a question, what is typed, the last message, or the keys."""
    if browser.asked:
        line = f"Cancel trial {browser.asked[:ID_DIGITS]}? y or n"
        return _line(line, width, "bold")
    if browser.is_typing:
        return _line(f"filter: {browser.filter}_", width, "bold")
    if browser.message:
        return _line(browser.message, width, "bold")
    return _line(next((keys for keys in KEYS if len(keys) < width), KEYS[-1]), width, "dim")


def _line(text: str, width: int, style: str) -> Text:
    line = Text(text, style=style, no_wrap=True)
    line.truncate(width, overflow="ellipsis")
    return line


def _help(details: Details) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    for key, meaning in (*_HELP, *(_ATTACHED_HELP if details.is_attached else _OWN_HELP)):
        table.add_row(Text(key, style="bold"), Text(meaning))
    return table


def _table(
    rows: Sequence[ListedTrial],
    place: int,
    browser: Browser,
    metric: str,
    room: int,
    total: int,
) -> RenderableType:
    """Render the rows around the selected one."""
    first = max(0, min(place - room // 2, len(rows) - room))
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for heading in ("trial", "status", metric, "parameters"):
        table.add_column(heading, no_wrap=True, overflow="ellipsis")
    for number, row in enumerate(rows[first : first + room], start=first):
        style = "reverse" if number == place else ""
        status = row.step if row.status == "running" and row.step else row.status
        cells = (row.trial_id[:ID_DIGITS], status, row.metrics, row.parameters)
        table.add_row(*map(Text, cells), style=style)
    shown = f"{place + 1} of {len(rows)}" + (f" ({total} in all)" if len(rows) < total else "")
    return Group(table, Text(f"{shown}, sorted by {browser.sort}", style="dim"))


def _curve(trial: ListedTrial, details: Details, width: int, room: int) -> list[RenderableType]:
    points = list(details.curve(trial.trial_id))
    if not points:
        return [_head(trial, width), Text("no step has been measured", style="dim")]
    chart = Chart(label=details.metric)
    chart.lines[details.metric] = points
    height = max(6, room - 1)
    return [_head(trial, width), terminal_chart(chart, min(width, 100), height, details.step_unit)]


def _log(trial: ListedTrial, details: Details, width: int, room: int) -> list[RenderableType]:
    lines = list(details.log(trial.trial_id))[-room:]
    if not lines:
        return [_head(trial, width), Text("the log is empty", style="dim")]
    return [_head(trial, width), *(_line(line, width, "") for line in lines)]


def _head(trial: ListedTrial, width: int) -> Text:
    line = f"{trial.trial_id[:ID_DIGITS]}  {trial.status}  {trial.parameters}"
    return _line(line, width, "bold")
