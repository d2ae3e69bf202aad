"""Makes a plan of given trials, such as those of recorded rows, without a space file."""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.planning import task_calls
from orchestrator.planning.plan import PlannedRow, TrialFactory
from orchestrator.planning.spaces import Space
from orchestrator.request import Request
from orchestrator.running.naming import Identity
from orchestrator.running.plan import Plan
from search_spaces.space import Row, Table
from tasks.contract import Task, Trial


def recorded_plan(task: Task, trials: Sequence[Trial], request: Request, space: str) -> Plan:
    """Return a plan that runs these trials in order.

    Args:
        task: the task.
        trials: at least one trial; all have the same model and data.
        request: the options of the sweep, with a name.
        space: the name of the space that the trials come from.
    """
    assert request.name is not None
    model, data = trials[0].model, trials[0].data
    task = task_calls.for_data(task, data)
    planned = [
        PlannedRow(row=Row(params=trial.param_values()), trials=(trial,)) for trial in trials
    ]
    table = Table(title=f"Trials of {space}", rows=tuple(each.row for each in planned))
    return Plan(
        request=request,
        task=task,
        space=Space(name=space, tables=(table,)),
        factory=TrialFactory(task=task, model=model, data=data, fixed={}),
        seeds=tuple(sorted({trial.seed for trial in trials})),
        name=request.name,
        keep="none",
        planned=[planned],
        identity=Identity(
            space=space,
            file=None,
            file_hash=None,
            settings={},
            search={},
            model=model,
            data=data,
        ),
    )
