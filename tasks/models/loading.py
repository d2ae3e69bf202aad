"""Load models safely: no downloads, no code from checkpoints, no randomly initialized weights."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import torch
import transformers

from tasks.contract import ModelError
from tasks.models.folders import find_folder

#: Options of every ``from_pretrained``: download nothing and run no code from the checkpoint.
LOCAL = {"local_files_only": True, "trust_remote_code": False}


def silence_transformers() -> None:
    """Turn off the progress bars and warnings of transformers; problems raise errors here."""
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()


def load_checked(name: str, loader: Any, used: Callable[[str], bool]) -> Any:
    """Load a model in float32 and check that it has every weight for which ``used`` is true.

    Raises:
        ModelError: if the model cannot be loaded, or if weights are missing.
    """
    try:
        model, info = loader.from_pretrained(
            find_folder(name),
            **LOCAL,
            use_safetensors=True,
            output_loading_info=True,
            dtype=torch.float32,  # the default is the checkpoint's; ``precision`` is for autocast
        )
    except Exception as error:  # libraries raise many kinds of errors for damaged checkpoints
        raise _loading_error(name, "it", error) from error
    missing = sorted(key for key in info["missing_keys"] if used(key))
    if missing:
        raise ModelError(
            f"{name} lacks {len(missing)} weights of its {type(model).__name__}, such as "
            f"{missing[0]}; it was saved for another task: use a checkpoint for this one"
        )
    return model


def load_preprocessor(name: str, what: str, loader: Any) -> Any:
    """Load the tokenizer or image processor of a model.

    Raises:
        ModelError: if it cannot be loaded.
    """
    try:
        return loader.from_pretrained(find_folder(name), **LOCAL)
    except Exception as error:
        raise _loading_error(name, f"its {what}", error) from error


def _loading_error(name: str, what: str, error: Exception) -> ModelError:
    if "trust_remote_code" in str(error):
        return ModelError(
            f"{name} needs code from its checkpoint, which is never run; write a factory and use "
            "package.module:factory"
        )
    command = re.search(r"pip install [\w.\[\]=<>-]*\w", str(error))
    if isinstance(error, ImportError) and command:
        return ModelError(
            f"{name}: {what} needs a package that is not installed; run `{command[0]}`"
        )
    first = next(iter(str(error).strip().splitlines()), type(error).__name__)
    return ModelError(
        f"{name}: {what} cannot be loaded: {first}; copy its files from the original model"
    )
