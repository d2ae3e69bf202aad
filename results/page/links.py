"""Where the links of a page lead: to other pages of a server, or within one file."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote


@dataclass(frozen=True)
class ServedLinks:
    """Links between the pages of ``orchestrator serve``."""

    def sweeps(self) -> str:
        """Return the address of the list of sweeps."""
        return "/"

    def sweep(self, task: str, name: str) -> str:
        """Return the address of a sweep."""
        return f"/sweeps/{quote(task)}/{quote(name)}"

    def trial(self, task: str, name: str, trial_id: str) -> str:
        """Return the address of a trial."""
        return f"{self.sweep(task, name)}/trials/{quote(trial_id)}"


@dataclass(frozen=True)
class FileLinks:
    """Links within one file, which holds one sweep and some of its trials."""

    trial_ids: frozenset[str]

    def sweeps(self) -> str:
        """Return nothing: the file has no list of sweeps."""
        return ""

    def sweep(self, task: str, name: str) -> str:
        """Return the address of the top of the page."""
        return "#main"

    def trial(self, task: str, name: str, trial_id: str) -> str:
        """Return the address of the trial's section; empty if the file has none."""
        return f"#trial-{trial_id}" if trial_id in self.trial_ids else ""


Links = ServedLinks | FileLinks
