"""The process of a tracker, which ``ProcessRuns`` starts."""

from __future__ import annotations

import signal

from orchestrator.child_process import SIGNALS, ParentPipe
from orchestrator.tracking.finding import load_tracker
from orchestrator.tracking.runs import Answer, Problem, TrackerRuns


def main() -> None:
    """Do what ``ProcessRuns`` at the other end of the pipe asks for, until it closes the runs."""
    for number in SIGNALS:  # batch systems send them to all processes of a job
        signal.signal(number, lambda *_: None)  # the parent says when to end
    pipe = ParentPipe()
    runs: TrackerRuns | None = None
    method = ""
    while method != "close":
        method, *arguments = pipe.receive()
        try:
            if runs is None:
                name, *arguments = arguments
                runs = TrackerRuns(load_tracker(name))
            answer = Answer(value=getattr(runs, method)(*arguments))
        except Exception as error:
            answer = Answer(problem=Problem.of(error))
        pipe.send(answer)


if __name__ == "__main__":
    main()
