"""Find the folder of a model, its fingerprint and its parameter names. Without torch."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from tasks.contract import ModelError, Source
from tasks.fingerprint import fingerprint_files

SHIPPED = "blip-scenes"
PREPROCESSOR_FILES = {  # a model needs one file of each kind, under any of these names
    "tokenizer": (
        "tokenizer.json",
        "vocab.txt",
        "vocab.json",
        "tokenizer.model",
        "spiece.model",
        "sentencepiece.bpe.model",
    ),
    "image processor": ("preprocessor_config.json", "processor_config.json"),
}

POOLING = "1_Pooling/config.json"  # sentence-transformers' file on how an encoder pools tokens
#: The JSON files that this project or the libraries read, which must contain an object. Other
#: files, such as ``modules.json`` of sentence-transformers (a list), are not read.
JSON_OBJECTS = (
    "config.json",
    "generation_config.json",
    "preprocessor_config.json",
    "processor_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    POOLING,
)


def find_folder(name: str) -> Path:
    """Return the local folder of a model: the shipped one, a path, or a Hugging Face id.

    Raises:
        ModelError: if there is no such model, or its folder has no safetensors weights.
    """
    folder = _locate(name)
    if not (folder / "config.json").is_file():
        raise ModelError(
            f"{folder} is not a model folder: it has no config.json; save a model with "
            "model.save_pretrained(folder)"
        )
    if not list(folder.glob("*.safetensors")):
        if list(folder.glob("*.bin")) or list(folder.glob("*.pth")):
            raise ModelError(
                f"{folder} has only pickled weights, which can run code when they are loaded; "
                "save them as safetensors: model.save_pretrained(folder)"
            )
        raise ModelError(
            f"{folder} has no weights: model.safetensors is missing; save it with "
            "model.save_pretrained(folder)"
        )
    return folder


def _locate(name: str) -> Path:
    if name == SHIPPED:
        return Path(__file__).parents[1] / "assets" / SHIPPED
    try:
        path = Path(name).expanduser()
        if path.is_dir():
            return path.resolve()
        is_file = path.is_file()
    except (OSError, RuntimeError, ValueError) as error:  # no such user, too long
        raise ModelError(f"no model {name[:80]!r}: {error}") from None
    if is_file:
        raise ModelError(f"{name} is a file; --model takes the folder that contains it")
    if name.startswith((".", "/", "~")) or name.count("/") > 1:
        raise ModelError(f"no such model folder: {name}; check the path after --model")
    return _download(name)


@cache  # it asks the Hub, and all trials of a process must use one revision
def _download(name: str) -> Path:
    from huggingface_hub import snapshot_download

    patterns = ["*.json", "*.safetensors", "*.txt", "*.model", "*.jinja"]
    try:
        return Path(snapshot_download(name, allow_patterns=patterns))
    except Exception as error:  # offline, unknown, gated: each has its own class
        raise ModelError(
            f"no model {name!r}: neither {SHIPPED!r}, nor a folder, nor a Hugging Face id that "
            f"can be downloaded here ({type(error).__name__}); use a folder, or download it first"
        ) from None


def resolve(name: str, needs: Sequence[str] = ("tokenizer", "image processor")) -> Source:
    """Return a model with the fingerprint of its files; a folder's path becomes absolute.

    Raises:
        ModelError: if a file is missing, or if its header shows that it is damaged.
    """
    folder = find_folder(name)
    check_files(folder, needs)
    shown = str(folder) if is_path(name) else name
    return Source(name=shown, fingerprint=fingerprint_files(folder, list_files(folder)))


def is_path(name: str) -> bool:
    """Return whether a model's name is the path of a folder, and not a Hugging Face id."""
    try:
        return Path(name).expanduser().is_dir()
    except (OSError, RuntimeError, ValueError):  # no such user, too long
        return False


