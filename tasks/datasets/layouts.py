"""Detect a folder's layout, to correct a ``--data`` that does not name it."""

from __future__ import annotations

from pathlib import Path

from tasks.datasets.coco import karpathy_files, years_in
from tasks.datasets.flickr import CAPTIONS

_DEPTHS, _KINDS = ("", "*/"), ("csv", "jsonl")
_PREFIXES = {"attributes": "folder"}  # of the layouts whose value does not begin with their name


def detect_layout(folder: Path) -> str | None:
    """Return a layout by a folder's files: folder has captions, attributes metadata.

    The result is None if none fits.
    """
    try:
        if any(folder.glob("dataset*.json")):
            return "karpathy"
        if years_in(folder) or any(file.is_file() for file in karpathy_files(folder)):
            return "coco"
        if any((folder / name).is_file() for name in CAPTIONS):
            return "flickr"
        if (folder / "captions_v1.json").is_file() or (folder / "JPEGImages").is_dir():
            return "voc"
        if any(folder.glob("CLEVR_*.png")):
            return "clevr"
        if any(folder.glob("captions.jsonl")) or any(folder.glob("*/captions.jsonl")):
            return "folder"
        if any(any(folder.glob(f"{sub}metadata.{kind}")) for sub in _DEPTHS for kind in _KINDS):
            return "attributes"
        if any(any(folder.glob(f"{sub}*.tar")) for sub in _DEPTHS):
            return "webdataset"
    except OSError:  # no permission to read it
        return None
    return None


def suggest_layout(name: str, layouts: tuple[str, ...]) -> str:
    """Return the end of an error about an invalid ``--data``: the right value if it is a folder."""
    rest = name.partition(":")[2]
    for path in filter(None, (name, rest)):
        try:
            folder = Path(path).expanduser()
            if not folder.is_dir():
                continue
        except (OSError, RuntimeError, ValueError):  # too long, no such user
            continue
        layout = detect_layout(folder)
        if layout in layouts:
            return f"; use --data {_PREFIXES.get(layout, layout)}:{path} for this folder"
        known = ", ".join(f"{_PREFIXES.get(each, each)}:DIR" for each in layouts)
        return f"; the folder {path} has none of these layouts ({known})"
    return ""
