"""``export``: writes a trial's model to a folder that can be used without this project."""

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
from results.storage.atomic_write import atomic_folder
from results.storage.reading import Sweep
from results.storage.weights import Weights, find_weights
from results.tables.selection import Selection, select_best, select_trial
from tasks.contract import Export, RequestError, StoreError, Task, Trial

RECORD, CARD = "export.json", "README.md"


@dataclass(frozen=True, kw_only=True)
class Exported:
    """Describes an exported model."""

    folder: Path
    selection: Selection
    num_files: int
    num_bytes: int
    untrained: str  # a sentence if the model was not trained; otherwise empty


def export_model(
    sweep: Sweep,
    trial_prefix: str | None,
    directory: str,
    *,
    overwrite: bool = False,
    listing: str = "`show`",
    task: Task | None = None,
) -> Exported:
    """Write a finished trial's model, model card and parameters to a folder, atomically.

    Args:
        sweep: the sweep.
        trial_prefix: a unique prefix of the trial's id; None for the first seed of the best
            configuration.
        directory: the folder to write.
        overwrite: whether to replace an earlier export.
        listing: the command that lists the sweep's trials, for error messages.
        task: the task of the sweep; None to find it by its name.

    Raises:
        RequestError: if the folder is not empty or cannot be written, or the base model has
            changed.
        StoreError: if the trial's weights are missing or damaged.
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
        mode = (folder / CARD).stat().st_mode  # safetensors makes files readable only by the owner
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
    """Refuse a trial id in place of a folder."""
    ids = [row["trial_id"] for row in sweep.rows() if row["trial_id"].startswith(directory)]
    if len(directory) >= 4 and ids and not os.path.exists(directory):
        raise RequestError(
            f"{directory} is a trial; add a folder: export NAME {directory} DIR (or write to "
            f"./{directory} if you mean a folder)"
        )


def _describe_untrained(task: Task, trial: Trial) -> str:
    """Return a sentence if the trial's schedule has length 0; otherwise an empty string."""
    name = task.schedule_length
    if name is None or getattr(trial.params, name) != 0:
        return ""
    return f"The model was not trained in this sweep ({name} is 0)."


# --- weights --------------------------------------------------------------------------------------


def _read_weights(sweep: Sweep, selection: Selection, task: Task) -> Weights | None:
    """Return the trial's weights; None for a task without weights."""
    row = selection.trial
    if row["status"] != "finished":
        raise StoreError(
            f"trial {row['trial_id']} is {row['status']}, but only finished trials have weights; "
            "export another trial"
        )
    if not task.has_weights:
        return None
    store = find_weights(sweep, row)
    found = None if store is None else store.read(row["trial_id"])
    if found is None:
        again = keeping_command(sweep.manifest.command, "best" if selection.is_best else "all")
        raise StoreError(
            f"the weights of trial {row['trial_id']} were not kept; to run the needed trials "
            f"again and keep their weights: {again}"
        )
    return found


def keeping_command(command: Sequence[str], keep: str) -> str:
    """Return a sweep's command with another ``--keep`` and without ``--final``."""
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
    """Call the task's ``export``, and check what it returns."""
    arrays, values = (found.arrays, found.values) if found else ({}, {})
    with task_calls.calling(task, "export"), _write_errors():
        description: object = task.export(trial, arrays, values, folder)
    if not isinstance(description, Export):
        raise RequestError(
            f"export of the task {task.name!r} must return an Export, but returned "
            f"{shown(description)}"
        )
    return description


@contextlib.contextmanager
def _write_errors() -> Iterator[None]:
    """Convert errors of writing, such as a full disk, to RequestError."""
    try:
        yield
    except safetensors.SafetensorError as error:
        raise RequestError(f"the weights cannot be written: {error}") from None
    except OSError as error:
        raise RequestError(f"the model cannot be written: {error.strerror or error}") from None


# --- the folder -----------------------------------------------------------------------------------


def check_directory(directory: str, overwrite: bool) -> Path:
    """Check that the folder can be written, and return its absolute path.

    Raises:
        RequestError: if it is not a local folder, or is not empty.
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
                f"{directory} is not an export (it has no {RECORD}), so --overwrite does not "
                "replace it; name a new folder"
            )
    return target


@contextlib.contextmanager
def _new_folder(target: Path, directory: str) -> Iterator[Path]:
    """Yield a new folder that replaces the target at the end.

    Raises:
        RequestError: if it cannot be written.
    """
    try:
        with atomic_folder(target) as folder:
            yield folder
    except OSError as error:
        raise RequestError(f"{directory} cannot be written: {error.strerror or error}") from None
