"""From NAME, TASK/NAME or OUT/TASK/NAME to a sweep."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from orchestrator import discovery
from tasks.contract import RequestError

if TYPE_CHECKING:
    from results.reading import Sweep


def find_sweep(text: str, task: str | None, out: str) -> Sweep:
    """The one sweep of NAME, TASK/NAME or OUT/TASK/NAME."""
    *above, name = text.rstrip("/").rsplit("/", 2)
    if above:
        task = above[-1]
    if len(above) == 2:
        out = above[0] or "/"
    found = find_sweeps(out, task, [name])
    if len(found) > 1:
        tasks_ = ", ".join(str(one.manifest["task"]) for one in found)
        raise RequestError(f"{name!r} is a sweep of {tasks_}: say which with --task")
    return found[0]


def find_sweeps(out: str, task: str | None, names: Sequence[str]) -> list[Sweep]:
    """The sweeps of these names, or all; RequestError where there is none."""
    from orchestrator.plan import ALIASES
    from results.reading import find_sweeps as list_sweeps
    from results.reading import read_sweep
    from results.roots import redact

    known = list_sweeps(out, task)
    there = {each for _, each in known}
    names = [name if name in there else ALIASES.get(name, name) for name in names]
    if not known:
        of = f" of {task}" if task else ""
        raise RequestError(
            f"no sweeps{of} under {redact(out)}; run `python -m orchestrator sweep TASK` first"
        )
    for name in names:
        if name not in {each for _, each in known}:
            near = discovery.suggest(name, sorted({each for _, each in known}))
            raise RequestError(f"no sweep named {name!r} under {redact(out)}; {near}")
    return [read_sweep(out, *found) for found in known if not names or found[1] in names]