def list_files(folder: Path) -> list[Path]:
    """Return the files of a model that its fingerprint covers."""
    parts = (*folder.iterdir(), folder / POOLING, *folder.glob("*tokenizer/*"))
    return sorted(f for f in parts if f.is_file() and f.suffix != ".md")


def check_files(folder: Path, needs: Sequence[str]) -> None:
    """Raise an error if a file of a model is missing, truncated or not JSON. Loads no weights.

    Raises:
        ModelError: the message names the file and how to get it.
    """
    for what in needs:
        if not any((folder / name).is_file() for name in PREPROCESSOR_FILES[what]):
            raise ModelError(
                f"{folder} has no {what} ({' or '.join(PREPROCESSOR_FILES[what][:2])}); copy it "
                f"from the original model, or save it with {what.split()[-1]}.save_pretrained"
                "(folder)"
            )
    for name in JSON_OBJECTS:
        if (folder / name).is_file():
            read_json(folder / name)
    parameter_names(folder)
    for index in folder.glob("*.safetensors.index.json"):
        parts = read_json(index).get("weight_map")
        if not isinstance(parts, dict):
            raise ModelError(f"{index} has no 'weight_map'; copy it from the original model")
        missing = sorted({str(p) for p in parts.values() if not (folder / str(p)).is_file()})
        if missing:
            raise ModelError(f"{folder} lacks {missing[0]}, a part of its weights; add the file")


def read_config(folder: Path) -> dict[str, Any]:
    """Read the model's ``config.json``."""
    return read_json(folder / "config.json")


def read_image_processor(folder: Path) -> dict[str, Any]:
    """Read the configuration of the model's image processor; empty if there is none."""
    files = (folder / name for name in PREPROCESSOR_FILES["image processor"])
    read = next((read_json(file) for file in files if file.is_file()), {})
    own = read.get("image_processor", read)  # processor_config.json contains other parts too
    return own if isinstance(own, dict) else {}


def read_json(file: Path) -> dict[str, Any]:
    """Read a JSON file that contains an object.

    Raises:
        ModelError: if the file cannot be read, is not JSON, or is not an object.
    """
    try:
        read = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ModelError(
            f"{file} is not valid JSON: {error}; copy it from the original model"
        ) from None
    except OSError as error:
        raise ModelError(f"{file} cannot be read: {error.strerror}; replace it") from None
    if not isinstance(read, dict):
        raise ModelError(f"{file} is not a JSON object; copy it from the original model")
    return read


def parameter_names(folder: Path) -> set[str]:
    """Return the names of all saved parameters, as ``parameter_shapes`` does."""
    return set(parameter_shapes(folder))


def parameter_shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    """Return the shapes of all saved parameters by name. Reads only the headers of the files.

    Raises:
        ModelError: if a header is damaged, or if a file is shorter than its header says.
    """
    shapes: dict[str, tuple[int, ...]] = {}
    for file in folder.glob("*.safetensors"):
        try:
            size = file.stat().st_size
            with file.open("rb") as stream:
                (length,) = struct.unpack("<Q", stream.read(8))
                if length > size:
                    raise ValueError("the header is longer than its file")
                header = json.loads(stream.read(length))
            tensors = {name: part for name, part in header.items() if name != "__metadata__"}
            end = max((part["data_offsets"][1] for part in tensors.values()), default=0)
            is_truncated = 8 + length + end > size
        except (struct.error, ValueError, TypeError, AttributeError, KeyError, IndexError):
            raise ModelError(
                f"{file} is damaged: it has no safetensors header; copy it again"
            ) from None
        except OSError as error:
            raise ModelError(f"{file} cannot be read: {error.strerror}; replace it") from None
        if is_truncated:
            raise ModelError(
                f"{file} is truncated: {size:,} of {8 + length + end:,} bytes; copy it again"
            )
        shapes |= {name: tuple(part.get("shape", ())) for name, part in tensors.items()}
    return shapes


def num_bytes(folder: Path) -> int:
    """Return the size of all saved weights in bytes."""
    return sum(file.stat().st_size for file in folder.glob("*.safetensors"))
