"""Groups files into items that can be removed, and finds out which items are needed."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Literal

import pyarrow.fs

from orchestrator.pruning.facts import SweepFacts
from orchestrator.saving.checkpoints import Checkpoints, InterruptedTrial
from results.redaction import redact
from results.storage.atomic_write import TEMPORARY_PATTERN
from results.storage.filesystem import open_filesystem
from results.storage.folder_files import last_write, list_files, num_bytes
from results.text import plural

Kind = Literal["sweep", "weights", "checkpoints", "stages", "cached stage"]
_STAGE = re.compile(rf"[0-9a-f]{{16}}\.(safetensors|arrow)({TEMPORARY_PATTERN})?")
_CHECKPOINT = re.compile(rf"[0-9a-f]{{16}}\.safetensors({TEMPORARY_PATTERN})?")


@dataclass(frozen=True, kw_only=True)
class Item:
    """Files that are listed, kept or removed together."""

    kind: Kind
    of: str  # its sweep, task/name; the path of a cached stage; "-" if no sweep needs it
    filesystem: pyarrow.fs.FileSystem
    files: Sequence[pyarrow.fs.FileInfo]
    sweep: SweepFacts | None = None
    in_use: str = ""  # why it must stay in any case
    needed: str = ""  # why it stays without --needed

    @property
    def size(self) -> int:
        """The size in bytes."""
        return num_bytes(self.files)

    @property
    def last_write(self) -> datetime | None:
        """When the last of its files was written."""
        if self.kind == "sweep" and self.sweep is not None:
            return self.sweep.last_write
        return last_write(self.files)


class Inventory:
    """All items under a results folder."""

    def __init__(self, out: str, sweeps: Sequence[SweepFacts]) -> None:
        self._out, self.sweeps = out, sweeps
        self._filesystem, self._base = open_filesystem(out)
        self._active = [sweep for sweep in sweeps if sweep.activity != "no"]

    # --- what must stay ---------------------------------------------------------------------------

    def _in_use(self, sweep: SweepFacts | None, *, by_others: bool = True) -> str:
        """Return why a sweep must stay: it is running, or another running sweep may need it."""
        if sweep is None:
            return ""
        if sweep.activity == "running":
            return "it is running"
        if sweep.activity == "perhaps":
            return "it may be running: it wrote within the last hour and has not recorded its end"
        if by_others:
            for other in self._active:
                if other.task == sweep.task:
                    return f"{other.full} may be running, and may reuse its trials"
        return ""

    # --- items ------------------------------------------------------------------------------------

    def whole_sweeps(self, chosen: Iterable[SweepFacts]) -> list[Item]:
        """Return an item for each sweep, with everything that it stores."""
        items = []
        for sweep in chosen:
            after = dict(self._owners(removed=sweep.full))
            own = [f for f, owner in self._owners() if owner == sweep.full and not after[f]]
            searched = list_files(self._filesystem, self._folder(".checkpoints", sweep))
            files = [
                *sweep.files,
                *self._stage_files(sweep),
                *{f.path: f for f in (*searched, *own)}.values(),
            ]
            item = Item(
                kind="sweep",
                of=sweep.full,
                filesystem=self._filesystem,
                files=files,
                sweep=sweep,
                in_use=self._in_use(sweep),
            )
            items.append(item)
        return items

    def weights(self, chosen: Iterable[SweepFacts], removed: Collection[str]) -> list[Item]:
        """Return the kept weights of each sweep. Those that other sweeps use are a separate item.

        ``removed`` are the full names of sweeps that will be removed.
        """
        items = []
        for sweep in chosen:
            folder = f"{sweep.path}/weights/"
            files = [info for info in sweep.files if info.path.startswith(folder)]
            users = self.users(sweep, removed, weights=True)
            used = set().union(*users.values()) if users else set()
            parts: list[tuple[str, list[pyarrow.fs.FileInfo]]] = [
                ("", [f for f in files if f.base_name.partition(".")[0] not in used]),
                (
                    f"reused by {', '.join(sorted(users))}",
                    [f for f in files if f.base_name.partition(".")[0] in used],
                ),
            ]
            for needed, part in parts:
                if part:
                    items.append(self._item("weights", sweep, part, needed))
        return items

    def users(
        self, sweep: SweepFacts, removed: Collection[str], *, weights: bool = False
    ) -> dict[str, set[str]]:
        """Return the ids of this sweep's trials that other sweeps reuse, by their full names."""
        found = {}
        for other in self.sweeps:
            if other is sweep or other.full in removed:
                continue
            ids = other.reuses(sweep)
            if weights:
                ids = (ids & sweep.kept_weights) - other.kept_weights
            if ids:
                found[other.full] = ids
        return found

    def stages(self, chosen: Collection[SweepFacts], *, orphans: bool) -> list[Item]:
        """Return the stage values of each sweep, and with ``orphans`` those of no sweep."""
        items = [
            self._item("stages", sweep, files, by_others=False)
            for sweep in chosen
            if (files := self._stage_files(sweep))
        ]
        if orphans:
            known = tuple(f"{self._folder('.stages', sweep)}/" for sweep in self.sweeps)
            every = list_files(self._filesystem, f"{self._base}/.stages")
            left = [
                f for f in every if not f.path.startswith(known) and _STAGE.fullmatch(f.base_name)
            ]
            if left:
                items.append(self._item("stages", None, left))
        return items

    def cached_stages(self, cache: str) -> list[Item]:
        """Return an item for every stage value in a ``--cache`` folder."""
        filesystem, folder = open_filesystem(cache)
        in_use = f"{self._active[0].full} may be running, and may read it" if self._active else ""
        return [
            Item(
                kind="cached stage",
                of=f"{redact(cache).rstrip('/')}/{info.base_name}",
                filesystem=filesystem,
                files=[info],
                in_use=in_use,
            )
            for info in list_files(filesystem, folder, recursive=False)
            if _STAGE.fullmatch(info.base_name)
        ]

    def checkpoints(self, chosen: Collection[SweepFacts], *, orphans: bool) -> list[Item]:
        """Return the checkpoints that each sweep needs, and with ``orphans`` those of no sweep."""
        groups: dict[str, list[pyarrow.fs.FileInfo]] = {}
        for info, owner in self._owners():
            groups.setdefault(owner, []).append(info)
        wanted = {sweep.full: sweep for sweep in chosen}
        items = []
        for owner, files in sorted(groups.items()):
            if owner in wanted:
                needed = "their trials are not finished"
                sweep = wanted[owner]
                items.append(self._item("checkpoints", sweep, files, needed, by_others=False))
            elif owner == "" and orphans:
                items.append(self._item("checkpoints", None, files))
        return items

    # --- helpers ----------------------------------------------------------------------------------

    def _item(
        self,
        kind: Kind,
        sweep: SweepFacts | None,
        files: Sequence[pyarrow.fs.FileInfo],
        needed: str = "",
        *,
        by_others: bool = True,
    ) -> Item:
        return Item(
            kind=kind,
            of=sweep.full if sweep else "-",
            filesystem=self._filesystem,
            files=files,
            sweep=sweep,
            in_use=self._in_use(sweep, by_others=by_others),
            needed=needed,
        )

    def _folder(self, kind: str, sweep: SweepFacts) -> str:
        return f"{self._base}/{kind}/{sweep.task}/{sweep.name}"

    def _stage_files(self, sweep: SweepFacts) -> list[pyarrow.fs.FileInfo]:
        return list_files(self._filesystem, self._folder(".stages", sweep))

    # --- owners of checkpoints --------------------------------------------------------------------

    @cached_property
    def _checkpoints(self) -> list[pyarrow.fs.FileInfo]:
        every = list_files(self._filesystem, f"{self._base}/.checkpoints")
        return [info for info in every if _CHECKPOINT.fullmatch(info.base_name)]

    @cached_property
    def _headers(self) -> dict[str, InterruptedTrial]:
        """The headers of the checkpoints of grids and reports, by trial id."""
        at = self._out.rstrip("/")
        return {one.trial_id: one for one in Checkpoints(f"{at}/.checkpoints").interrupted_trials()}

    def _owners(self, removed: str = "") -> list[tuple[pyarrow.fs.FileInfo, str]]:
        """Return each checkpoint with the full name of the sweep that needs it, or "".

        ``removed`` is the full name of a sweep to ignore. Each search has its own folder of
        checkpoints. Grids and reports share one folder.
        """
        sweeps = [sweep for sweep in self.sweeps if sweep.full != removed]
        ended = {
            row["trial_id"]
            for sweep in sweeps
            for row in sweep.rows
            if row["status"] in ("finished", "failed", "cancelled")
        }
        root, found = f"{self._base}/.checkpoints/", []
        for info in self._checkpoints:
            trial_id = info.base_name.partition(".")[0]
            folder = info.path.removeprefix(root).rpartition("/")[0]
            possible = [sweep for sweep in sweeps if folder in ("", sweep.full)]
            owner = "" if trial_id in ended else self._owner(trial_id, possible, bool(folder))
            found.append((info, owner))
        return found

    def _owner(self, trial_id: str, possible: Sequence[SweepFacts], is_search: bool) -> str:
        statuses = {
            sweep.full: next((r["status"] for r in sweep.rows if r["trial_id"] == trial_id), None)
            for sweep in possible
        }
        unfinished = ("interrupted",) if is_search else ("interrupted", "stopped")
        for full, status in statuses.items():
            if status in unfinished:
                return full
        if is_search:
            return next((full for full, status in statuses.items() if status is None), "")
        header = self._headers.get(trial_id)
        if header is None:
            return ""  # damaged, so its trial starts from the beginning in any case
        for sweep in possible:  # the trial has no row: its run was killed, or is running
            params = sweep.manifest.params if sweep.manifest else {}
            same_task = set(params) == set(header.params)
            if same_task and (sweep.is_unfinished or sweep.activity != "no"):
                return sweep.full
        return ""


def describe_users(users: Mapping[str, set[str]]) -> str:
    """Describe which sweeps reuse how many trials."""
    return ", ".join(f"{name} reuses {plural(len(ids), 'trial')}" for name, ids in users.items())
