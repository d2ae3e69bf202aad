"""Checks that a finished example trial can be exported."""

from __future__ import annotations

import ast
import tempfile
from pathlib import Path

from orchestrator.contract_suite.subject import Subject, ViolationError
from orchestrator.planning.space_checks import shown
from orchestrator.saving.final_weights import chosen_weights, encode_weights
from results.storage.sealed_tensors import unseal
from results.text import plural
from tasks.contract import Export


def exports(subject: Subject) -> str:
    """``export`` writes and describes files. Its arrays come from a file, as in real exports."""
    trial, state = subject.trials[0], subject.last_states[0]
    chosen = chosen_weights(subject.task, trial, state)
    arrays = {}
    if chosen:
        arrays = unseal(bytearray(encode_weights(trial, chosen, state.values))).arrays
    with tempfile.TemporaryDirectory() as folder:
        found: object = subject.task.export(
            trial, arrays, state.values if chosen else {}, Path(folder)
        )
        files = [file for file in Path(folder).rglob("*") if file.is_file()]
    if not isinstance(found, Export):
        raise ViolationError(f"export must return an Export, but returned {shown(found)}")
    if not files:
        raise ViolationError("export wrote no file to its folder")
    try:
        ast.parse(found.usage)
    except SyntaxError as error:
        raise ViolationError(f"the usage that export returned is not Python: {error}") from None
    return plural(len(files), "file")
