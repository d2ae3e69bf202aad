"""``--track wandb``: one run for each trial, in a group for each sweep."""

from __future__ import annotations

import glob
import io
import os
import shutil
import time
from collections.abc import Collection, Sequence
from typing import Any

from orchestrator.tracking.tracker import (
    Report,
    TrackedResult,
    TrackedStep,
    TrackedSweep,
    TrackedTrial,
    Tracker,
)
from tasks.contract import RequestError


class WandbTracker(Tracker):
    """Writes to the project of ``WANDB_PROJECT``, by default one that is named for the task."""

    def check(self) -> None:
        """Check that the user is logged in: otherwise W&B would ask on the sweep's terminal."""
        import wandb

        settings = wandb.setup(wandb.Settings(silent=True)).settings
        if settings.mode not in ("online", "shared") or wandb.login(prompt=False, verify=False):
            return
        raise RequestError(
            "--track wandb needs an API key: run `wandb login`, or set WANDB_MODE=offline to write "
            "only to this machine"
        )

    def open(self, sweep: TrackedSweep) -> str:
        """Read the settings."""
        import wandb

        settings = wandb.setup().settings
        self._sweep = sweep
        self._project = settings.project or sweep.task
        self._is_offline = settings.mode == "offline"
        self._folder = settings.wandb_dir
        self._started = f"{time.time():.0f}"
        self._runs: dict[str, Any] = {}  # trial id -> open run
        where = self._folder if self._is_offline else settings.base_url
        return f"group {sweep.name} of project {self._project} in {where}"

    def start(self, trial: TrackedTrial) -> Collection[int]:
        """Continue the run of the trial, or create it."""
        name = f"{self._sweep.name}-{trial.id}"
        # Online, a run that ended cannot start over. Offline, ``_init`` deletes it.
        is_other = self._sweep.is_rerun and not self._is_offline
        run = self._init(
            f"{name}-{self._started}" if is_other else name,
            name=trial.id[:8],
            job_type="trial",
            config=dict(trial.parameters),
        )
        self._runs[trial.id] = run
        return range(run.starting_step)  # 0 if the run is new

    def _init(self, run_id: str, **options: Any) -> Any:
        import wandb

        if self._is_offline:
            # W&B cannot continue a run offline. A trial that resumes comes with all its steps, so
            # what an earlier process wrote is not needed.
            pattern = os.path.join(glob.escape(self._folder), f"offline-run-*-{run_id}")
            for folder in glob.glob(pattern):
                shutil.rmtree(folder, ignore_errors=True)
        # A run of its own for each trial, without the output and the load of this machine.
        settings = wandb.Settings(console="off", silent=True, x_disable_stats=True)
        return wandb.init(
            project=self._project,
            group=self._sweep.name,
            id=run_id,
            resume=None if self._is_offline else "allow",
            reinit="create_new",
            settings=settings,
            **options,
        )

    def log(self, trial: TrackedTrial, steps: Sequence[TrackedStep]) -> None:
        """Write metrics."""
        for step in steps:
            self._runs[trial.id].log(dict(step.metrics), step=step.at, commit=True)

    def end(self, trial: TrackedTrial, result: TrackedResult) -> None:
        """Write the status and the samples."""
        import wandb

        run = self._runs.pop(trial.id)
        content: dict[str, Any] = {}
        for name, picture in result.pictures.items():
            from PIL import Image

            content[f"{name}_pictures"] = wandb.Image(Image.open(io.BytesIO(picture)))
        if result.table:
            rows = [list(row) for row in zip(*result.table.values(), strict=True)]
            columns = list(result.table)
            content["samples"] = wandb.Table(columns=columns, data=rows, allow_mixed_types=True)
        if result.status != "finished":
            # ``log`` would take the next step, which the trial may send later if it runs again.
            # W&B ignores a second row for the last step.
            run.summary.update(content)
        elif content:
            run.log(content)
        # An empty reason replaces that of an earlier failure.
        run.summary.update({"status": result.status, "reason": result.reason})
        run.finish(exit_code=0 if result.status in ("finished", "stopped") else 1)

    def close(self, report: Report | None) -> None:
        """Write the report as a run of its own."""
        for run in self._runs.values():
            run.finish(exit_code=1)
        if report is None:
            return
        import wandb

        run = self._init(f"{self._sweep.name}-report", name="report", job_type="report")
        run.log({"report": wandb.Html(report.html, inject=False)})
        run.finish()


TRACKER = WandbTracker
