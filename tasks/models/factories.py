"""Models that are code: ``package.module:factory``, a function of the user."""

from __future__ import annotations

import importlib
import inspect
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tasks.contract import ModelError, Source
from tasks.fingerprint import fingerprint_files


def is_factory(name: str) -> bool:
    """Return whether a name is ``package.module:factory``."""
    module, colon, function = name.partition(":")
    return bool(colon) and all(word.isidentifier() for word in [*module.split("."), function])


def load_factory(name: str) -> Callable[..., Any]:
    """Import the function that ``package.module:factory`` names.

    Raises:
        ModelError: if it cannot be imported or is not callable.
    """
    module, _, function = name.partition(":")
    try:
        found = getattr(importlib.import_module(module), function)
    except AttributeError:
        raise ModelError(f"{module} has no {function!r}; check the name") from None
    except (Exception, SystemExit) as error:
        raise ModelError(
            f"{name!r} cannot be imported: {error}; install or fix {module}"
        ) from error
    if not callable(found):
        raise ModelError(f"{name!r} must be a function, but is {type(found).__name__}")
    return found  # type: ignore[no-any-return]


def fingerprint_factory(name: str) -> Source:
    """Return a factory with a fingerprint of its source file and of ``factory.files()``.

    Raises:
        ModelError: if it cannot be imported, or if a file is missing.
    """
    factory = load_factory(name)
    try:
        files = [Path(inspect.getsourcefile(inspect.unwrap(factory)) or __file__)]
        files += [Path(file) for file in getattr(factory, "files", list)()]
    except Exception as error:  # raised by the user's code
        raise ModelError(f"{name}: cannot list its files: {error}; fix factory.files()") from error
    missing = [file for file in files if not file.is_file()]
    if missing:
        raise ModelError(f"{name} reads {missing[0]}, which is missing; add the file")
    files = [file.resolve() for file in files]
    root = Path(os.path.commonpath([file.parent for file in files]))
    return Source(name=name, fingerprint=fingerprint_files(root, files))
