"""Whether the modules that this process has imported are those that their files now hold.

A function's identity is taken from files. In a notebook a file is often edited after it was
imported: without this check, the results of the old code would get the identity of the new one.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from orchestrator.functions.syntax import plain_tree
from tasks.contract import RequestError

#: By file, its content when a function of it was first used, and the import that it had then.
_first_seen: dict[Path, tuple[object, object]] = {}


def check_loaded(files: Mapping[Path, str]) -> None:
    """Refuse modules whose file has changed while this process kept the code of the old one.

    Raises:
        RequestError: naming the file.
    """
    by_file = {getattr(m, "__file__", None): m for m in list(sys.modules.values())}
    for path, text in files.items():
        module = by_file.get(str(path))
        if module is None:
            continue
        tree, spec = plain_tree(text), module.__spec__  # each import makes another spec
        seen_tree, seen_spec = _first_seen.setdefault(path, (tree, spec))
        if tree != seen_tree and spec is seen_spec:
            raise RequestError(
                f"{path} has changed since this process imported it; restart the kernel or the "
                "process, or import it again with importlib.reload"
            )
        _first_seen[path] = tree, spec
