"""Detect a folder's layout, to correct a ``--data`` that does not name it."""

from __future__ import annotations

from pathlib import Path


def detect_layout(folder: Path) -> str | None:
    """Return karpathy, voc, clevr or folder by the files in the folder; None if none fits."""
    try:
        if any(folder.glob("dataset*.json")):
            return "karpathy"
        if (folder / "captions_v1.json").is_file() or (folder / "JPEGImages").is_dir():
            return "voc"
        if any(folder.glob("CLEVR_*.png")):
            return "clevr"
        if any(folder.glob("captions.jsonl")) or any(folder.glob("*/captions.jsonl")):
            return "folder"
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
            return f"; use --data {layout}:{path} for this folder"
        known = ", ".join(f"{each}:DIR" for each in layouts)
        return f"; the folder {path} has none of these layouts ({known})"
    return ""
