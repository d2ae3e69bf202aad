"""Parameters without which a trial does not report a metric (``Task.metric_params``)."""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.planning.labels import Configuration, Labels
from tasks.contract import RequestError, Task, Trial


def reports_metric(task: Task, trial: Trial, metric: str) -> bool:
    """Return whether a trial sets the parameter that a metric needs, if it needs one."""
    param = task.metric_params.get(metric)
    return param is None or getattr(trial.params, param) is not None


def check_metric_params(task: Task, metrics: Sequence[str], trials: Sequence[Trial]) -> None:
    """Check that trials set the parameters without which they would not report the metrics.

    Raises:
        RequestError: at the first metric that a trial would not report.
    """
    for metric in metrics:
        param = task.metric_params.get(metric)
        if param is None:
            continue
        lacking = [trial for trial in trials if not reports_metric(task, trial, metric)]
        if lacking and len(lacking) == len(trials):
            raise RequestError(
                f"{metric} needs the parameter {param}, which is not set; add --set {param}=VALUE"
            )
        if lacking:
            raise RequestError(
                f"{metric} needs the parameter {param}, which is not set or not used in "
                f"{len(lacking)} of {len(trials)} trials, such as "
                f"{_describe(lacking[0], trials, task)}; leave them out, or choose another metric"
            )


def _describe(trial: Trial, trials: Sequence[Trial], task: Task) -> str:
    labels = Labels(task.columns)
    for each in trials:
        labels.see(Configuration.of(each))
    return labels.describe(Configuration.of(trial))
