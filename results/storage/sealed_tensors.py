"""Safetensors files with a seal, a SHA-256 of their content. Without torch or safetensors.

    8 bytes    length of the header, little-endian
    header     JSON: name -> {dtype, shape, data_offsets}, and ``__metadata__``, strings by key
    the rest   the bytes of the tensors

The format is that of https://github.com/huggingface/safetensors, whose readers open these files.
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
SEAL = "sha256"  # the key of the seal in the metadata

#: numpy's type of each safetensors type. BF16 is converted to float32, which is exact.
_TYPES = {
    "BOOL": "?",
    **{f"{kind.upper()}{8 * size}": f"<{kind}{size}" for kind in "iu" for size in (1, 2, 4, 8)},
    **{f"F{8 * size}": f"<f{size}" for size in (2, 4, 8)},
    "BF16": "<u2",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Tensors:
    """The content of a sealed file."""

    arrays: dict[str, Array]
    dtypes: dict[str, str]  # by name, as in safetensors: ``F32``, or ``BF16``
    metadata: dict[str, str]


def seal(blob: bytes, metadata: Mapping[str, str]) -> bytes:
    """Replace the metadata of a safetensors file and add a seal.

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
    """Return the tensors of a sealed file, in stored order, as views of ``blob``.

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
        raise ValueError("it is truncated")
    try:
        header = json.loads(bytes(view[8 : 8 + length]))
    except (ValueError, RecursionError):
        raise ValueError("its header cannot be read") from None
    if not isinstance(header, dict) or not all(isinstance(e, dict) for e in header.values()):
        raise ValueError("its header is of the wrong type")
    return header, view[8 + length :]


def _digest(header: Mapping[str, Any], metadata: Mapping[str, str], data: memoryview) -> str:
    """Return the hash of the header (names, types, shapes, offsets), the metadata and the data."""
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
