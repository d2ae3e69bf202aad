"""Safetensors files with a seal: a SHA-256 of all that a file holds. No torch, no safetensors.

    8 bytes    length of the header, little-endian
    header     JSON: name -> {dtype, shape, data_offsets}, and ``__metadata__``, text by key
    the rest   the tensors' bytes

The format is https://github.com/huggingface/safetensors, so any reader of it opens these files.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
SEAL = "sha256"  # its key in the metadata

#: numpy's type of each safetensors type. BF16 is read as float32, which holds each of its values.
_TYPES = {
    "BOOL": "?",
    **{f"{kind.upper()}{8 * size}": f"<{kind}{size}" for kind in "iu" for size in (1, 2, 4, 8)},
    **{f"F{8 * size}": f"<f{size}" for size in (2, 4, 8)},
    "BF16": "<u2",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Tensors:
    """What a sealed file holds."""

    arrays: dict[str, Array]
    dtypes: dict[str, str]  # by name, as safetensors spells them: ``F32``, or ``BF16``
    metadata: dict[str, str]


def seal(blob: bytes, metadata: Mapping[str, str]) -> bytes:
    """A safetensors file with this metadata in place of its own, and a seal over all of it.

    Raises:
        ValueError: if a tensor has a type that ``unseal`` cannot read.
    """
    header, data = _split(blob)
    header.pop("__metadata__", None)
    for name, entry in header.items():
        _numpy_type(name, entry)
    kept = {**metadata, SEAL: _digest(header, metadata, data)}
    text = json.dumps({"__metadata__": kept, **header}, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # the format aligns the data
    return b"".join([struct.pack("<Q", len(text)), text, data])


def unseal(blob: bytearray) -> Tensors:
    """The tensors of a sealed file, as views of ``blob``, in the order they are stored in.

    Raises:
        ValueError: if the file is damaged, has no seal, or has a type that numpy lacks.
    """
    header, data = _split(blob)
    metadata = dict(header.pop("__metadata__", None) or {})
    recorded = metadata.pop(SEAL, None)
    if recorded is None:
        raise ValueError("it has no seal")
    if _digest(header, metadata, data) != recorded:
        raise ValueError("its content does not match its seal")
    arrays = {name: _array(name, entry, data) for name, entry in header.items()}
    dtypes = {name: entry["dtype"] for name, entry in header.items()}
    return Tensors(arrays=arrays, dtypes=dtypes, metadata=metadata)


def _split(blob: bytes | bytearray) -> tuple[dict[str, Any], memoryview]:
    view = memoryview(blob)
    length = struct.unpack("<Q", view[:8])[0] if len(view) >= 8 else len(view)
    if 8 + length > len(view):
        raise ValueError("it is cut off")
    try:
        header = json.loads(bytes(view[8 : 8 + length]))
    except (ValueError, RecursionError):
        raise ValueError("its header cannot be read") from None
    if not isinstance(header, dict) or not all(isinstance(e, dict) for e in header.values()):
        raise ValueError("its header is of the wrong type")
    return header, view[8 + length :]


def _digest(header: Mapping[str, Any], metadata: Mapping[str, str], data: memoryview) -> str:
    """Over names, types, shapes and places of the tensors, the metadata, and all bytes."""
    text = json.dumps([header, metadata], sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(text.encode())
    digest.update(data)
    return digest.hexdigest()


def _array(name: str, entry: Mapping[str, Any], data: memoryview) -> Array:
    first, end = entry["data_offsets"]
    flat = np.frombuffer(data[first:end], dtype=_numpy_type(name, entry))
    if entry["dtype"] == "BF16":
        flat = (flat.astype("<u4") << 16).view("<f4")
    return flat.reshape(entry["shape"])


def _numpy_type(name: str, entry: Mapping[str, Any]) -> str:
    if entry["dtype"] not in _TYPES:
        raise ValueError(f"the tensor {name} is of type {entry['dtype']}, which numpy lacks")
    return _TYPES[entry["dtype"]]
