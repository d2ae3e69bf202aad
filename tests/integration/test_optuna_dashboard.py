"""The real optuna-dashboard shows grids and searches while they run."""

from __future__ import annotations

import io
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from harness import Run, interrupt
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

pytestmark = pytest.mark.filterwarnings("default")

GRID = "GRID = {'level': [0, 1, 2, 3]}\n"
SEARCH = """
def search(trial):
    return {"level": trial.suggest_int("level", 0, 9)}
"""


class Dashboard:
    """optuna-dashboard's own web application over the journal of a sweep."""

    def __init__(self, run: Run) -> None:
        self._path = Path(run.out, "fragile/s/optuna-journal.log")
        run.wait_for(self._path.exists)

    def get(self, path: str) -> Any:
        import optuna_dashboard

        statuses, errors = list[str](), io.StringIO()

        def start_response(status: str, headers: Any, exc_info: Any = None) -> None:
            statuses.append(status)

        environment = {
            **{"REQUEST_METHOD": "GET", "PATH_INFO": path, "QUERY_STRING": "after=0"},
            **{"SERVER_NAME": "localhost", "SERVER_PORT": "80", "SERVER_PROTOCOL": "HTTP/1.1"},
            **{"wsgi.input": io.BytesIO(), "wsgi.errors": errors, "wsgi.url_scheme": "http"},
        }
        # A new application each time, because one remembers trials for some seconds.
        app: Any = optuna_dashboard.wsgi(JournalStorage(JournalFileBackend(str(self._path))))
        body = b"".join(app(environment, start_response))
        assert statuses == ["200 OK"], errors.getvalue()
        return json.loads(body)

    def trials(self) -> list[dict[str, Any]]:
        (study,) = self.get("/api/studies")["study_summaries"]
        trials: list[dict[str, Any]] = self.get(f"/api/studies/{study['study_id']}")["trials"]
        return trials

    def states(self) -> Counter[str]:
        return Counter(trial["state"] for trial in self.trials())


@pytest.mark.parametrize("space", [GRID, SEARCH], ids=["grid", "search"])
def test_dashboard_follows_a_running_sweep(tmp_path: Path, space: str) -> None:
    pytest.importorskip("optuna_dashboard", reason="optuna-dashboard is not installed")
    options = ["--engine", "local", "--set=steps=5", "--set=seconds=0.3", "--track", "optuna"]
    options += ["--trials", "4", "--pruner", "none"] if space == SEARCH else []
    run = Run(tmp_path, *options, space=space)
    dashboard = Dashboard(run)

    def has_curve() -> bool:
        return any(t["state"] == "Running" and t["intermediate_values"] for t in dashboard.trials())

    run.wait_for(has_curve)
    interrupt(run)
    states = dashboard.states()
    assert states["Waiting"] >= 1
    assert not states["Running"]
    again = Run(tmp_path, *options, space=space)
    again.end()
    trials = Dashboard(again).trials()
    assert [trial["state"] for trial in trials] == ["Complete"] * 4
    for trial in trials:
        assert [each["step"] for each in trial["intermediate_values"]] == [1, 2, 3, 4, 5]
        assert {param["name"] for param in trial["params"]} >= {"level"}
        assert trial["values"][0] == trial["intermediate_values"][-1]["value"]
