"""Finds the sweep that NAME, TASK/NAME or OUT/TASK/NAME refers to."""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

from orchestrator.planning.suggestions import suggest
from tasks.contract import RequestError

if TYPE_CHECKING:
    from results.storage.reading import Sweep

DEFAULT_OUT = "runs"


def command(*words: str, out: str = DEFAULT_OUT) -> str:
    """Return a command to suggest, with the ``--out`` that the user gave."""
    from results.redaction import redact

    given = [] if out == DEFAULT_OUT else ["--out", redact(out)]
    return f"`python -m orchestrator {' '.join([*words, *map(shlex.quote, given)])}`"


def list_sweeps(out: str, task: str | None) -> list[tuple[str, str]]:
    """Return (task, name) of every sweep under ``out``, or of those of one task.

    Raises:
        RequestError: if no sweep was found.
    """
    from results.redaction import redact
    from results.storage.reading import find_sweeps as read_names

    known = read_names(out)
    found = [each for each in known if task is None or each[0] == task]
    if not known:
        first = command("sweep", task or "TASK", out=out)
        raise RequestError(f"no sweeps under {redact(out)}; run {first} first")
    if not found:
        near = suggest(str(task), sorted({each for each, _ in known}))
        raise RequestError(f"no sweeps of {task} under {redact(out)}; {near}")
    return found


def find_sweep(text: str, task: str | None, out: str) -> Sweep:
    """Read the sweep that NAME, TASK/NAME or OUT/TASK/NAME refers to.

    Raises:
        RequestError: if no sweep has the name, or several have it.
    """
    from results.storage.reading import read_sweep

    return read_sweep(*locate(text, task, out))


def find_sweep_or_archive(text: str, task: str | None, out: str) -> Sweep:
    """Read the sweep in an archive FILE, or the sweep with a name.

    Raises:
        RequestError: if no sweep has the name, several have it, or the file is not an archive.
    """
    from results.archive.files import is_archive
    from results.archive.sweep import read_archive

    return read_archive(text) if is_archive(text) else find_sweep(text, task, out)


def locate(text: str, task: str | None, out: str) -> tuple[str, str, str]:
    """Return (out, task, name) of the sweep that NAME, TASK/NAME or OUT/TASK/NAME refers to.

    Raises:
        RequestError: if no sweep has the name, or several have it.
    """
    from orchestrator.planning.spaces import ALIASES
    from results.redaction import redact

    given, task_of_name, name = split_name(text)
    if task_of_name is not None and task is not None and task != task_of_name:
        raise RequestError(
            f"{redact(text)!r} is a sweep of {task_of_name}, but --task is {task}; remove --task"
        )
    task, out = task_of_name or task, given or out
    known = list_sweeps(out, task)
    name = name if name in {each for _, each in known} else ALIASES.get(name, name)
    found = [each for each in known if each[1] == name]
    if not found:
        raise RequestError(
            f"no sweep named {name!r} under {redact(out)}; {_near(name, known, out)}"
        )
    if len(found) > 1:
        names = [f"{of}/{each}" for of, each in found]
        raise RequestError(
            f"{len(found)} sweeps under {redact(out)} are named {name!r}; "
            f"give the full name: {' or '.join(names)}"
        )
    return (out, *found[0])


def split_name(text: str) -> tuple[str | None, str | None, str]:
    """Return (out, task, name) of NAME, TASK/NAME or OUT/TASK/NAME, None for what is not given."""
    *above, name = text.rstrip("/").rsplit("/", 2)
    task = above[-1] if above else None
    return ((above[0] or "/") if len(above) == 2 else None), task, name


def _near(name: str, known: Sequence[tuple[str, str]], out: str) -> str:
    """Return a hint for an unknown name: similar full names, or how to list all."""
    full = [f"{task}/{each}" for task, each in known]
    if name in {task for task, _ in known}:
        of = [each for each in full if each.startswith(f"{name}/")]
        return f"that is a task; its sweeps: {', '.join(of[:6])}{', ...' * (len(of) > 6)}"
    close = difflib.get_close_matches(name, sorted({each for _, each in known}), n=1)
    near = [f"{task}/{each}" for task, each in known if each in close]
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    if len(full) > 6:
        return f"{hint}{command('list', out=out)} lists all {len(full)}"
    return f"{hint}available: {', '.join(full)}"


def find_sweeps(names: Sequence[str], task: str | None, out: str) -> list[Sweep]:
    """Read the sweeps with these names, each once, or all sweeps if no name is given."""
    from results.storage.reading import read_sweep

    if not names:
        return [read_sweep(out, *each) for each in list_sweeps(out, task)]
    found = [find_sweep(name, task, out) for name in names]
    return list({sweep.path: sweep for sweep in found}.values())
