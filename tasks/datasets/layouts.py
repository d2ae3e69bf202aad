"""Which layout a folder has, for a ``--data`` that does not name one."""

from __future__ import annotations

from pathlib import Path


def detect_layout(folder: Path) -> str | None:
    """karpathy, voc, clevr or folder, by the files that each layout needs; None if none fits."""
    try:
        if any(folder.glob("dataset*.json")):
            return "karpathy"
        if (folder / "captions_v1.json").is_file() or (folder / "JPEGImages").is_dir():
            return "voc"
        if any(folder.glob("CLEVR_*.png")):
            return "clevr"
        if any(folder.glob("captions.jsonl")) or any(folder.glob("*/captions.jsonl")):
            return "folder"
    except OSError:  # not ours to read
        return None
    return None


def suggest_layout(name: str, layouts: tuple[str, ...]) -> str:
    """The end of an error on a ``--data`` of no known form: what to type where it is a folder."""
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
            return f"; for this folder give --data {layout}:{path}"
        given = ", ".join(f"{each}:DIR" for each in layouts)
        return f"; the folder {path} has none of these layouts ({given})"
    return ""
