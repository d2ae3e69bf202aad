"""What ``doctor`` finds: lines with a verdict each, and how to mend what is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

Verdict = Literal["ok", "warning", "wrong"]
_STYLES = {"ok": "green", "warning": "yellow", "wrong": "bold red"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: how it is, of what, what was found, and what to do about it."""

    verdict: Verdict
    subject: str
    text: str
    mend: str = ""


def render_findings(findings: Sequence[Finding]) -> RenderableType:
    """All lines, those of one subject together, and their sum."""
    view = Table.grid(padding=(0, 2))
    view.add_column(no_wrap=True)
    view.add_column(no_wrap=True)
    view.add_column(overflow="fold")
    subjects = list(dict.fromkeys(finding.subject for finding in findings))
    for subject in subjects:
        for finding in findings:
            if finding.subject == subject:
                text = Text(finding.text)
                if finding.mend:
                    text.append(f"\n→ {finding.mend}", style="bold")
                verdict = Text(finding.verdict, style=_STYLES[finding.verdict])
                view.add_row(verdict, Text(subject), text)
    wrong = sum(finding.verdict == "wrong" for finding in findings)
    warnings = sum(finding.verdict == "warning" for finding in findings)
    told = f"{wrong} wrong, {warnings} {'warning' if warnings == 1 else 'warnings'}."
    return Group(view, Text(), Text("Nothing is wrong." if not wrong + warnings else told))
