"""Read the temperature and the bias that a checkpoint was trained with. Without torch."""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path

from tasks.contract import ModelError
from tasks.models import folders

_FORMATS = {"F64": "<d", "F32": "<f", "F16": "<e"}


def read_temperature(name: str) -> float | None:
    """Return the temperature of a model's contrastive loss, or None if the model has none.

    CLIP and SigLIP save the logarithm of its inverse, ``logit_scale``. BLIP's is ``temp``, a
    parameter or an entry of ``config.json``. It is rounded to six digits, so that it has the same
    digits on all machines.

    Raises:
        ModelError: if the value is not positive and finite.
    """
    folder = folders.find_folder(name)
    scale = _read_number(folder, "logit_scale")
    if scale is not None:
        value = math.exp(-scale) if abs(scale) < 100 else math.nan
    else:
        found = _read_number(folder, "temp")
        found = folders.read_config(folder).get("temp") if found is None else found
        if not isinstance(found, (int, float)):
            return None
        value = float(found)
    if not (value > 0 and math.isfinite(value)):
        raise ModelError(
            f"{name} has the temperature {value}, which must be > 0; set one, such as "
            "--set temperature=0.1"
        )
    return float(f"{value:.6g}")


def read_bias(name: str) -> float | None:
    """Return the bias of a model's sigmoid loss, or None if the model has none."""
    value = _read_number(folders.find_folder(name), "logit_bias")
    return None if value is None else float(f"{value:.6g}")


def _read_number(folder: Path, name: str) -> float | None:
    """Return the only number of a saved parameter, or None if there is no such parameter."""
    for file in sorted(folder.glob("*.safetensors")):
        with file.open("rb") as stream:
            (length,) = struct.unpack("<Q", stream.read(8))
            part = json.loads(stream.read(length)).get(name)
            if part is None:
                continue
            begin, end = part["data_offsets"]
            stream.seek(8 + length + begin)
            content = stream.read(end - begin)
        if part["dtype"] == "BF16":  # the upper half of a float32
            content, part["dtype"] = b"\0\0" + content, "F32"
        kind = _FORMATS.get(part["dtype"])
        if kind is None or struct.calcsize(kind) != len(content):
            raise ModelError(
                f"{file}: {name} must be one number, but has the type {part['dtype']} and the "
                f"shape {part['shape']}; copy it from the original model"
            )
        return float(struct.unpack(kind, content)[0])
    return None
