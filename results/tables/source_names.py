"""Names of models and data sets without the folders of this machine."""

from __future__ import annotations


def short_name(name: str) -> str:
    """A model or data set without the folders above it: ``folder:/home/me/photos`` is
    ``folder:photos``. An id on the Hub stays whole."""
    return "+".join(_short_part(part) for part in name.split("+"))


def _short_part(part: str) -> str:
    kind, colon, path = part.rpartition(":")
    if "/" not in path or (not colon and path.count("/") == 1 and not path.startswith((".", "/"))):
        return part
    return f"{kind}{colon}{path.rstrip('/').rsplit('/', 1)[-1]}"
