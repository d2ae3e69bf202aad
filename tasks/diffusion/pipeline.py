"""An exported model: loaded from its folder, called with descriptions.

This file is the end of an export's ``pipeline.py``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor

from tasks.diffusion.sampling import Sampling, noise_generator, sample_batches, to_images
from tasks.diffusion.unet import UNet


class Pipeline:
    """Draws images of what descriptions ask for."""

    def __init__(
        self, network: UNet, sampling: Sampling, conditions: Mapping[str, Sequence[float]]
    ) -> None:
        self.network, self.sampling, self.conditions = network, sampling, conditions

    def __call__(
        self, descriptions: Sequence[str], *, seed: int = 0, num_images: int = 1
    ) -> list[Image.Image]:
        """``num_images`` images of each description, in order.

        Raises:
            ValueError: if the model knows no such description.
        """
        images = []
        for description in descriptions:
            pixels = self.pixels(description, seed=seed, num_images=num_images)
            images += [Image.fromarray(image) for image in to_images(pixels)]
        return images

    @torch.inference_mode()
    def pixels(self, description: str, *, seed: int = 0, num_images: int = 1) -> Tensor:
        """Pixels [N, 3, 28, 28] in about -1..1, before they are rounded to an image's."""
        known = list(self.conditions)
        if description not in self.conditions:
            raise ValueError(f"no description {description!r}; there are: {', '.join(known)}")
        device = next(self.network.parameters()).device
        condition = torch.tensor([self.conditions[description]], device=device)
        generator = noise_generator(seed, known.index(description))

        def predict(x: Tensor, time: Tensor, asked: Tensor) -> Tensor:
            return self.network(x, time, asked).float()  # type: ignore[no-any-return]

        ends = []
        for steps in sample_batches(predict, self.sampling, condition, num_images, generator):
            for x in steps:
                last = x
            ends.append(last)
        return torch.cat(ends).cpu()


def load(folder: str | Path = ".", *, device: str = "cpu") -> Pipeline:
    """The exported model of a folder."""
    config: dict[str, Any] = json.loads((Path(folder) / "config.json").read_text())
    network = UNet(**config["network"])
    network.load_state_dict(load_file(Path(folder) / "model.safetensors"))
    return Pipeline(network.to(device).eval(), Sampling(**config["sampling"]), config["conditions"])
