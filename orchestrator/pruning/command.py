"""Chooses the items that ``prune`` removes, prints them, and removes them with --yes."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Literal

from rich.console import Console
from rich.table import Table
from rich.text import Text

from orchestrator.pruning.facts import read_facts
from orchestrator.pruning.items import Inventory, Item, describe_users
from orchestrator.pruning.remove import remove
from results.redaction import redact
from results.tables.overview import format_when
from results.text import plural, print_line, size_text
from tasks.contract import RequestError

MAX_SHOWN = 40  # printed lines; further items are only counted


@dataclass(frozen=True, kw_only=True, slots=True)
class PruneRequest:
    """The options of ``prune``."""

    out: str
    names: Sequence[str] = ()  # full names; all sweeps if empty
    weights: bool = False
    checkpoints: bool = False
    stages: bool = False
    sweeps: bool = False
    cache: str | None = None
    older_than: tuple[str, float] | None = None  # as typed, and in seconds
    larger_than: tuple[str, int] | None = None  # as typed, and in bytes
    needed: bool = False  # also remove what other sweeps reuse or unfinished trials need
    yes: bool = False

    @property
    def has_kind(self) -> bool:
        """Whether the user chose a kind of item, such as --weights."""
        kinds = (self.weights, self.checkpoints, self.stages, self.sweeps)
        return any(kinds) or self.cache is not None

    def command(self, *more: str) -> str:
        """Return the command line of this request, with further options."""
        words = ["prune", *self.names]
        for option in ("weights", "checkpoints", "stages", "sweeps", "needed"):
            words += [f"--{option}"] if getattr(self, option) else []
        words += ["--cache", redact(self.cache)] if self.cache is not None else []
        words += ["--older-than", self.older_than[0]] if self.older_than else []
        words += ["--larger-than", self.larger_than[0]] if self.larger_than else []
        words += ["--out", redact(self.out)] if self.out != "runs" else []
        return f"`python -m orchestrator {shlex.join([*words, *more])}`"


@dataclass(frozen=True, kw_only=True)
class Selection:
    """The items to remove, and the chosen items that must stay."""

    removed: Sequence[Item]
    kept: Sequence[tuple[Item, str]]  # with the reason


@dataclass(frozen=True, kw_only=True)
class Pruned:
    """What ``prune`` removed or, without --yes, would remove, and what must stay."""

    items: Sequence[Item]
    kept: Sequence[tuple[Item, str]]  # with the reason
    were_removed: bool


def prune(request: PruneRequest) -> Pruned:
    """List what can be removed, or remove it with --yes.

    Raises:
        RequestError: if options contradict each other.
        StoreError: if something cannot be read or removed.
    """
    if request.yes and not request.has_kind:
        raise RequestError(
            "--yes requires a kind to remove: add --weights, --checkpoints, --stages, --sweeps or "
            "--cache DIR; without --yes, `prune` lists everything that can be removed"
        )
    if request.cache is not None and request.names:
        raise RequestError(
            "--cache removes stages of all sweeps, so it takes no names; remove the names, or run "
            "`prune` once for each"
        )
    selection = select(request)
    console = Console()
    _print_kept(selection.kept, console)
    if not selection.removed:
        print_line(console, "Nothing to remove.")
        return Pruned(items=(), kept=selection.kept, were_removed=request.yes)
    if not request.yes:
        _print_items(selection.removed, console)
        _print_next(request, console)
        return Pruned(items=selection.removed, kept=selection.kept, were_removed=False)
    removed: list[Item] = []
    kept = list(selection.kept)
    for item in selection.removed:
        left = remove(item)
        if left:
            kept.append((item, left.rstrip(".")))
        else:
            removed.append(item)
        print_line(console, left or f"Removed {_describe(item)}.", style="yellow" if left else "")
    print_line(console, f"{size_text(sum(item.size for item in removed))} removed.")
    return Pruned(items=removed, kept=kept, were_removed=True)


# --- the choice -----------------------------------------------------------------------------------


def select(request: PruneRequest, now: datetime | None = None) -> Selection:
    """Return the items that the request removes, and those that must stay."""
    now = now or datetime.now(UTC)
    inventory = Inventory(request.out, read_facts(request.out))
    chosen = [s for s in inventory.sweeps if not request.names or s.full in request.names]
    every = not request.has_kind
    removed: list[Item] = []
    kept: list[tuple[Item, str]] = []
    if request.sweeps or every:
        items = [i for i in inventory.whole_sweeps(chosen) if _matches(i, request, now)]
        removed, kept = _without_needed(items, inventory, request.needed)
    gone = {item.of for item in removed} if request.sweeps else set()
    rest = [sweep for sweep in chosen if sweep.full not in gone and sweep.has_manifest_file]
    orphans = not request.names
    more: list[Item] = []
    if request.weights or every:
        more += inventory.weights(rest, gone)
    if request.checkpoints or every:
        more += inventory.checkpoints(rest, orphans=orphans)
    if request.stages or every:
        more += inventory.stages(rest, orphans=orphans)
    if request.cache is not None:
        more += inventory.cached_stages(request.cache)
    for item in more:
        if not _matches(item, request, now):
            continue
        needed = "" if request.needed else item.needed
        reason = item.in_use or (f"{needed}; --needed removes them" if needed else "")
        if reason:
            kept.append((item, reason))
        else:
            removed.append(item)
    return Selection(removed=removed, kept=kept)


def _matches(item: Item, request: PruneRequest, now: datetime) -> bool:
    """Return whether the item is old and large enough. An item of unknown age is not old."""
    if request.older_than is not None:
        age = timedelta(seconds=request.older_than[1])
        if item.last_write is None or now - item.last_write < age:
            return False
    return request.larger_than is None or item.size > request.larger_than[1]


def _without_needed(
    items: Sequence[Item], inventory: Inventory, needed: bool
) -> tuple[list[Item], list[tuple[Item, str]]]:
    """Split whole sweeps into those to remove, and those that run or that a kept sweep reuses.

    Each sweep that is kept may reuse others, so the check repeats until nothing changes.
    """
    removed = list(items)
    kept: list[tuple[Item, str]] = []
    while True:
        names = {item.of for item in removed}
        stay = []
        for item in removed:
            assert item.sweep is not None
            users = {} if needed else inventory.users(item.sweep, names)
            reason = f"{describe_users(users)}; --needed removes it anyway" if users else ""
            if item.in_use or reason:
                stay.append((item, item.in_use or reason))
        if not stay:
            return removed, kept
        kept += stay
        removed = [item for item in removed if all(item is not one for one, _ in stay)]


# --- what is printed ------------------------------------------------------------------------------


def _describe(item: Item) -> str:
    if item.kind == "sweep":
        whole = item.sweep is None or item.sweep.has_manifest_file
        what = f"the sweep {item.of}" if whole else f"the rest of the sweep {item.of}"
    elif item.kind == "cached stage":
        what = item.of
    else:
        what = f"the {item.kind} of {item.of}" if item.of != "-" else f"{item.kind} of no sweep"
    return f"{what} ({plural(len(item.files), 'file')}, {size_text(item.size)})"


def _print_kept(kept: Sequence[tuple[Item, str]], console: Console) -> None:
    for item, reason in kept[:MAX_SHOWN]:
        print_line(console, f"Kept: {_describe(item)}: {reason}.")
    if len(kept) > MAX_SHOWN:
        print_line(console, f"Kept: {len(kept) - MAX_SHOWN} more items.")


def _print_items(items: Sequence[Item], console: Console) -> None:
    now = datetime.now(UTC)
    rows = []
    for item in items[:MAX_SHOWN]:
        when = item.last_write
        of = item.of if item.of != "-" else "no sweep"
        kind = item.kind
        if item.sweep is not None and not item.sweep.has_manifest_file:
            kind = "rest of a sweep"  # type: ignore[assignment]
        shown = format_when(None if when is None else when.astimezone(), now)
        rows.append([kind, of, str(len(item.files)), size_text(item.size), shown])
    view = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for heading in ("kind", "of", "files", "size", "last write"):
        justify: Literal["left", "right"] = "right" if heading in ("files", "size") else "left"
        view.add_column(heading, justify=justify, no_wrap=heading != "of", overflow="fold")
    for row in rows:
        view.add_row(*map(Text, row))
    console.print(view)
    if len(items) > MAX_SHOWN:
        print_line(console, f"{len(items) - MAX_SHOWN} more items are not listed.")


def _print_next(request: PruneRequest, console: Console) -> None:
    console.print(Text())
    if request.has_kind:
        print_line(console, "Nothing was removed. To remove these:")
        command = request.command("--yes")
    else:
        print_line(
            console,
            "Nothing was removed. Choose with --weights, --checkpoints, --stages or --sweeps, "
            "for example:",
        )
        command = replace(request, weights=True).command()
    console.print(Text(f"  {command.strip('`')}"), soft_wrap=True)
