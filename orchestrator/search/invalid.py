"""The results row of a configuration that cannot run, for which there is no trial."""

from __future__ import annotations

import dataclasses
import traceback
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from orchestrator.planning.params import param_types
from orchestrator.planning.plan import TrialFactory
from tasks.contract import content_id

if TYPE_CHECKING:
    from orchestrator.search.function import InvalidConfigurationError


def invalid_row(
    error: InvalidConfigurationError, factory: TrialFactory, seed: int
) -> dict[str, Any]:
    """Return a row with status "failed" for an invalid configuration.

    A parameter whose value has a wrong type gets its default. Parameters that the search function
    had not suggested before it raised an error are null.
    """
    task, now = factory.task, datetime.now(UTC)
    fields = dataclasses.fields(task.Params)
    params: dict[str, Any] = {f.name: f.default if error.is_complete else None for f in fields}
    for name, (kind, _) in param_types(task.Params).items():
        value = {**error.values, **factory.fixed}.get(name)
        if isinstance(value, (int, float)) and not isinstance(value, bool) and kind is float:
            value = float(value)
        if isinstance(value, kind) and (kind is bool or not isinstance(value, bool)):
            params[name] = value
    identity = [task.name, task.version, params, factory.model, factory.data, str(error)]
    return {
        "trial_id": content_id(identity),
        "seed": seed,
        "status": "failed",
        "reason": str(error),
        "log": "".join(traceback.format_exception(error))[-4000:],
        "reused_from": None,
        "model": factory.model.name,
        "model_fingerprint": factory.model.fingerprint,
        "data": factory.data.name,
        "data_fingerprint": factory.data.fingerprint,
        "version": task.version,
        "started": now,
        "ended": now,
        "seconds": 0.0,
        "num_steps": 0,
        **{f"param.{name}": value for name, value in params.items()},
    }
