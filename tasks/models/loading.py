"""``from_pretrained`` without surprises: nothing fetched, no foreign code, no random weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import transformers

from tasks.contract import ModelError
from tasks.models.folders import find_folder

#: Of every model, tokenizer and processor: nothing is fetched, and none of its own code is run.
LOCAL = {"local_files_only": True, "trust_remote_code": False}


def quiet() -> None:
    """Keep transformers from printing: what matters is raised as an error."""
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()


def load_checked(name: str, loader: Any, used: Callable[[str], bool]) -> Any:
    """``from_pretrained``, refusing a checkpoint that leaves a used weight at random.

    Raises:
        ModelError: naming the first weight that is missing, or why it cannot be loaded.
    """
    try:
        model, info = loader.from_pretrained(
            find_folder(name), **LOCAL, use_safetensors=True, output_loading_info=True
        )
    except Exception as error:  # what a damaged checkpoint brings a library to raise
        raise _unloadable(name, "it", error) from error
    missing = sorted(key for key in info["missing_keys"] if used(key))
    if missing:
        raise ModelError(
            f"{name} lacks {len(missing)} weights of its {type(model).__name__}, "
            f"{missing[0]} first; it was saved for another task: give a checkpoint of this one"
        )
    return model


def load_beside(name: str, what: str, loader: Any) -> Any:
    """The tokenizer or image processor that lies beside a model's weights.

    Raises:
        ModelError: if it cannot be loaded.
    """
    try:
        return loader.from_pretrained(find_folder(name), **LOCAL)
    except Exception as error:
        raise _unloadable(name, f"its {what}", error) from error


def _unloadable(name: str, what: str, error: Exception) -> ModelError:
    if "trust_remote_code" in str(error):
        return ModelError(
            f"{name} brings code of its own, which is not run; write a factory and give it as "
            "package.module:factory"
        )
    first = next(iter(str(error).strip().splitlines()), type(error).__name__)
    return ModelError(
        f"{name}: {what} cannot be loaded: {first}; copy its files from the original model"
    )
