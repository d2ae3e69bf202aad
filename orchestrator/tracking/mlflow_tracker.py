"""``--track mlflow``: one experiment for each sweep, one run for each trial."""

from __future__ import annotations

import io
import json
import logging
import math
import time
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from orchestrator.tracking.tracker import (
    Report,
    TrackedResult,
    TrackedStep,
    TrackedSweep,
    TrackedTrial,
    Tracker,
    plain_name,
)

_TRIAL = "orchestrator.trial"  # the tag with a trial's id, or with ``_REPORT``
_REPORT = "report"
_MAX_BATCH = 1000  # metrics in one request
_STATUSES = {"finished": "FINISHED", "stopped": "FINISHED", "failed": "FAILED"}


class MlflowTracker(Tracker):
    """Writes to the store of ``MLFLOW_TRACKING_URI``, by default ``mlflow.db`` in this folder."""

    def open(self, sweep: TrackedSweep) -> str:
        """Find or create the experiment and its runs."""
        import mlflow

        # It reports each table that it creates in a new database.
        logging.getLogger("mlflow.store.db").setLevel(logging.WARNING)
        self._is_rerun = sweep.is_rerun
        self._client: Any = mlflow.MlflowClient()
        self._runs: dict[str, str] = {}  # trial id -> id of its run
        found = self._client.get_experiment_by_name(sweep.full_name)
        if found is None:
            self._experiment = self._client.create_experiment(sweep.full_name)
        else:
            self._experiment = found.experiment_id
            self._runs = {run.data.tags[_TRIAL]: run.info.run_id for run in self._earlier()}
        return f"experiment {sweep.full_name} in {mlflow.get_tracking_uri()}"

    def _earlier(self) -> Iterator[Any]:
        token: str | None = ""
        while token is not None:
            page = self._client.search_runs(
                [self._experiment],
                f"tags.`{_TRIAL}` != ''",
                order_by=["attributes.start_time ASC"],
                page_token=token or None,
            )
            yield from page
            token = page.token or None

    def start(self, trial: TrackedTrial) -> Collection[int]:
        """Continue the run of the trial, or create it."""
        from mlflow.entities import Param

        known = self._runs.get(trial.id)
        if known is not None and self._is_rerun:
            self._client.delete_run(known)  # MLflow can restore it
            known = None
        if known is not None:
            self._client.update_run(known, status="RUNNING")
            return self._steps_of(known)
        run_id = self._create(trial.id[:8], trial.id)
        values = [Param(name, str(value)) for name, value in trial.parameters.items()]
        self._client.log_batch(run_id, params=values)
        return ()

    def _create(self, name: str, trial: str) -> str:
        run = self._client.create_run(self._experiment, run_name=name, tags={_TRIAL: trial})
        self._runs[trial] = run.info.run_id
        return self._runs[trial]

    def _steps_of(self, run_id: str) -> set[int]:
        names = self._client.get_run(run_id).data.metrics
        steps = [{m.step for m in self._client.get_metric_history(run_id, n)} for n in names]
        return set[int]().union(*steps)

    def log(self, trial: TrackedTrial, steps: Sequence[TrackedStep]) -> None:
        """Write metrics."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        metrics = [
            Metric(plain_name(name), value, now, step.at)
            for step in steps
            for name, value in step.metrics.items()
        ]
        for first in range(0, len(metrics), _MAX_BATCH):
            batch = metrics[first : first + _MAX_BATCH]
            self._client.log_batch(self._runs[trial.id], metrics=batch)

    def end(self, trial: TrackedTrial, result: TrackedResult) -> None:
        """Write the status and the samples."""
        run_id = self._runs[trial.id]
        self._client.set_tag(run_id, "orchestrator.status", result.status)
        # An empty reason replaces that of an earlier failure.
        self._client.set_tag(run_id, "orchestrator.reason", result.reason)
        for name, picture in result.pictures.items():
            from PIL import Image

            self._client.log_image(run_id, Image.open(io.BytesIO(picture)), f"{name}.png")
        if result.table:
            self._log_table(run_id, result)
        self._client.set_terminated(run_id, _STATUSES.get(result.status, "KILLED"))

    def _log_table(self, run_id: str, result: TrackedResult) -> None:
        """Write the file and the tag that ``log_table`` writes, which would require pandas."""
        rows = [list(map(_json_value, row)) for row in zip(*result.table.values(), strict=True)]
        self._client.log_dict(run_id, {"columns": list(result.table), "data": rows}, _TABLE)
        tag = json.dumps([{"path": _TABLE, "type": "table"}])
        self._client.set_tag(run_id, "mlflow.loggedArtifacts", tag)

    def close(self, report: Report | None) -> None:
        """Write the report to a run of its own."""
        if report is None:
            return
        run_id = self._runs.get(_REPORT) or self._create(_REPORT, _REPORT)
        self._client.log_text(run_id, report.html, "report.html")
        self._client.log_text(run_id, report.markdown, "report.md")
        self._client.set_terminated(run_id)


_TABLE = "samples.json"


def _json_value(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


TRACKER = MlflowTracker
