"""The types that tasks, engines and tables share. They need only the standard library.

Trial   everything that a result depends on, and its content id
Stage   work that several trials share, computed once
State   a trial between two steps; a checkpoint is a saved State
Step    the metrics and samples of one step of a trial
Task    the base class of every task
"""

from __future__ import annotations

from tasks.contract.base import Task
from tasks.contract.declarations import Column, Metric, PerSampleMetric
from tasks.contract.errors import (
    DataError,
    ModelError,
    RequestError,
    StoreError,
    SweepError,
    TrialError,
)
from tasks.contract.export import Export
from tasks.contract.identity import content_id
from tasks.contract.stage import Inputs, Stage, Value, short_argument
from tasks.contract.step import Advanced, Member, State, Step
from tasks.contract.trial import Scalar, Source, Trial
from tasks.progress import progress_part, report_progress

__all__ = [
    "Advanced",
    "Column",
    "DataError",
    "Export",
    "Inputs",
    "Member",
    "Metric",
    "ModelError",
    "PerSampleMetric",
    "RequestError",
    "Scalar",
    "Source",
    "Stage",
    "State",
    "Step",
    "StoreError",
    "SweepError",
    "Task",
    "Trial",
    "TrialError",
    "Value",
    "content_id",
    "progress_part",
    "report_progress",
    "short_argument",
]
