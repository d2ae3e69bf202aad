"""Reads the sweeps of ``--learn-from``, and describes what a search learns from them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from orchestrator.planning.stored_sweeps import locate, split_name
from results.redaction import is_redacted, redact
from results.storage.reading import Sweep, read_sweep
from results.text import listed, plural
from tasks.contract import RequestError

if TYPE_CHECKING:
    from orchestrator.running.plan import Plan
    from orchestrator.search.learning import FinishedConfiguration, Learned

#: Samplers of ours that suggest values from all finished trials of a study. CMA-ES and NSGA-II use
#: only those that they suggested themselves.
LEARNING_SAMPLERS = ("tpe", "gp", "auto")


def check_learns(sampler: str, names: Sequence[str]) -> None:
    """Check that the sampler can learn from other sweeps, if any are given.

    Raises:
        RequestError: if it cannot.
    """
    if names and sampler not in LEARNING_SAMPLERS and ":" not in sampler:
        raise RequestError(
            f"--learn-from {redact(names[0])} has no effect with --sampler {sampler}, which does "
            f"not learn from trials of other sweeps; use {' or '.join(LEARNING_SAMPLERS)}"
        )


def learn_from(plan: Plan) -> Learned:
    """Return what the search of a plan learns from the sweeps of its request.

    Raises:
        RequestError: if a sweep does not exist, is of another task, or has no configuration that
            fits the space.
    """
    from orchestrator.search.learning import finished_configurations, learn

    assert plan.space.search is not None
    metrics = [each.name for each in plan.objectives] or [plan.task.metric.name]
    sweeps: dict[str, list[FinishedConfiguration]] = {}
    for text in plan.request.learn_from:
        sweep = _read(text, plan)
        name = sweep.manifest.full_name
        found = finished_configurations(sweep.current_rows(), metrics)
        if not found:
            raise RequestError(
                f"--learn-from {redact(text)}: no trial of it finished with {listed(metrics)}; "
                "remove it"
            )
        sweeps[name] = [*sweeps.get(name, []), *found]
    learned = learn(sweeps, plan.space.search, plan.factory)
    if plan.request.learn_from and not learned.trials:
        raise RequestError(
            f"--learn-from {redact(' '.join(plan.request.learn_from))}: none of "
            f"{plural(learned.num_outside, 'configuration')} fits the space"
            f"{_describe_outside(learned)}; change the space, or remove it"
        )
    return learned


def describe_learned(learned: Learned) -> str:
    """Return a line on what the search learns, and on what does not fit its space."""
    sweeps = [
        f"{plural(number, 'configuration')} of {name}"
        for name, number in learned.num_by_sweep.items()
    ]
    line = f"The sampler learns from {listed(sweeps)}"
    if learned.num_outside:
        others = plural(learned.num_outside, "other configuration")
        do = "does" if learned.num_outside == 1 else "do"
        line += f"; {others} {do} not fit the space{_describe_outside(learned)}"
    return f"{line}."


def _describe_outside(learned: Learned) -> str:
    """Return `` (outside: epochs 3, lr 1)``, empty if no parameter is known."""
    found = sorted(learned.outside.items(), key=lambda pair: (-pair[1], pair[0]))
    parts = [f"{name} {number}" for name, number in found]
    return f" (outside: {', '.join(parts)})" if parts else ""


def _read(text: str, plan: Plan) -> Sweep:
    """Read the sweep that NAME, TASK/NAME or OUT/TASK/NAME refers to."""
    own, out = plan.task.name, plan.request.out
    _, task, _ = split_name(text)
    if task not in (None, own):
        raise RequestError(f"--learn-from {redact(text)} is a sweep of {task}, not of {own}")
    if is_redacted(text):
        raise RequestError(
            f"--learn-from {text}: sweep.json does not record credentials; give --learn-from again"
        )
    try:
        found = locate(text, own, out)
    except RequestError as error:
        raise RequestError(f"--learn-from: {error}") from None
    if found == (out, own, plan.name):
        raise RequestError(
            f"--learn-from {redact(text)} is the sweep itself; remove it, or use another --name"
        )
    return read_sweep(*found)
