"""From ``--model`` to a folder of weights: its fingerprint and its parameter names. No torch."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

from tasks.contract import ModelError, Source
from tasks.fingerprint import fingerprint_files

SHIPPED = "blip-scenes"


def find_folder(name: str) -> Path:
    """The local folder of a model: shipped, a path, or a Hugging Face id in the local cache.

    Raises:
        ModelError: if it is nowhere, or is no model folder with safetensors weights.
    """
    folder = _locate(name)
    if not (folder / "config.json").is_file():
        raise ModelError(f"{folder} is no model folder: it has no config.json")
    if not list(folder.glob("*.safetensors")):
        if list(folder.glob("*.bin")) or list(folder.glob("*.pth")):
            raise ModelError(
                f"{folder} has pickled weights only, which can run code when they are loaded; "
                "save them as safetensors: model.save_pretrained(folder)"
            )
        raise ModelError(f"{folder} has no weights: model.safetensors is missing")
    return folder


def _locate(name: str) -> Path:
    if name == SHIPPED:
        return Path(__file__).parents[1] / "assets" / SHIPPED
    path = Path(name).expanduser()
    if path.is_dir():
        return path.resolve()
    if name.startswith((".", "/", "~")) or name.count("/") > 1:
        raise ModelError(f"no such model folder: {name}")
    from huggingface_hub import snapshot_download

    patterns = ["*.json", "*.safetensors", "*.txt", "*.model"]
    try:
        return Path(snapshot_download(name, allow_patterns=patterns))
    except Exception as error:  # offline, unknown, gated: each has its own class
        raise ModelError(
            f"no model {name!r}: neither {SHIPPED!r}, nor a folder, nor a Hugging Face id that "
            f"can be had here ({type(error).__name__})"
        ) from None


def resolve(name: str) -> Source:
    """The model with the fingerprint of its files; a folder's name becomes absolute."""
    folder = find_folder(name)
    files = [f for f in folder.iterdir() if f.is_file() and f.suffix != ".md"]
    shown = str(folder) if Path(name).expanduser().is_dir() else name
    return Source(name=shown, fingerprint=fingerprint_files(folder, files))


def read_config(folder: Path) -> dict[str, Any]:
    """The model's ``config.json``."""
    try:
        config = json.loads((folder / "config.json").read_text())
    except ValueError as error:
        raise ModelError(f"{folder}/config.json is no valid JSON: {error}") from None
    if not isinstance(config, dict):
        raise ModelError(f"{folder}/config.json holds no mapping")
    return config


def parameter_names(folder: Path) -> set[str]:
    """The names of all saved parameters, read from the headers alone."""
    names: set[str] = set()
    for file in folder.glob("*.safetensors"):
        try:
            with file.open("rb") as stream:
                (length,) = struct.unpack("<Q", stream.read(8))
                names |= set(json.loads(stream.read(length)))
        except (struct.error, ValueError, OverflowError, MemoryError):
            raise ModelError(f"{file} is damaged: it has no safetensors header") from None
    return names - {"__metadata__"}


def num_bytes(folder: Path) -> int:
    """The size of all saved weights."""
    return sum(file.stat().st_size for file in folder.glob("*.safetensors"))
