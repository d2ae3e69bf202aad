"""Where the links of a page lead: to other pages of a server, or within one file."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote


@dataclass(frozen=True)
class ServedLinks:
    """Links between the pages of ``orchestrator serve``."""

    def sweeps(self) -> str:
        """The list of sweeps."""
        return "/"

    def sweep(self, task: str, name: str) -> str:
        """A sweep."""
        return f"/sweeps/{quote(task)}/{quote(name)}"

    def trial(self, task: str, name: str, trial_id: str) -> str:
        """A trial of it."""
        return f"{self.sweep(task, name)}/trials/{quote(trial_id)}"


@dataclass(frozen=True)
class FileLinks:
    """Links within one file, which holds one sweep and some of its trials."""

    trial_ids: frozenset[str]

    def sweeps(self) -> str:
        """There is no list of sweeps."""
        return ""

    def sweep(self, task: str, name: str) -> str:
        """The top of the page."""
        return "#main"

    def trial(self, task: str, name: str, trial_id: str) -> str:
        """The trial's section, if the file has one."""
        return f"#trial-{trial_id}" if trial_id in self.trial_ids else ""


Links = ServedLinks | FileLinks
