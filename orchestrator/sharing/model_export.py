"""What ``export`` does: one trial of a sweep as a folder that runs without this project."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import safetensors

from orchestrator.functions.recorded import load_recorded_task
from orchestrator.planning import task_calls
from orchestrator.planning.space_checks import shown
from orchestrator.running.recorded import check_model, recorded_trial
from results.export.model_card import render_card, trial_record
from results.render.show import find_trial
from results.storage.atomic_write import replaced_folder
from results.storage.reading import Sweep
from results.storage.weights import Weights, find_weights
from results.tables.selection import Selection, select_best, select_trial
from tasks.contract import Export, RequestError, StoreError, Task, Trial

RECORD, CARD = "export.json", "README.md"


@dataclass(frozen=True, kw_only=True)
class Exported:
    """What was written."""

    folder: Path
    selection: Selection
    num_files: int
    num_bytes: int
    untrained: str  # that it was not trained, as a sentence; empty for one that was


def export_model(
    sweep: Sweep,
    trial_prefix: str | None,
    directory: str,
    *,
    overwrite: bool = False,
    listing: str = "`show`",
    task: Task | None = None,
) -> Exported:
    """Write a finished trial's model, its model card and its parameters into a folder.

    The folder appears when it is complete.

    Args:
        sweep: the sweep.
        trial_prefix: how the trial's id starts; None for the first seed of the best configuration.
        directory: the folder to write.
        overwrite: whether to replace an earlier export.
        listing: the command that lists the sweep's trials, for an error.
        task: the task that ran; None to find it by its name.

    Raises:
        RequestError: if the folder is taken or cannot be written, or the model has changed.
        StoreError: if the trial has no weights, or damaged ones.
    """
    if trial_prefix is None:
        _check_is_folder(sweep, directory)
        selection = select_best(sweep)
    else:
        selection = select_trial(sweep, find_trial(sweep, trial_prefix, listing))
    target = check_directory(directory, overwrite)
    task = task or load_recorded_task(sweep.manifest)
    trial = recorded_trial(task, selection.trial)
    found = _read_weights(sweep, selection, task)
    check_model(task, trial)
    with _new_folder(target, directory) as folder:
        description = _call_export(task, trial, found, folder)
        record = trial_record(sweep, selection.trial)
        record |= {"values": found.values if found else {}}
        (folder / RECORD).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
        untrained = _describe_untrained(task, trial)
        card = render_card(sweep, selection, description, untrained)
        (folder / CARD).write_text(card, encoding="utf-8")
        mode = (folder / CARD).stat().st_mode  # safetensors gives its files to their owner alone
        for file in folder.rglob("*.safetensors"):
            file.chmod(mode)
        sizes = [file.stat().st_size for file in folder.rglob("*") if file.is_file()]
    return Exported(
        folder=target,
        selection=selection,
        num_files=len(sizes),
        num_bytes=sum(sizes),
        untrained=untrained,
    )


def _check_is_folder(sweep: Sweep, directory: str) -> None:
    """Refuse a trial's id where a folder is asked for."""
    ids = [row["trial_id"] for row in sweep.rows() if row["trial_id"].startswith(directory)]
    if len(directory) >= 4 and ids and not os.path.exists(directory):
        raise RequestError(
            f"{directory} is a trial; name a folder as well: export NAME {directory} DIR (for a "
            f"folder of this name, ./{directory})"
        )


def _describe_untrained(task: Task, trial: Trial) -> str:
    """That a trial whose schedule has no length is the start of the others, not their result."""
    name = task.schedule_length
    if name is None or getattr(trial.params, name) != 0:
        return ""
    return f"It was not trained in this sweep ({name} 0): the model is as it started."


# --- weights --------------------------------------------------------------------------------------


def _read_weights(sweep: Sweep, selection: Selection, task: Task) -> Weights | None:
    """The trial's weights; None for a task that has none."""
    row = selection.trial
    if row["status"] != "finished":
        raise StoreError(
            f"trial {row['trial_id']} is {row['status']}, and only finished trials have weights; "
            "export another one"
        )
    if not task.has_weights:
        return None
    store = find_weights(sweep, row)
    found = None if store is None else store.read(row["trial_id"])
    if found is None:
        again = keeping_command(sweep.manifest.command, "best" if selection.is_best else "all")
        raise StoreError(
            f"the weights of trial {row['trial_id']} are not kept; this command runs what is "
            f"needed again and keeps them: {again}"
        )
    return found


def keeping_command(command: Sequence[str], keep: str) -> str:
    """A sweep's command with another ``--keep``, and without a look at another split."""
    if len(command) == 1:  # a call in Python
        return f"{command[0]} with keep={keep!r}"
    words: list[str] = []
    skip = False
    for word in command:
        if skip or word in ("--keep", "--final"):
            skip = not skip
        elif not word.startswith(("--keep=", "--final=")):
            words.append(word)
    return shlex.join([*words, "--keep", keep])


def _call_export(task: Task, trial: Trial, found: Weights | None, folder: Path) -> Export:
    """Let the task write its model."""
    arrays, values = (found.arrays, found.values) if found else ({}, {})
    with task_calls.calling(task, "export"), _full_disk():
        description: object = task.export(trial, arrays, values, folder)
    if not isinstance(description, Export):
        raise RequestError(
            f"export of the task {task.name!r} must return an Export, but returned "
            f"{shown(description)}"
        )
    return description


@contextlib.contextmanager
def _full_disk() -> Iterator[None]:
    """Turn an error of writing into one that the user can act on."""
    try:
        yield
    except safetensors.SafetensorError as error:
        raise RequestError(f"the weights cannot be written: {error}") from None
    except OSError as error:
        raise RequestError(f"the model cannot be written: {error.strerror or error}") from None


# --- the folder -----------------------------------------------------------------------------------


def check_directory(directory: str, overwrite: bool) -> Path:
    """The absolute folder to write, refused if something is there.

    Raises:
        RequestError: naming what is in the way.
    """
    if not directory.strip() or "://" in directory:
        raise RequestError(f"DIR must be a local folder, but got {directory!r}")
    target = Path(os.path.realpath(os.path.expanduser(directory)))
    if target == Path(os.path.realpath(".")):
        raise RequestError(f"DIR must not be the current directory; name a new folder in {target}")
    if os.path.lexists(target) and not target.is_dir():
        raise RequestError(f"{directory} is a file; name a new folder")
    if target.is_dir() and any(target.iterdir()):
        if not overwrite:
            raise RequestError(f"{directory} is not empty; name a new folder, or add --overwrite")
        if not (target / RECORD).is_file():
            raise RequestError(
                f"{directory} is no export (it has no {RECORD}), so --overwrite leaves it alone; "
                "name a new folder"
            )
    return target


@contextlib.contextmanager
def _new_folder(target: Path, directory: str) -> Iterator[Path]:
    """A new folder that takes the target's place at the end, with errors as the user's.

    Raises:
        RequestError: if it cannot be written.
    """
    try:
        with replaced_folder(target) as folder:
            yield folder
    except OSError as error:
        raise RequestError(f"{directory} cannot be written: {error.strerror or error}") from None
