"""A check of the contract suite, and its outcome."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from orchestrator.contract_suite.subject import Subject, ViolationError
from tasks.contract import SweepError

Function = Callable[[Subject], str | None]  # returns a remark: why there was nothing to check


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """One promise of the contract."""

    name: str
    title: str  # what holds if it passes
    fix: str  # what to do if it does not
    function: Function
    needs: tuple[str, ...] = ()  # checks without which this one says nothing new


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """How a check went."""

    check: Check
    verdict: Literal["passed", "failed", "skipped"]
    message: str = ""
    seconds: float = 0.0


def run_check(check: Check, subject: Subject) -> Outcome:
    """Run one check; whatever the task raises is a failure."""
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
    """Run the checks in order; one that needs a failed one is skipped."""
    failed: set[str] = set()
    for check in checks:
        blocked = [need for need in check.needs if need in failed]
        if blocked:
            titles = [each.title for each in checks if each.name == blocked[0]]
            failed.add(check.name)
            yield Outcome(check=check, verdict="skipped", message=f"needs: {titles[0]}")
            continue
        outcome = run_check(check, subject)
        if outcome.verdict == "failed":
            failed.add(check.name)
        yield outcome
