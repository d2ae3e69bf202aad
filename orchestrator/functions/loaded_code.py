"""Checks that the modules of this process were not edited after their import.

The identity of a function is a hash of files. Users of notebooks often edit a file after they have
imported it. Without this check, the results of the old code would have the identity of the new one.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from orchestrator.functions.syntax import plain_tree
from tasks.contract import RequestError

#: By file, its content and its module's spec when a function of the file was first used.
_first_seen: dict[Path, tuple[object, object]] = {}


def check_loaded(files: Mapping[Path, str]) -> None:
    """Check that the files are the ones that this process has imported.

    Args:
        files: their current text, by path.

    Raises:
        RequestError: if a file has changed.
    """
    by_file = {getattr(m, "__file__", None): m for m in list(sys.modules.values())}
    for path, text in files.items():
        module = by_file.get(str(path))
        if module is None:
            continue
        tree, spec = plain_tree(text), module.__spec__  # each import creates a new spec
        seen_tree, seen_spec = _first_seen.setdefault(path, (tree, spec))
        if tree != seen_tree and spec is seen_spec:
            raise RequestError(
                f"{path} has changed since this process imported it; restart the kernel or the "
                "process, or import it again with importlib.reload"
            )
        _first_seen[path] = tree, spec
