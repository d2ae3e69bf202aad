"""Save exported models as Hugging Face folders, and find the licenses of their base models."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from tasks.models import folders
from tasks.models.factories import is_factory
from tasks.models.families import is_pair, split_pair

_FRONT_MATTER = re.compile(r"\A---\s*\n(.*?)\n---\s*$", re.DOTALL | re.MULTILINE)
_LICENSE = re.compile(r"^license:\s*[\"']?([\w.+-]+)[\"']?\s*$", re.MULTILINE)
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


def save_folder(folder: Path, model: Any, *preprocessors: Any) -> None:
    """Save a model in float32 with its tokenizer and image processor, for ``from_pretrained``."""
    model.float().save_pretrained(folder)
    for each in preprocessors:
        each.save_pretrained(folder)


def find_license(name: str) -> str | None:
    """Return the license of a model, or the common license of the encoders of a pair.

    It is read from the front matter of ``README.md`` in the model's folder; None if unknown.
    """
    parts = split_pair(name) if is_pair(name) else (name,)
    found = {_read_license(part) for part in parts}
    return found.pop() if len(found) == 1 else None


def _read_license(name: str) -> str | None:
    if name == folders.SHIPPED:
        return "mit"  # this project's license; it trained the model on images that it draws
    if is_factory(name):
        return None
    try:
        text = (folders.find_folder(name) / "README.md").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
    front = _FRONT_MATTER.search(text)
    named = _LICENSE.search(front[1]) if front else None
    return named[1] if named else None


def hub_ids(name: str) -> list[str]:
    """Return the Hugging Face Hub ids in a model's name; local folders have none."""
    parts = split_pair(name) if is_pair(name) else (name,)
    is_id = [_HUB_ID.fullmatch(part) and not Path(part).is_dir() for part in parts]
    return [part for part, yes in zip(parts, is_id, strict=True) if yes]
