"""``--track trackio``: one run for each trial, in a group for each sweep."""

from __future__ import annotations

import contextvars
import io
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


class TrackioTracker(Tracker):
    """Writes to ``TRACKIO_DIR``, or to the Space of ``TRACKIO_SPACE_ID``."""

    def open(self, sweep: TrackedSweep) -> str:
        """Return the command that shows the sweep."""
        import trackio
        import trackio.run

        # Its messages would appear in the middle of the result tables.
        trackio.print = trackio.run.print = lambda *_, **__: None
        self._sweep = sweep
        self._runs: dict[str, Any] = {}  # trial id -> open run
        return f"trackio show --project {sweep.task}"

    def start(self, trial: TrackedTrial) -> Collection[int]:
        """Continue the run of the trial, or create it."""
        name = f"{self._sweep.name}-{trial.id}"
        if self._sweep.is_rerun:
            self._delete(name)
        run = self._init(name, dict(trial.parameters))
        self._runs[trial.id] = run
        return range(run._next_step)  # there is no public name for it

    def _delete(self, name: str) -> None:
        """Delete the runs with a name from this machine; there may be none."""
        import trackio

        try:
            runs = list(trackio.Api().runs(self._sweep.task))
        except ValueError:  # no such project
            return
        for run in runs:
            if run.name == name:
                run.delete()

    def _init(self, name: str, config: dict[str, Any]) -> Any:
        import trackio

        # ``init`` ends the run that it finds in its context, but several trials run at once.
        return contextvars.copy_context().run(
            trackio.init,
            project=self._sweep.task,
            name=name,
            group=self._sweep.name,
            config=config,
            resume="allow",
            embed=False,
            auto_log_cpu=False,
            auto_log_gpu=False,
        )

    def log(self, trial: TrackedTrial, steps: Sequence[TrackedStep]) -> None:
        """Write metrics."""
        for step in steps:
            self._runs[trial.id].log(dict(step.metrics), step=step.at)

    def end(self, trial: TrackedTrial, result: TrackedResult) -> None:
        """Write the status and the samples."""
        import trackio

        run = self._runs.pop(trial.id)
        content: dict[str, Any] = {}
        for name, picture in result.pictures.items():
            from PIL import Image

            image = Image.open(io.BytesIO(picture))
            content[f"{name}_pictures"] = trackio.Image(image.convert("RGB"))
        if result.table:
            rows = [list(row) for row in zip(*result.table.values(), strict=True)]
            content["samples"] = trackio.Table(columns=list(result.table), data=rows)
        if result.status != "interrupted":  # the run of an interrupted trial continues
            text = f"{result.status}. {result.reason}".strip()
            # At the last step: the next one is sent if the trial runs again.
            run.log({"status": trackio.Markdown(text), **content}, step=run._next_step - 1)
        run.finish()

    def close(self, report: Report | None) -> None:
        """Write the report as a run of its own."""
        for run in self._runs.values():
            run.finish()
        if report is None:
            return
        import trackio

        run = self._init(f"{self._sweep.name}-report", {})
        run.log({"report": trackio.Markdown(report.markdown)})
        run.finish()


TRACKER = TrackioTracker
