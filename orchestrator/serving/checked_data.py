"""``CheckedData``: remembers for some seconds whether data is unchanged."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

from orchestrator.running.recorded import check_data
from tasks.contract import RequestError, SweepError, Task, Trial

MAX_AGE = 30.0  # seconds for which a check counts


@dataclass(kw_only=True)
class _Check:
    lock: threading.Lock = field(default_factory=threading.Lock)
    until: float = 0.0  # seconds of the monotonic clock
    problem: str = ""


class CheckedData:
    """Checks data, the same data at most once in ``MAX_AGE`` seconds.

    A check looks at every file of a data set, but a page has many images of the same data.
    """

    def __init__(self) -> None:
        self._checks: dict[tuple[str, str, str], _Check] = {}
        self._guard = threading.Lock()

    def check(self, task: Task, trial: Trial) -> None:
        """Check that the trial's data is unchanged on this machine.

        Raises:
            RequestError: if the data is missing, or its content differs from the sweep's.
        """
        with self._guard:
            key = (task.name, trial.data.name, trial.data.fingerprint)
            check = self._checks.setdefault(key, _Check())
        with check.lock:  # requests for images of one page wait for the first
            if time.monotonic() >= check.until:
                check.problem = _problem(task, trial)
                check.until = time.monotonic() + MAX_AGE
            if check.problem:
                raise RequestError(check.problem)


def _problem(task: Task, trial: Trial) -> str:
    try:
        check_data(task, trial)
    except SweepError as error:
        return str(error)
    return ""
