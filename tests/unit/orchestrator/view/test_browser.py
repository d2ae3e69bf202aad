"""Keys in the live view: the state of the list of trials, and how it is shown."""

from __future__ import annotations

import io

import pytest
from rich.console import Console, RenderableType

from orchestrator.view.browser import Actions, Browser, ListedTrial
from orchestrator.view.browser_view import Details, browser_view, footer
from orchestrator.view.keys import split_keys

TRIALS = [
    ListedTrial(trial_id="aaaa0000", parameters="lr=2", status="running", step="epoch 2/9"),
    ListedTrial(trial_id="bbbb0000", parameters="lr=1", status="waiting"),
    ListedTrial(trial_id="cccc0000", parameters="lr=3", status="finished", value=0.5),
    ListedTrial(trial_id="dddd0000", parameters="lr=4", status="failed"),
    ListedTrial(trial_id="eeee0000", parameters="lr=5", status="finished", value=0.7),
]


class Case:
    def __init__(self, *, maximize: bool = True) -> None:
        self.done: list[str] = []
        actions = Actions(
            toggle_pause=lambda: self._do("pause"),
            cancel=lambda trial_id: self._do(f"cancel {trial_id}"),
            detach=lambda: self._do("detach"),
        )
        self.browser = Browser(actions, maximize=maximize)
        self.trials = TRIALS

    def _do(self, what: str) -> str:
        self.done.append(what)
        return f"did {what}"

    def press(self, *keys: str) -> None:
        for key in keys:
            self.browser.on_key(key, self.trials)

    def ids(self) -> str:
        """The first letters of the trials in the list."""
        return "".join(row.trial_id[0] for row in self.browser.rows(self.trials))

    def selected(self) -> str:
        rows = self.browser.rows(self.trials)
        place = self.browser.selected(rows)
        return "" if place is None else rows[place].trial_id[0]

    def shown(self, width: int = 80, height: int = 20) -> list[str]:
        details = Details(
            metric="accuracy",
            step_unit="epoch",
            curve=lambda trial_id: [(1, 0.1), (2, 0.4)] if trial_id[0] == "a" else [],
            log=lambda trial_id: [f"line {n} of {trial_id}" for n in range(99)],
        )
        return lines(browser_view(self.browser, self.trials, details, width, height), width)


def lines(shown: RenderableType, width: int = 80) -> list[str]:
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
    with console.capture() as captured:
        console.print(shown)
    found = [line.rstrip() for line in captured.get().splitlines()]
    assert all(len(line) <= width for line in found)
    return found


# --- the state ------------------------------------------------------------------------------------


def test_first_key_opens_the_list_and_others_move() -> None:
    case = Case()
    assert not case.browser.is_open
    case.press("down")
    assert case.browser.is_open
    assert case.selected() == "a"
    case.press("down", "j")
    assert case.selected() == "c"
    case.press("k")
    assert case.selected() == "b"
    case.press("end", "down")
    assert case.selected() == "e"
    case.press("home", "up")
    assert case.selected() == "a"
    case.press("page-down")
    assert case.selected() == "e"
    case.press("escape")
    assert not case.browser.is_open


def test_selection_follows_its_trial_or_stays_at_its_place() -> None:
    case = Case()
    case.press("down", "down", "down")
    assert case.selected() == "c"
    case.trials = [TRIALS[2], *TRIALS[:2], *TRIALS[3:]]
    assert case.selected() == "c"
    case.trials = [TRIALS[0], TRIALS[1], *TRIALS[3:]]
    assert case.selected() == "d"
    case.trials = []
    assert case.selected() == ""
    case.press("down", "enter", "x", "l", "s")


@pytest.mark.parametrize(("maximize", "order"), [(True, "ecabd"), (False, "ceabd")])
def test_sorts_by_metric_with_the_best_first(maximize: bool, order: str) -> None:
    case = Case(maximize=maximize)
    case.press("s")
    assert case.ids() == order
    case.press("s")
    assert case.ids() == "bacde"  # by parameters
    case.press("s")
    assert case.ids() == "abcde"


