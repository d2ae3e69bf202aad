"""Checks that the modules of this process were not edited after their import.

The identity of a function is a hash of files. Users of notebooks often edit a file after they have
imported it. Without this check, the results of the old code would have the identity of the new one.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from orchestrator.functions.syntax import plain_tree
from tasks.contract import RequestError

NO_NAMES: Mapping[Path, str] = MappingProxyType({})

#: By file, its text and its module's spec when a function of the file was first used.
_first_seen: dict[Path, tuple[str, object]] = {}


def check_loaded(files: Mapping[Path, str], names: Mapping[Path, str] = NO_NAMES) -> None:
    """Check that the files are the ones that this process has imported.

    Args:
        files: their current text, by path.
        names: the name of the task by the path of its module, whose search spaces may change.

    Raises:
        RequestError: if a file has changed.
    """
    by_file = {getattr(m, "__file__", None): m for m in list(sys.modules.values())}
    for path, text in files.items():
        module = by_file.get(str(path))
        if module is None:
            continue
        spec, name = module.__spec__, names.get(path)
        seen_text, seen_spec = _first_seen.setdefault(path, (text, spec))
        if spec is not seen_spec:  # each import creates a new spec
            _first_seen[path] = text, spec
        elif text != seen_text and plain_tree(text, name) != plain_tree(seen_text, name):
            raise RequestError(
                f"{path} has changed since this process imported it; restart the kernel or the "
                "process, or import it again with importlib.reload"
            )
