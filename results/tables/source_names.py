"""Shorten the names of models and data sets, which may contain paths of this machine."""

from __future__ import annotations


def short_name(name: str) -> str:
    """Remove parent folders from a name: ``folder:/home/me/photos`` becomes ``folder:photos``.

    Hugging Face ids do not change.
    """
    return "+".join(_short_part(part) for part in name.split("+"))


def _short_part(part: str) -> str:
    kind, colon, path = part.rpartition(":")
    if "/" not in path or (not colon and path.count("/") == 1 and not path.startswith((".", "/"))):
        return part
    return f"{kind}{colon}{path.rstrip('/').rsplit('/', 1)[-1]}"
