"""Calls a task's methods while a sweep is planned, and reports a bug in one as a short error."""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from orchestrator.planning.space_checks import shown
from tasks.contract import RequestError, Source, Stage, SweepError, Task, Trial


@contextmanager
def calling(task: Task, method: str) -> Iterator[None]:
    """Convert an exception from a method of the task to a RequestError with file and line."""
    try:
        yield
    except SweepError:
        raise
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)[1:]
        place = f" at {frames[-1].filename}, line {frames[-1].lineno}" if frames else ""
        raise RequestError(
            f"{method} of the task {task.name!r} failed{place}: "
            f"{type(error).__name__}: {error}; fix the method"
        ) from error


def resolve(task: Task, model: str, data: str) -> tuple[Source, Source]:
    """Return the model and the data with these names, as the task finds them.

    Raises:
        RequestError: if the task refuses them, or its method does not return two sources.
    """
    with calling(task, "resolve"):
        found: object = task.resolve(model, data)
    if not (
        isinstance(found, tuple)
        and len(found) == 2
        and all(isinstance(source, Source) for source in found)
    ):
        raise RequestError(
            f"resolve of the task {task.name!r} must return two Source objects, for the model and "
            f"the data, but returned {shown(found)}"
        )
    return found


def for_data(task: Task, data: Source) -> Task:
    """Return the task with the columns for this data.

    Raises:
        RequestError: if its method does not return a task.
    """
    with calling(task, "for_data"):
        found: object = task.for_data(data)
    if not isinstance(found, Task):
        raise RequestError(
            f"for_data of the task {task.name!r} must return a task (`return self`), but returned "
            f"{shown(found)}"
        )
    return found


def normalize(task: Task, trial: Trial) -> Trial:
    """Return the trial as the task will run it.

    Raises:
        RequestError: if the task refuses it, or its method does not return a trial.
    """
    with calling(task, "normalize"):
        found: object = task.normalize(trial)
    if not isinstance(found, Trial):
        raise RequestError(
            f"normalize of the task {task.name!r} must return the trial (`return trial`), "
            f"but returned {shown(found)}"
        )
    return found


def check_gpus(task: Task, trial: Trial, num_gpus: int) -> None:
    """Check that several GPUs can compute a trial together.

    Raises:
        RequestError: if they cannot.
    """
    with calling(task, "check_gpus"):
        task.check_gpus(trial, num_gpus)


def try_methods(task: Task, trial: Trial) -> None:
    """Call the methods that planning and packing will call, on one trial.

    Raises:
        RequestError: if a method fails or returns a value of a wrong type.
    """
    with calling(task, "stages"):
        found: object = task.stages(trial)
    stages: Sequence[object] = found if isinstance(found, (list, tuple)) else [found]
    for stage in stages:
        if not isinstance(stage, Stage):
            raise RequestError(
                f"stages of the task {task.name!r} must return a list of Stage, "
                f"but returned {shown(found)}"
            )
        check_stage(task, stage)
    with calling(task, "pack_key"):
        key = task.pack_key(trial)
        try:
            hash(key)
        except TypeError:
            raise RequestError(
                f"pack_key of the task {task.name!r} must return a hashable value, such as a "
                f"tuple, but returned {shown(key)}"
            ) from None
    with calling(task, "estimate_memory"):
        number: object = task.estimate_memory(trial)
    if not isinstance(number, int) or isinstance(number, bool) or number < 0:
        raise RequestError(
            f"estimate_memory of the task {task.name!r} must return the bytes that one trial "
            f"needs, an int of at least 0, but returned {shown(number)}"
        )
    with calling(task, "max_pack_size"):
        most: object = task.max_pack_size(trial)
    if most is not None and (not isinstance(most, int) or isinstance(most, bool) or most < 1):
        raise RequestError(
            f"max_pack_size of the task {task.name!r} must return an int of at least 1 or None, "
            f"but returned {shown(most)}"
        )


def check_stage(task: Task, stage: Stage) -> None:
    """Refuse a stage without a content id, or whose function other processes cannot import.

    Raises:
        RequestError: if it is such a stage.
    """
    function = stage.function
    name = getattr(function, "__qualname__", shown(function))
    if not callable(function) or "<" in name or not hasattr(function, "__module__"):
        raise RequestError(
            "the function of a stage must be defined at module level, so that workers can import "
            f"it, but a stage of {task.name!r} has {name}; move it to module level, and pass its "
            "arguments in args"
        )
    try:
        _ = stage.key
    except (TypeError, ValueError) as error:
        raise RequestError(
            f"args of the stage {name} of {task.name!r} must be plain values (str, int, float, "
            f"bool, None, lists and dicts of them, dataclasses): {error}"
        ) from error
    for need in stage.needs:
        check_stage(task, need)
