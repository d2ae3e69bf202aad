"""Load the exported model: ``load()`` returns a function from an RGB image to its mask.

The file is written into exports as ``load.py``, next to ``heads.py`` and ``pyramid.py``.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor

from tasks.segmentation.heads import apply_head, resize
from tasks.segmentation.pyramid import Pyramid

FOLDER = Path(__file__).parent
SETTINGS: dict[str, Any] = {}
if (FOLDER / "settings.json").is_file():
    SETTINGS = json.loads((FOLDER / "settings.json").read_text())
CLASSES: list[str] = SETTINGS.get("classes", [])


def load(device: str = "cpu") -> Callable[[Image.Image], Tensor]:
    """Return a function that gives the class of each pixel of an image, [H, W]."""
    encoder = getattr(transformers, SETTINGS["encoder"]).from_pretrained(FOLDER / "encoder")
    pyramid = Pyramid(encoder, SETTINGS["num_levels"]).to(device).eval()
    weights = load_file(FOLDER / "head.safetensors", device=device)
    mean, std = (torch.tensor(SETTINGS[key])[:, None, None] for key in ("mean", "std"))

    @torch.inference_mode()
    def segment(image: Image.Image) -> Tensor:
        side = SETTINGS["image_size"]
        small = image.convert("RGB").resize((side, side), Image.Resampling.BICUBIC)
        pixels = torch.from_numpy(np.asarray(small).transpose(2, 0, 1) / np.float32(255))
        inputs = ((pixels - mean) / std)[None].to(device)
        scores = resize(apply_head(weights, pyramid(inputs)), image.size[::-1])
        if SETTINGS["flip"]:
            mirrored = resize(
                apply_head(weights, pyramid(inputs.flip(-1))).flip(-1), image.size[::-1]
            )
            scores = scores.softmax(1) + mirrored.softmax(1)
        return scores.argmax(1)[0].cpu()

    return segment
