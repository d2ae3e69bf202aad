"""``--track aim``: one run for each trial, in an experiment for each sweep."""

from __future__ import annotations

import io
import os
from collections.abc import Collection, Sequence
from typing import Any

from orchestrator.tracking.as_markdown import markdown_table
from orchestrator.tracking.tracker import (
    Report,
    TrackedResult,
    TrackedStep,
    TrackedSweep,
    TrackedTrial,
    Tracker,
)

_REPORT = "report"


class AimTracker(Tracker):
    """Writes to the repository ``.aim`` of this folder or of one above it."""

    def open(self, sweep: TrackedSweep) -> str:
        """Find or create the repository, and find the runs of the sweep."""
        import aim

        self._sweep = sweep
        path = aim.Repo.default_repo_path()
        is_new = not os.path.isdir(os.path.join(path, ".aim"))
        self._repo: Any = aim.Repo.from_path(path, init=is_new)
        runs = self._repo.structured_db.runs()
        runs = [run for run in runs if run.experiment == sweep.full_name]
        # name -> hash; the name of a run is the id of its trial
        self._hashes: dict[str, str] = {run.name: run.hash for run in runs}
        #: Empty runs: a process was killed between creating a run and naming it.
        self._unnamed = [run.hash for run in runs if run.name == f"Run: {run.hash}"]
        self._runs: dict[str, Any] = {}  # trial id -> open run
        return f"aim up --repo {self._repo.root_path}"

    def start(self, trial: TrackedTrial) -> Collection[int]:
        """Continue the run of the trial, or create it."""
        known = self._hashes.pop(trial.id, None) if self._sweep.is_rerun else None
        if known is not None:
            self._repo.delete_run(known)
        run = self._runs[trial.id] = self._open(trial.id)
        run["hparams"] = dict(trial.parameters)
        return ()  # Aim replaces the value of a step that it has already

    def _open(self, name: str) -> Any:
        import aim

        known = self._hashes.get(name) or (self._unnamed.pop() if self._unnamed else None)
        run = aim.Run(
            known,
            repo=self._repo,
            experiment=self._sweep.full_name,
            force_resume=known is not None,  # a killed process leaves its lock
            system_tracking_interval=None,
            capture_terminal_logs=False,
        )
        run.name = name
        self._hashes[name] = run.hash
        return run

    def log(self, trial: TrackedTrial, steps: Sequence[TrackedStep]) -> None:
        """Write metrics."""
        for step in steps:
            for name, value in step.metrics.items():
                self._runs[trial.id].track(value, name=name, step=step.at)

    def end(self, trial: TrackedTrial, result: TrackedResult) -> None:
        """Write the status and the samples."""
        import aim

        run = self._runs.pop(trial.id)
        run["status"], run["reason"] = result.status, result.reason
        for name, picture in result.pictures.items():
            from PIL import Image

            image = Image.open(io.BytesIO(picture)).convert("RGB")
            run.track(aim.Image(image), name=f"{name}_pictures", step=result.at)
        if result.table:
            run.track(aim.Text(markdown_table(result.table)), name="samples", step=result.at)
        run.close()

    def close(self, report: Report | None) -> None:
        """Write the report as a run of its own."""
        import aim

        while self._runs:  # the storage of a run is closed with the last reference to it
            self._runs.popitem()[1].close()
        if report is not None:
            run = self._open(_REPORT)
            run.track(aim.Text(report.markdown), name="report", step=0)
            run.close()


TRACKER = AimTracker
