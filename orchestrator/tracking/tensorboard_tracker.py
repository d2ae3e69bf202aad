"""``--track tensorboard``: event files in the sweep's folder, one folder for each trial."""

from __future__ import annotations

import io
import os
import shutil
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
    plain_name,
)

FLUSH_SECONDS = 5


class TensorBoardTracker(Tracker):
    """Writes scalars, hyperparameters, samples and the report for TensorBoard."""

    def open(self, sweep: TrackedSweep) -> str:
        """Return the command that shows the sweep."""
        self._metric = plain_name(sweep.metric)
        self._folder = f"{sweep.folder or sweep.full_name}/tensorboard"
        self._writers: dict[str, Any] = {}
        return f"tensorboard --logdir {self._folder}"

    def start(self, trial: TrackedTrial) -> Collection[int]:
        """Start the run anew. A trial that resumes comes with all its steps."""
        from tensorboardX.summary import hparams

        self._writers[trial.id] = writer = self._writer(trial.id)
        values = {name: _hparam(value) for name, value in trial.parameters.items()}
        for summary in hparams(values, {self._metric: 0.0})[:2]:  # the third one ends the run
            writer.file_writer.add_summary(summary)
        return ()

    def _writer(self, name: str) -> Any:
        from tensorboardX import SummaryWriter

        folder = os.path.join(self._folder, name)
        shutil.rmtree(folder, ignore_errors=True)
        # With ``purge_step``, a TensorBoard that has read the deleted files forgets them.
        return SummaryWriter(folder, flush_secs=FLUSH_SECONDS, purge_step=0)

    def log(self, trial: TrackedTrial, steps: Sequence[TrackedStep]) -> None:
        """Write scalars."""
        for step in steps:
            for name, value in step.metrics.items():
                self._writers[trial.id].add_scalar(plain_name(name), value, step.at)

    def end(self, trial: TrackedTrial, result: TrackedResult) -> None:
        """Write the status and the samples."""
        import numpy as np
        from PIL import Image
        from tensorboardX.summary import hparams

        writer = self._writers.pop(trial.id)
        writer.add_text("status", f"{result.status} {result.reason}".strip(), result.at)
        for name, picture in result.pictures.items():
            image = np.asarray(Image.open(io.BytesIO(picture)).convert("RGB"))
            writer.add_image(name, image, result.at, dataformats="HWC")
        if result.table:
            writer.add_text("samples", markdown_table(result.table), result.at)
        writer.file_writer.add_summary(hparams({}, {})[2])
        writer.close()

    def close(self, report: Report | None) -> None:
        """Write the report as a run of its own."""
        for writer in self._writers.values():
            writer.close()
        if report is not None:
            writer = self._writer("report")
            writer.add_text("report", report.markdown, 0)
            writer.close()


def _hparam(value: object) -> bool | str | float | int:
    return value if isinstance(value, (bool, str, float, int)) else str(value)


TRACKER = TensorBoardTracker
