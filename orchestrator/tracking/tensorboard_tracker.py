"""``--track tensorboard``: event files in the sweep's folder, one folder for each trial."""

from __future__ import annotations

import io
import os
from collections.abc import Collection, Sequence
from typing import Any

from orchestrator.tracking.as_markdown import markdown_table
from orchestrator.tracking.event_file import EventFile, import_tensorboardx
from orchestrator.tracking.tracker import (
    Report,
    TrackedResult,
    TrackedStep,
    TrackedSweep,
    TrackedTrial,
    Tracker,
    plain_name,
)

#: Of trials that have ended, in TensorBoard's table of hyperparameters.
_STATUSES = {
    "finished": "STATUS_SUCCESS",
    "stopped": "STATUS_SUCCESS",
    "failed": "STATUS_FAILURE",
}


class TensorBoardTracker(Tracker):
    """Writes scalars, hyperparameters, samples and the report for TensorBoard."""

    def open(self, sweep: TrackedSweep) -> str:
        """Return the command that shows the sweep."""
        import_tensorboardx()
        self._ends = {status: _session_end(name) for status, name in _STATUSES.items()}
        self._folder = f"{sweep.folder or sweep.full_name}/tensorboard"
        self._files: dict[str, EventFile] = {}
        return f"tensorboard --logdir {self._folder}"

    def start(self, trial: TrackedTrial) -> Collection[int]:
        """Start the run anew. A trial that resumes comes with all its steps."""
        from tensorboardX.summary import hparams

        self._files[trial.id] = file = self._new_file(trial.id)
        values = {name: _hparam(value) for name, value in trial.parameters.items()}
        # The first summary lists the parameters and metrics of the whole experiment. TensorBoard
        # would take one run's list for all, and not show what only other runs have.
        _, start, _ = hparams(values, {})
        file.add(start)
        return ()

    def _new_file(self, name: str) -> EventFile:
        return EventFile(os.path.join(self._folder, name))

    def log(self, trial: TrackedTrial, steps: Sequence[TrackedStep]) -> None:
        """Write scalars."""
        from tensorboardX.summary import scalar

        for step in steps:
            for name, value in step.metrics.items():
                self._files[trial.id].add(scalar(plain_name(name), value), step.at)
        self._files[trial.id].flush()

    def end(self, trial: TrackedTrial, result: TrackedResult) -> None:
        """Write the status and the samples."""
        from tensorboardX.summary import text

        file = self._files.pop(trial.id)
        file.add(text("status", f"{result.status} {result.reason}".strip()), result.at)
        for name, picture in result.pictures.items():
            file.add(_image(name, picture), result.at)
        if result.table:
            file.add(text("samples", markdown_table(result.table)), result.at)
        if result.status in self._ends:
            file.add(self._ends[result.status])
        file.close()

    def close(self, report: Report | None) -> None:
        """Write the report as a run of its own."""
        from tensorboardX.summary import text

        for file in self._files.values():
            file.close()
        if report is not None:
            file = self._new_file("report")
            file.add(text("report", report.markdown))
            file.close()


def _session_end(status: str) -> Any:
    """Return the summary that ends a run with a status of TensorBoard."""
    from tensorboardX.proto.api_pb2 import Status
    from tensorboardX.proto.plugin_hparams_pb2 import HParamsPluginData
    from tensorboardX.summary import hparams

    _, _, summary = hparams({}, {})  # of a run that has succeeded
    plugin = summary.value[0].metadata.plugin_data
    content = HParamsPluginData.FromString(plugin.content)
    content.session_end_info.status = Status.Value(status)
    plugin.content = content.SerializeToString()
    return summary


def _image(name: str, picture: bytes) -> Any:
    """Return the summary of a PNG file."""
    import numpy as np
    from PIL import Image
    from tensorboardX.summary import image

    pixels = np.asarray(Image.open(io.BytesIO(picture)).convert("RGB"))
    return image(name, pixels, dataformats="HWC")


def _hparam(value: object) -> bool | str | float | int:
    return value if isinstance(value, (bool, str, float, int)) else str(value)


TRACKER = TensorBoardTracker
