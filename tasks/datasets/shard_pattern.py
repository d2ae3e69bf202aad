"""Find tar files by a folder or a pattern such as ``/data/{train,val}-{000..009}.tar``."""

from __future__ import annotations

import itertools
import math
import os
import re
from collections.abc import Iterable
from pathlib import Path

from tasks.contract import DataError
from tasks.datasets.files import find_root

MAX_SHARDS = 100_000
_BRACES = re.compile(r"\{([^{}]*)\}")
_RANGE = re.compile(r"(?P<first>\d{1,12})\.\.(?P<last>\d{1,12})")


def find_shards(pattern: str) -> tuple[str, Path, list[Path]]:
    """Find the tar files of a folder, a file or a pattern.

    Returns:
        The absolute pattern, the folder above all files, and the sorted files.

    Raises:
        DataError: if there is no such folder, or no tar file in it.
    """
    if "{" not in pattern and not pattern.endswith(".tar"):
        root = find_root(pattern)
        shards = list(root.glob("**/*.ta[r]"))  # the brackets also find broken links
        if not shards:
            raise DataError(f"{root} has no .tar files; add them, or change --data")
        return str(root), root, _sort(root, shards)
    path = os.path.abspath(os.path.expanduser(pattern))
    above = os.path.dirname(path.partition("{")[0] + "x")
    root = find_root(above)
    path = os.path.join(root, path[len(above) :].lstrip("/"))
    return path, root, _sort(root, map(Path, expand(path)))


def _sort(root: Path, shards: Iterable[Path]) -> list[Path]:
    """Sort by relative path as text, so that a folder and a pattern have the same order."""
    return sorted(shards, key=lambda shard: shard.relative_to(root).as_posix())


def expand(pattern: str) -> list[str]:
    """Return the names that a pattern with braces stands for.

    Raises:
        DataError: if there are none or too many, or a brace is not closed.

    Examples:
        >>> expand("{08..10}.tar")
        ['08.tar', '09.tar', '10.tar']
        >>> expand("{a,b}.tar")
        ['a.tar', 'b.tar']
    """
    parts = _BRACES.split(pattern)
    if any(brace in text for text in parts[::2] for brace in "{}"):
        raise DataError(f"{pattern} has nested or open braces; write {{000..009}} or {{a,b}}")
    number = math.prod(_count(part) for part in parts[1::2])
    if not 0 < number <= MAX_SHARDS:
        raise DataError(f"{pattern} names {number:,} files, not 1 to {MAX_SHARDS:,}; change it")
    choices = [_choices(part) if i % 2 else [part] for i, part in enumerate(parts)]
    return ["".join(chosen) for chosen in itertools.product(*choices)]


def _count(inside: str) -> int:
    found = _RANGE.fullmatch(inside)
    if found is None:
        return len(inside.split(","))
    return max(0, int(found["last"]) - int(found["first"]) + 1)


def _choices(inside: str) -> list[str]:
    found = _RANGE.fullmatch(inside)
    if found is None:
        return inside.split(",")
    width = len(found["first"])
    return [f"{n:0{width}}" for n in range(int(found["first"]), int(found["last"]) + 1)]