def test_filter_is_typed_and_cleared() -> None:
    case = Case()
    case.press("/", *"finished", "enter")
    assert case.ids() == "ce"
    case.press("/", *"lr=5q", "backspace", "enter")  # q and s are letters here
    assert case.ids() == "e"
    case.press("escape")
    assert case.browser.is_open
    assert case.ids() == "abcde"
    case.press("/", *"cccc0", "escape")
    assert case.ids() == "abcde"


def test_cancel_asks_first_and_only_for_unfinished_trials() -> None:
    case = Case()
    case.press("down", "x", "n")
    assert case.done == []
    assert case.browser.message == "not cancelled"
    case.press("down", "x", "y")
    assert case.done == ["cancel bbbb0000"]
    case.press("down", "x")
    assert not case.browser.asked
    assert case.browser.message == "the trial has ended: finished"


def test_cancel_is_for_the_trial_that_was_asked_about() -> None:
    case = Case()
    case.press("x")
    case.trials = [TRIALS[1]]  # it has ended meanwhile and left the list
    assert case.shown()[-1] == "Cancel trial aaaa0000? y or n"
    case.press("y")
    assert case.done == ["cancel aaaa0000"]


def test_pause_and_detach_call_their_actions() -> None:
    case = Case()
    case.press("p", "d")
    assert case.done == ["pause", "detach"]
    assert case.browser.message == "did detach"
    assert not case.browser.is_open


# --- what is shown --------------------------------------------------------------------------------


def test_pages() -> None:
    case = Case()
    case.press("down")
    table = case.shown()
    assert table[0].split() == ["trial", "status", "accuracy", "parameters"]
    assert table[1].split() == ["aaaa0000", "epoch", "2/9", "lr=2"]
    assert "1 of 5, sorted by start" in table
    case.press("enter")
    assert any("⠑" in line or "⠒" in line or "⣀" in line for line in case.shown())
    case.press("down")
    assert "no step has been measured" in case.shown()
    case.press("l")
    assert case.shown()[-2] == "line 98 of bbbb0000"
    assert len(case.shown(height=12)) < 12
    case.press("?")
    assert any("cancel the selected trial" in line for line in case.shown())
    case.press("q", "/", *"none", "enter")
    assert case.shown()[0] == "no trial matches"


def test_long_lists_show_the_rows_around_the_selected_one() -> None:
    case = Case()
    case.trials = [
        ListedTrial(trial_id=f"{n:08d}", parameters=f"n={n}", status="running") for n in range(100)
    ]
    case.press("down", *["page-down"] * 5)
    shown = case.shown(height=16)
    assert len(shown) < 16
    assert any(line.startswith("00000050") for line in shown)


def test_footer() -> None:
    case = Case()
    assert "? help" in footer(case.browser, 100).plain
    assert footer(case.browser, 80).plain.endswith("x cancel  d detach  ?")
    assert footer(case.browser, 40).plain == "? keys"
    case.press("/", "a")
    assert footer(case.browser, 80).plain == "filter: a_"
    case.press("enter", "x")
    assert footer(case.browser, 80).plain == "Cancel trial aaaa0000? y or n"


# --- keys and curves ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("", []),
        ("jk", ["j", "k"]),
        ("\x1b[A\x1b[B", ["up", "down"]),
        ("\x1bOA", ["up"]),
        ("\x1b", ["escape"]),
        ("\x1b[5~x", ["page-up", "x"]),
        ("\r\n\x7f", ["enter", "enter", "backspace"]),
        ("\x1b[24~", []),  # F12
        ("\x00é", ["é"]),
    ],
)
def test_split_keys(text: str, keys: list[str]) -> None:
    assert split_keys(text) == keys
