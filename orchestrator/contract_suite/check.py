"""A check of the task contract, and its outcome."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from orchestrator.contract_suite.subject import Subject, ViolationError
from tasks.contract import SweepError

Function = Callable[[Subject], str | None]  # may return a remark, such as "the task has no stages"


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """One rule of the task contract."""

    name: str
    title: str  # the rule
    fix: str  # how to fix a violation
    function: Function
    needs: tuple[str, ...] = ()  # checks that must pass before this one can run


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """The result of a check."""

    check: Check
    verdict: Literal["passed", "failed", "skipped"]
    message: str = ""
    seconds: float = 0.0


def run_check(check: Check, subject: Subject) -> Outcome:
    """Run one check. Any exception counts as a failure."""
    began = time.perf_counter()
    try:
        remark = check.function(subject) or ""
    except (ViolationError, SweepError) as error:
        verdict: Literal["passed", "failed"] = "failed"
        remark = str(error)
    except Exception as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        verdict = "failed"
        remark = f"{type(error).__name__}: {error} ({frame.filename}, line {frame.lineno})"
    else:
        verdict = "passed"
    seconds = time.perf_counter() - began
    return Outcome(check=check, verdict=verdict, message=remark, seconds=seconds)


def run_checks(checks: Sequence[Check], subject: Subject) -> Iterator[Outcome]:
    """Run the checks in order, and skip those that need a failed one."""
    failed: set[str] = set()
    for check in checks:
        blocked = [need for need in check.needs if need in failed]
        if blocked:
            titles = [each.title for each in checks if each.name == blocked[0]]
            failed.add(check.name)
            yield Outcome(check=check, verdict="skipped", message=f"requires: {titles[0]}")
            continue
        outcome = run_check(check, subject)
        if outcome.verdict == "failed":
            failed.add(check.name)
        yield outcome
