"""Shorten the names of models and data sets, which may contain paths of this machine."""

from __future__ import annotations

import re

#: A data set by its id; a folder begins with a slash.
_HUB_DATA = re.compile(r"hub:[^/]")
_COMMIT = re.compile(r"(@[0-9a-f]{7})[0-9a-f]{33}")


def short_name(name: str) -> str:
    """Remove parent folders from a name: ``folder:/home/me/photos`` becomes ``folder:photos``.

    Hugging Face ids do not change, except for the commit of ``hub:user/photos@COMMIT``.
    """
    if _HUB_DATA.match(name):
        return _COMMIT.sub(r"\1", name)
    return "+".join(_short_part(part) for part in name.split("+"))


def _short_part(part: str) -> str:
    kind, colon, path = part.rpartition(":")
    if "/" not in path or (not colon and path.count("/") == 1 and not path.startswith((".", "/"))):
        return part
    return f"{kind}{colon}{path.rstrip('/').rsplit('/', 1)[-1]}"
