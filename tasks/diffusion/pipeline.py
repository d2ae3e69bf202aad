"""Load an exported model from its folder and sample images of descriptions.

This file becomes the last part of the export's ``pipeline.py``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor, nn

from tasks.diffusion.networks import make_network, set_weights
from tasks.diffusion.sampling import SamplingConfig, noise_generator, sample_batches, to_images


class Pipeline:
    """Samples images of descriptions."""

    def __init__(
        self,
        network: nn.Module,
        sampling: SamplingConfig,
        conditions: Mapping[str, Sequence[float]],
    ) -> None:
        self.network, self.sampling, self.conditions = network, sampling, conditions

    def __call__(
        self, descriptions: Sequence[str], *, seed: int = 0, num_images: int = 1
    ) -> list[Image.Image]:
        """Return ``num_images`` images of each description, in order.

        Raises:
            ValueError: if a description is not one of the model's conditions.
        """
        images = []
        for description in descriptions:
            pixels = self.pixels(description, seed=seed, num_images=num_images)
            images += [Image.fromarray(image) for image in to_images(pixels)]
        return images

    @torch.inference_mode()
    def pixels(self, description: str, *, seed: int = 0, num_images: int = 1) -> Tensor:
        """Return pixels float [N, 3, 28, 28] in about -1..1, before rounding to an image."""
        known = list(self.conditions)
        if description not in self.conditions:
            raise ValueError(
                f"description must be one of {', '.join(known)}, but got {description!r}"
            )
        device = next(self.network.parameters()).device
        condition = torch.tensor([self.conditions[description]], device=device)
        generator = noise_generator(seed, known.index(description))

        def predict(x: Tensor, time: Tensor, condition: Tensor) -> Tensor:
            return self.network(x, time, condition).float()  # type: ignore[no-any-return]

        batches = []
        for steps in sample_batches(predict, self.sampling, condition, num_images, generator):
            for x in steps:
                last = x
            batches.append(last)
        return torch.cat(batches).cpu()


def load(folder: str | Path = ".", *, device: str = "cpu") -> Pipeline:
    """Load the exported model of a folder."""
    config: dict[str, Any] = json.loads((Path(folder) / "config.json").read_text())
    network = make_network(config["network"], config["network_options"])
    set_weights(network, load_file(Path(folder) / "model.safetensors"))
    return Pipeline(
        network.to(device).eval(), SamplingConfig(**config["sampling"]), config["conditions"]
    )
