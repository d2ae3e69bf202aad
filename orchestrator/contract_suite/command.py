"""``check-task``: runs the contract suite on a task and prints one line per check."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.text import Text

from orchestrator.contract_suite import CHECKS, Outcome, Subject, run_checks
from orchestrator.planning.discovery import import_task
from orchestrator.planning.settings import parse_fixed
from orchestrator.planning.task_checks import place, problems
from results.text import plural
from tasks.contract import Task

_STYLES = {"passed": "green", "failed": "bold red", "skipped": "yellow"}


@dataclass(frozen=True, kw_only=True)
class TaskReport:
    """The outcomes of all checks of a task."""

    problems: Sequence[str] = ()  # that let no check run
    outcomes: Sequence[Outcome] = ()

    @property
    def has_failed(self) -> bool:
        """Whether the task breaks the contract."""
        return bool(self.problems) or any(each.verdict == "failed" for each in self.outcomes)


def check_task(
    name: str, *, settings: Sequence[str] = (), model: str | None = None, data: str | None = None
) -> TaskReport:
    """Run every check on a task and print the outcomes."""
    console, began = Console(), time.perf_counter()
    found = import_task(name)
    found_problems = problems(found, name)
    console.print(Text(f"{name}: {place(found)}"), soft_wrap=True)
    for problem in found_problems:
        console.print(Text.assemble(("FAILED ", _STYLES["failed"]), problem), soft_wrap=True)
    if found_problems or not isinstance(found, Task):
        number = plural(len(found_problems), "problem")
        console.print(f"{name}: {number}; see docs/reference/task-contract.md")
        return TaskReport(problems=found_problems or ["it is no task"])
    subject = Subject(found, name, model=model, data=data, settings=parse_fixed(found, settings))
    outcomes: list[Outcome] = []
    with console.status(f"checking {name}") as status:
        for outcome in run_checks(CHECKS, subject):
            outcomes.append(outcome)
            for line in _lines(outcome):
                console.print(line, soft_wrap=True)
            if len(outcomes) < len(CHECKS):
                status.update(CHECKS[len(outcomes)].title)
    counts = {
        verdict: sum(each.verdict == verdict for each in outcomes)
        for verdict in ("passed", "failed", "skipped")
    }
    numbers = ", ".join(f"{number} {verdict}" for verdict, number in counts.items() if number)
    console.print(f"{name}: {numbers}, in {time.perf_counter() - began:.1f} s", highlight=False)
    return TaskReport(outcomes=outcomes)


def _lines(outcome: Outcome) -> list[Text]:
    """Return the lines of an outcome: for a failure also the problem and its fix."""
    verdict = "FAILED" if outcome.verdict == "failed" else outcome.verdict
    seconds = f"{outcome.seconds:.1f} s" if outcome.seconds >= 0.1 else ""
    head = Text.assemble(
        (f"{verdict:<8}", _STYLES[outcome.verdict]), f"{seconds:>7}  {outcome.check.title}"
    )
    indent = " " * 17
    if outcome.verdict == "failed":
        return [
            head,
            Text(f"{indent}{outcome.message}"),
            Text(f"{indent}fix: {outcome.check.fix}", style="dim"),
        ]
    if outcome.message:
        head.append(f" ({outcome.message})", style="dim")
    return [head]
