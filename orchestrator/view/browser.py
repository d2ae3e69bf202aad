"""The list of trials that opens in the live view when the user presses a key.

A state machine: ``on_key`` changes the state, ``rows`` and ``selected`` describe it, and
``browser_view`` renders it. Nothing here reads the terminal.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

#: The orders of the list, in the order in which the key s goes through them.
SORTS = ("start", "metric", "parameters")
PAGE = 10  # trials that page-up and page-down move

Page = Literal["list", "curve", "log", "help"]


@dataclass(frozen=True, kw_only=True, slots=True)
class ListedTrial:
    """A trial of the list."""

    trial_id: str
    parameters: str
    status: str  # running, waiting, or that of an ended trial
    step: str = ""  # such as ``epoch 3/10``
    metrics: str = ""  # of the last step, formatted
    value: float | None = None  # of the main metric

    @property
    def can_be_cancelled(self) -> bool:
        """Whether the trial has not ended."""
        return self.status in ("running", "waiting")


@dataclass(frozen=True, kw_only=True)
class Actions:
    """What keys do to the sweep. Each returns a line for the user."""

    toggle_pause: Callable[[], str]
    cancel: Callable[[str], str]
    detach: Callable[[], str]


class Browser:
    """The state of the list: what is shown, sorted, filtered and selected."""

    def __init__(self, actions: Actions, *, maximize: bool) -> None:
        """``maximize`` is whether a higher main metric is better."""
        self._actions, self._maximize = actions, maximize
        self.page: Page = "list"
        self.is_open = False  # whether the list replaces the table of running trials
        self.is_typing = False  # a filter
        self.asked = ""  # the trial whose cancellation the user must confirm
        self.filter = ""
        self.sort = SORTS[0]
        self.message = ""  # of the last action
        self._selected = ""  # a trial's id
        self._place = 0  # of the selected trial, in case it leaves the list

    # --- the list ---------------------------------------------------------------------------------

    def rows(self, trials: Sequence[ListedTrial]) -> list[ListedTrial]:
        """Return the trials that match the filter, in the chosen order."""
        words = self.filter.lower().split()
        shown = [trial for trial in trials if all(word in _text(trial) for word in words)]
        if self.sort == "metric":
            return sorted(shown, key=self._rank)
        return sorted(shown, key=lambda t: t.parameters) if self.sort == "parameters" else shown

    def selected(self, rows: Sequence[ListedTrial]) -> int | None:
        """Return the index of the selected trial; None if there are no rows.

        If it has left the list, the trial at its place is selected.
        """
        if not rows:
            return None
        found = next((n for n, row in enumerate(rows) if row.trial_id == self._selected), None)
        return min(self._place, len(rows) - 1) if found is None else found

    def _rank(self, trial: ListedTrial) -> float:
        if trial.value is None or math.isnan(trial.value):
            return math.inf
        return -trial.value if self._maximize else trial.value

    # --- keys -------------------------------------------------------------------------------------

    def on_key(self, key: str, trials: Sequence[ListedTrial]) -> None:
        """Do what a key means now."""
        if self.is_typing:
            self._type(key)
            return
        rows = self.rows(trials)
        place = self.selected(rows)
        if self.asked:
            confirmed = key in ("y", "Y")
            self.message = self._actions.cancel(self.asked) if confirmed else "not cancelled"
            self.asked = ""
            return
        self.message = ""
        if key == "p":
            self.message = self._actions.toggle_pause()
        elif key == "d":
            self.message = self._actions.detach()
        elif key in ("escape", "q"):
            self._go_back()
        elif key == "s":
            self._open("list")
            self.sort = SORTS[(SORTS.index(self.sort) + 1) % len(SORTS)]
        elif key == "/":
            self._open("list")
            self.is_typing, self.filter = True, ""
        elif key == "?":
            self._toggle("help")
        elif key in ("enter", "c"):
            self._toggle("curve")
        elif key == "l":
            self._toggle("log")
        elif key == "x":
            self._ask_to_cancel(rows, place)
        else:
            self._move(key, rows, place)

    def _type(self, key: str) -> None:
        if key == "enter":
            self.is_typing = False
        elif key == "escape":
            self.is_typing, self.filter = False, ""
        elif key == "backspace":
            self.filter = self.filter[:-1]
        elif len(key) == 1:
            self.filter += key

    def _open(self, page: Page) -> None:
        self.is_open, self.page = True, page

    def _toggle(self, page: Page) -> None:
        self._open("list" if self.page == page else page)

    def _go_back(self) -> None:
        if self.page != "list":
            self.page = "list"
        elif self.filter:
            self.filter = ""
        else:
            self.is_open = False

    def _ask_to_cancel(self, rows: Sequence[ListedTrial], place: int | None) -> None:
        self._open(self.page)
        if place is None:
            self.message = "no trial is selected"
        elif not rows[place].can_be_cancelled:
            self.message = f"the trial has ended: {rows[place].status}"
        else:
            self._selected = self.asked = rows[place].trial_id

    def _move(self, key: str, rows: Sequence[ListedTrial], place: int | None) -> None:
        """Select another trial. The first key only opens the list."""
        moves = {"up": -1, "k": -1, "down": 1, "j": 1, "page-up": -PAGE, "page-down": PAGE}
        if key not in (*moves, "home", "end"):
            return
        was_open = self.is_open
        self._open(self.page)
        if place is None:
            return
        if was_open:
            last = len(rows) - 1
            ends = {"home": 0, "end": last}
            place = ends[key] if key in ends else max(0, min(last, place + moves[key]))
        self._selected, self._place = rows[place].trial_id, place


def _text(trial: ListedTrial) -> str:
    return f"{trial.status} {trial.parameters} {trial.trial_id}".lower()
