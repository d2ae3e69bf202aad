"""What ``doctor`` finds: one line per check, with a verdict and, where needed, a fix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from results.text import plural

Verdict = Literal["ok", "warning", "error"]
_STYLES = {"ok": "green", "warning": "yellow", "error": "bold red"}


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check: verdict, what was checked, what was found, and how to fix it."""

    verdict: Verdict
    subject: str
    text: str
    fix: str = ""


def render_findings(findings: Sequence[Finding]) -> RenderableType:
    """Return a table of all findings, grouped by subject, and a summary line."""
    view = Table.grid(padding=(0, 2))
    view.add_column(no_wrap=True)
    view.add_column(no_wrap=True)
    view.add_column(overflow="fold")
    subjects = list(dict.fromkeys(finding.subject for finding in findings))
    for subject in subjects:
        for finding in findings:
            if finding.subject == subject:
                text = Text(finding.text)
                if finding.fix:
                    text.append(f"\n→ {finding.fix}", style="bold")
                verdict = Text(finding.verdict, style=_STYLES[finding.verdict])
                view.add_row(verdict, Text(subject), text)
    errors = sum(finding.verdict == "error" for finding in findings)
    warnings = sum(finding.verdict == "warning" for finding in findings)
    summary = f"{plural(errors, 'error')}, {plural(warnings, 'warning')}."
    return Group(view, Text(), Text(summary if errors + warnings else "No problems found."))
