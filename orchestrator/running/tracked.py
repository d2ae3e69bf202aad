"""Sends the report to the trackers at the end of a run, and waits for them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console

from orchestrator.running.logs import logging_to, run_log
from orchestrator.running.run import Run
from orchestrator.tracking.tracker import Report
from results.storage.reading import Sweep
from results.text import print_line
from tasks.contract import StoreError


@contextmanager
def tracked(run: Run) -> Iterator[None]:
    """Send the report and what is not sent yet to the trackers when the run ends."""
    report = None
    try:
        yield
        if run.tracking.has_started and run.sweep is not None:
            report = _report(run.sweep)
        elif run.tracking.has_trackers and not run.tracking.has_started and _has_nothing_new(run):
            print_line(
                Console(),
                "No trial ran, so no tracker got anything; --rerun runs and sends all trials.",
            )
    finally:
        if run.tracking.has_started:
            _close(run, report)


def _has_nothing_new(run: Run) -> bool:
    """Return whether a complete sweep ran no trials, not even again for their weights."""
    return run.is_complete and not any(each.stats.computed_steps for each in run.coordinators)


def _close(run: Run, report: Report | None) -> None:
    """Send the rest. Errors of the trackers go to the log of the run."""
    with (
        run_log(run) as log,
        logging_to(log, None),
        run.tracking.printing(lambda line: print_line(Console(), line)),
    ):
        run.tracking.close(report)


def _report(sweep: Sweep) -> Report | None:
    """Return the tables of the sweep; None if a bucket does not answer."""
    from results.export import FORMATS, sweep_document  # only now: it takes time to import

    try:
        # Without figures, which take seconds and which trackers draw themselves.
        documents = [dataclasses.replace(sweep_document(sweep), draw=list)]
    except StoreError:
        return None
    return Report(markdown=FORMATS["markdown"](documents), html=FORMATS["html"](documents))
